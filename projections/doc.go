// Package projections keeps read models in step with the event store. A [Projection] is
// the read model, behind a database of its own; the [Runner] feeds it.
//
// It knows nothing of what a read model holds, nor of HTTP.
//
// # Rules
//
//   - P1, one transaction: Apply changes the read model and its position together or not at
//     all, so that after a crash the position says exactly what was applied.
//   - P2, compare and set: Apply names the position it starts from. If the read model is elsewhere,
//     nothing changes and the answer is a *MovedError.
//   - P3, fence: Acquire ends the right of every earlier holder to apply; his next Apply
//     changes nothing and answers ErrFenced.
//   - P4, order: the store brings events in rising order of position. It is checked, and an event that
//     comes too late is ErrGap.
//   - P5, no guess and no standstill: an event that cannot be read, or does not follow the one before it
//     in its stream, says nothing of what it belongs to. A read model parks exactly that, visibly, and
//     goes on; what is parked is never shown as well.
//   - P6, same store: a read model remembers the last event applied. If the store holds
//     another event there, or ends before it, the read model belongs to another store, which is
//     ErrForeign. It is never adjusted.
//   - P7, rebuild: what a read model holds depends on nothing but the events up to its position, not
//     on how they were cut into batches. Rebuilt from nothing it equals the live one.
//   - P8, retry: any other error is taken for passing. The runner tries again, from
//     the position that the database reports, with growing pauses, and says so in its status, and once
//     in the log.
//   - P9, waiting costs the database nothing: WaitFor is answered from memory. Standing by, one
//     look at the checkpoint serves all who wait.
//   - P10, health: a projection is ill when it cannot use its read model, or lags and has not moved for
//     a while. One that is behind and moving is well.
//   - P11, turns: where processes share a read model (Shared), one has its turn and applies. The
//     others stand by: they follow the checkpoint that it stores, so that reads, WaitFor and health
//     are those of the read model, and apply nothing. When the turn is free the next one acquires.
//     Who is fenced, or finds the read model moved, stands by again, and verifies it again (P6):
//     its database may have failed over to an older copy. Who shares with nobody and is fenced stops (P3).
//   - P12, life: nothing that is wrong with a read model ends a runner. Until it has been acquired and
//     verified, and from the moment that it turns out to be unusable, Status.Unusable says why, and
//     nobody may be shown what is in it. The runner tries again, with pauses. A damaged read model, and one of
//     another version or store, is rebuilt beside itself and replaced where it is a Rebuilder: all of
//     it comes from events. One that is Shared never is: it may be the good read model of somebody else.
//
// Events passed to Apply are valid after the call: the runner expects of a store that it does
// not reuse the slices of an event it has yielded.
package projections
