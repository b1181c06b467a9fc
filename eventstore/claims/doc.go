// Package claims gives a store that knows event ids per stream only, as EventStoreDB does, the two clauses
// that it lacks: E6, a repeated append is answered as the duplicate that it is, and E7, an id is stored
// once in the whole store. It is a decorator, for any number of processes over one store that
// coordinate through that store alone.
//
// An append is known by the id I of its first event. Before it, a claim that says where it may be stored is
// appended to the claim stream eventId-<I>: the stream S, the exact revision e that it expects, the count n
// of its events. (S, e, n) is the place of the append: it can be stored in S at the revisions e+1 … e+n
// and nowhere else.
//
// # Rules
//
//   - C1: nothing is appended but under a claim of one's own, of this very call, and at the exact revision
//     that it names. Any is resolved to the revision of the moment first, and again after a conflict.
//   - C2: claims form a line. The first expects no stream, each further one the revision of the claim
//     that was looked at. Who loses that race starts over. A claim whose outcome is not known is not
//     a claim: the call answers ErrUnavailable, for of its append nothing was stored.
//   - C3: before a claim is succeeded, the place of the last one is read. If I is there, the append was
//     stored: the same batch is answered with its first Result and Duplicate, another with an *IDReusedError. The last claim
//     is read once more before that, for it says how many events were stored: no claim of another place follows after that.
//   - C4: if another event is there, the claimed append is dead, for a revision is filled once. The next
//     claim may name any place.
//   - C5: if the place is still free, the claimed append may be under way, or its process has crashed. A claim of
//     the same place may follow at once: of two appends to one place the store keeps one. A claim of
//     another place may follow only when the last is older than Grace; until then the answer is ErrUnavailable.
//   - C6: an append is handed to the store within Deadline of the moment before its claim, or not at all,
//     by the wall clock and by the deadline of its context.
//   - C7: Duplicate is false only when no append of an earlier claim may be under way, and the events that are read back
//     from the place are, byte for byte, those of the call. When this cannot be known it is true: whoever
//     sees it set has to look at what is stored.
//   - C8: a definite refusal that leaves the place free (an expectation that lies in the future) releases
//     the claim by an event of its own, at the revision after the claim, so that a correct repeat need not wait for
//     Grace. It is not released while the append of an earlier one of the same place may be under way.
//   - C9: claim streams are hidden. Reads and subscriptions leave them out, Head is the last event that is left, to
//     ReadStream and Load they do not exist, and an Append to one is ErrInvalid.
//
// # Why an id is stored once
//
// At any time, every append of I that can still be stored has the place of the last claim. This holds for the first
// claim (C1, C2). A later claim of the same place keeps it true. A claim of another place follows only when
// nothing can be stored any more at the place before: it is filled by somebody else (C4), the only
// call that ever claimed it was refused for good (C8), or all its appends are too old (C5, C6). So all
// appends that can be stored compete for one place, and the store gives a place to one (E2).
// When it has got I, no claim of another place is made any more (C3).
//
// C5 trusts clocks, and nothing else does. It needs that an append which the store has not refused is stored within
// Grace − Deadline of being handed over, or never, less the difference between the clock of the store
// (which writes RecordedAt) and that of the process. The defaults leave 50 s. It matters only
// when two different appends use one id, which is a mistake of their callers or the repeat of a command whose
// decision has changed, and the first was interrupted.
//
// # Cost
//
// An append costs two appends and one read of the store below, and one event more that is kept for ever. Positions
// have holes where claims are (E5 is not kept). Ids that were stored without a claim are not known.
package claims
