// Package embedded is the default event store: one folder on local disk, kept by Pebble,
// written by one process. It keeps every clause of the port (E1–E16).
//
// # What is stored
//
// One append writes one batch of keys, so that it is there whole or not at all:
//
//	g/<first position>            the events, one record per append, checksummed
//	h/<stream>                    last revision, last position, snapshot: one read loads a stream
//	s/<stream>\0<first revision>  the first position of the append: the stream's index
//	i/<first event id>            the first position of the append that began with this id
//
// Numbers in keys are big endian, so keys sort as numbers do; stream names hold no control
// characters, so \0 ends a name. An append is known by its first id, the one that E6 and E7 ask for:
// to index the others as well costs a fifth of the throughput. The file FORMAT beside Pebble's files carries the version of
// this layout and is read before Pebble touches the folder.
//
// # How an append travels
//
// The caller's goroutine validates and encodes. One sequencer takes what is waiting, checks ids and
// expectations, assigns revisions and positions, and applies the whole group as one Pebble batch.
// The committer waits for the group's WAL sync, moves the durable watermark, and answers everybody
// in it. While one group is being synced the next is being built.
//
// Pebble shows a batch to readers before it is synced. So no read goes beyond the durable
// watermark, and a load that meets a head above the watermark waits for it; refusals that were
// decided from a group that is not yet durable are answered after it (E3).
//
// # When the disk fails
//
// A write-ahead log that could not be written or synced leaves Pebble unusable and the outcome of
// the last groups unknown. The store then fails for good: waiting appends answer
// ErrOutcomeUnknown, every later call ErrUnavailable, and Failed is closed. Only a new process,
// which replays the log, can go on. Free space is watched so that a full disk is an
// ordinary ErrUnavailable long before.
package embedded
