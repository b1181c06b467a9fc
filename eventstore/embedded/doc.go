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
// What may pass by itself is trouble: as long as it lasts appends return ErrUnavailable with the
// reason, reads go on, Trouble and Config.Notify tell it, and it ends when its cause does.
//
//  1. The disk has less free space than MinFreeBytes.
//  2. A memtable cannot be written to a table. It stays in memory and in the log, and is tried again
//     after pauses that grow up to 5 s.
//  3. The next log or manifest cannot be created. It is tried again for 30 s, while appends under way wait.
//  4. Groups are under way and none has become durable for 5 s: the disk hangs, or cannot keep up.
//     Appends under way wait for the disk or for the end of their context.
//
// A log or a manifest that could not be written, synced or closed, or a folder that could not be synced,
// leaves Pebble unusable and the outcome of the last groups unknown. The store then fails for good:
// waiting appends return ErrOutcomeUnknown, every later call ErrUnavailable, and Failed is closed.
// Only a new process, which replays the log, can go on. Close ends within CloseTimeout: on a disk
// that hangs it fails the store, and leaves the folder locked until the process ends.
package embedded
