// Package esdb is the event store on EventStoreDB or KurrentDB, through the official client
// EventStore-Client-Go/v4. It keeps the clauses of package eventstore but for three that the server
// does not know: positions are places in its log, not 1, 2, 3 (E5); an id is unique in its
// stream only (E7); and a repeated append is answered with success, but not told from the
// first, or with a conflict if it expects something else (E6). Whoever needs E6 and E7 puts a store
// that claims ids in front of this one.
//
// No type of the client leaves this package, and nothing here logs.
//
// # What is stored how
//
// A position is the commit position of an event. Streams whose name begins with $ belong to the
// server: ReadAll, Subscribe and Head do not show them; ReadStream reads them by name. There are
// no snapshots: the one in an append is dropped and Load reads the whole stream. A stream from which
// events were truncated is ErrCorrupt for Load: what is left folds into something that never was.
//
// # How an append is settled
//
//   - S1: the server is always told an exact revision, for then it compares the ids of a repeated append with what
//     is stored, for ever. Any becomes the revision of the tail that was just read, and again after a conflict.
//   - S2: what was not handed over to the client is not stored: the cause of the context, or ErrUnavailable.
//   - S3: an answer that may hide a stored append (a timeout, a lost connection, a new leader, a frame that says
//     nothing) is settled by reading back the ids after the expected revision. All there: success. Another
//     event there: ConflictError. Nothing there: the same append again. What cannot be settled within
//     ResolveTimeout is ErrOutcomeUnknown.
//   - S4: a decision is only as fresh as the node that was read. Reads may come from a follower that lags when nodePreference is
//     not leader. So no decision may be appended with Any.
//
// # How the client is kept alive
//
// The client has faults that were measured, G1 to G15; each guard has a test of that name. One connection is in
// use at a time. The supervisor takes it out of service when it is closed, unavailable, or does not answer, lets
// the calls under way end, and makes a new client, at once after a connection that has lasted, else after a
// pause that grows. Calls meanwhile fail at once with ErrUnavailable, which says where the server is and since when it
// is away. No call of the client runs in the goroutine of the caller, so a context that ends ends the call.
//
// One fault has no guard: an event without a creation date makes the client end the process.
package esdb
