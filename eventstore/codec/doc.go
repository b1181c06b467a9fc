// Package codec turns typed events into stored bytes and back. It owns the names on the
// wire, their schema versions, the metadata that travels with every event and the
// snapshot of a family; nobody else knows JSON.
//
// # Rules
//
//   - C1: a wire name is a literal string, never a Go type name, so that renaming a type
//     never breaks stored history.
//   - C2: every version of every event has a golden file in testdata. Files are only ever added.
//   - C3: decoding a golden file of the newest version and encoding it again gives the same bytes.
//   - C4: an older version is lifted to the newest by its upcaster on decoding.
//   - C5: what cannot be decoded is an error that names stream, revision and type, never
//     a guess, and never shows the data.
//   - C6: a snapshot of another version is no error: the caller replays instead.
//
// Encoding is by hand, since it runs three times in every command; decoding uses a
// strict JSON parser: duplicate names, invalid UTF-8 and wrong types are errors. Unknown
// fields are not: a newer producer may add some.
package codec
