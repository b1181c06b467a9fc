// Command catchup is an audit consumer of logoutd: it copies the event stream, from its first
// event on and then live, to a file of one JSON object per line. It is meant to be copied: it knows
// EventStoreDB, through the official client, and nothing of logoutd.
//
// It keeps these rules; each stands in the file named.
//
//   - C1, nothing lost (record.go): a checkpoint is stored only when the lines up to it are synced
//     to disk, so kill -9 and power loss repeat work and never skip it.
//   - C2, nothing repeated (record.go): each line carries its position, so a start knows what the file
//     has already, cuts off a line that a crash left half written, and goes on behind it. On standard output,
//     which cannot be read back, lines after the checkpoint may come again: whoever reads them
//     drops a position that is not higher than the last.
//   - C3, positions of events only (follow.go): a server also tells how far it has searched, as a checkpoint.
//     Only the position of an event that was written is kept, because servers have told
//     places ahead of an event still to come.
//   - C4, the same record (follow.go): the event at the checkpoint must be the one that was written.
//     Behind a server that was restored from an older backup, a bare position would skip events without a word.
//   - C5, a client lives once (main.go): the official client never recovers from a failed discovery, so
//     each connection gets a new one, after a pause that grows and is spread at random.
//
// An event is copied as it is, whatever its type and version: an audit trail that drops what it does not
// know is none.
package main
