// Package transfer copies the history of one event store into another, and proves that both are equal. It knows
// the port only: which stores they are, and what the events mean, is the business of who calls it.
//
// # Rules
//
//   - T1: the copy has the order, streams, revisions, ids, types, content types, data and metadata of the
//     original. Positions and the time of recording are the target's own. Snapshots are not copied: Load replays.
//   - T2: what is copied is what the source held when the copy began. Who writes to the source meanwhile runs the copy again.
//   - T3: the target's own content says where to go on. It must be a beginning of the source, event by event; else
//     nothing is written and the first difference is named.
//   - T4: events are appended one append after the other, each at the exact revision that it has in the source, so
//     that the order is kept and nothing is stored twice, whatever fails.
//   - T5: an append is made of what was one append in the source, as far as Config.Together can tell, for a store recognises
//     a repeated append by its boundaries (E6, E7).
//   - T6: a store that is away is waited for, for a bounded time. An append whose outcome is unknown is repeated, which the
//     contract makes safe. After any other error the same call again goes on where this one ended.
//   - T7: equality is proved by reading both stores again, and by nothing that was remembered while copying.
package transfer
