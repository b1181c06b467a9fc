// Package sqlite keeps the read model of package activetokens in a SQLite file, without cgo.
//
// # Rules
//
//   - S1: one connection writes; a small pool of others reads, each in a transaction of its own, so
//     that an answer is of one moment and waits for no writer (WAL).
//   - S2: synchronous is NORMAL: after a power loss the newest transactions may be gone, with
//     their positions, and are applied again. The event store is the truth, this file is not.
//   - S3: the file carries an application id and the version of the read model. A file of anybody
//     else is refused and never changed.
//   - S4: every Acquire raises the epoch in the file; who holds an older one is fenced.
//   - S5: memory is bounded by the page caches: Config.CacheBytes for the writer, an eighth of it
//     for each reader.
//   - S6: the file is made readable by its owner only.
//   - S7: New touches no file; Acquire opens it, again and again until it can. Damage that a reader
//     finds is told by the next Apply.
//   - S8: one that is damaged, of another version or of another store is rebuilt in FILE.rebuilding and
//     then replaced; it stays beside the new one as FILE.replaced, the last one only.
//
// Revocation, by far the most frequent write, changes one row and no index: the indexes by user
// and by client do not carry the status. An index of active rows only was measured at less
// than half the speed, since each revocation then rewrites a random page of it as well; a
// bounded scan (rule A9) is what that costs the reader.
package sqlite
