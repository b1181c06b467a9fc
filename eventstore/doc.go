// Package eventstore is the port to the event store: an append-only log of
// events, grouped in streams and ordered globally. It knows nothing of tokens,
// commands or any technology, and imports the standard library only.
//
// # Contract
//
// Every store keeps these clauses; package eventstoretest proves each of them,
// by its number, against every adapter.
//
//   - E1, atomic: the events of one Append are stored together, with consecutive
//     revisions in their stream and consecutive in the global order, or not at all.
//   - E2, expected revision: an append whose Expected does not hold changes
//     nothing and answers a *ConflictError that names stream, expected and actual.
//   - E3, durable: a nil error means that the events survive a power loss.
//     Nothing is ever read, by anybody, that is not durable yet.
//   - E4, global order: positions are assigned by one sequencer at commit. They
//     strictly rise, no event ever becomes visible below a position already seen,
//     and [Recorded].Revision rises by one within a stream.
//   - E5, gap-free: global positions start at 1 and have no holes. A store with
//     another position scheme (a byte offset in its log) declares that it skips this.
//   - E6, repeated append: appending ids that are already stored, together and in
//     that order, in that stream is the same append: it adds nothing and answers the
//     first Result with Duplicate set, wherever the stream is now.
//   - E7, an event id is stored once: an append that begins with an id already stored
//     in another stream adds nothing and answers an *IDReusedError that carries
//     the first append. A store that only knows ids per stream declares that it skips this.
//   - E8, load: Load returns the revision of a stream and all that is needed to
//     fold it: the latest snapshot, if one is kept, and the events after it. A snapshot is
//     stored by the append that carries it and dropped by the next that does not.
//   - E9, reads: by stream and global, forward and backward, from any place, lazily,
//     as iter.Seq2. A read sees at least everything durable when it began. A stream
//     that does not exist answers ErrStreamNotFound.
//   - E10, subscription: Subscribe yields every event after a position, in order,
//     nothing lost and nothing repeated, from history into live events.
//   - E11, isolation: a reader or subscriber that is slow, or stops reading, slows
//     no append and no other reader.
//   - E12, cancel: when the context of a call ends the call returns at once with the
//     context's cause. An Append cancelled before it was accepted stores nothing;
//     after that it answers ErrOutcomeUnknown.
//   - E13, unknown: a store that cannot tell whether an append was stored says so with
//     ErrOutcomeUnknown, never with success and never with another error. Repeating the
//     same append, or reading the ids back, resolves it.
//   - E14, limits: an append over MaxAppendBytes, without events, with a repeated or
//     zero id, or with an invalid stream or type name answers ErrInvalid
//     or ErrTooLarge and stores nothing.
//   - E15, bytes: what is read equals, byte for byte, what was appended. The caller may
//     reuse its slices once Append has returned.
//   - E16, closed: after Close every call answers ErrUnavailable.
//
// All methods may be called from any number of goroutines.
package eventstore
