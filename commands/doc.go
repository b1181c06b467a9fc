// Package commands holds the use cases of logoutd, one file each, and the processor that
// carries them out: load, decide, append, retry.
//
// # Rules
//
//   - P1: a receipt is given only after the events are durable.
//   - P2: a command leaves its events exactly once, for ever. Their ids are UUIDv5 of the command id and
//     the index of the event, and the store keeps an id once; a repeated command gets the
//     receipt of the first and adds nothing. The first append of a command begins with index 0, so
//     that an id that is used for a second command is seen, and refused (E7 of the store). Which
//     command it was is told by a keyed digest of verb, id and payload in the metadata, and by nothing else.
//   - P3: three outcomes, not two: committed, not committed, and unknown. Unknown is resolved by
//     repeating the same append, never by guessing.
//   - P4: a conflict loads and decides again, for as long as the command has time.
//   - P5: nothing remote happens between load and append.
//   - P6: a refused logout answers what a successful one answers.
//   - P7: commands on one credential run in the order of their arrival; others run in parallel.
//   - P8: what waits is bounded, as a whole and for each token, user and client, so that none of them can
//     take the places of the others; what does not fit can be retried (ErrBusy, ErrShare).
//   - P9: a token is refused as unknown only by a process that has every key the store knows (K7).
package commands
