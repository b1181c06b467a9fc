// Package groups is the engine of persistent subscriptions: groups of competing consumers that share
// the events of a stream, or of the whole store, and that the store remembers the progress of.
//
// It works over the port alone and knows nothing of gRPC. A [Manager] owns the groups of one store; a
// [Consumer] is one of those who share a group. What a group does is decided by queues under one lock,
// so that a consumer never waits for the store, nor the store for a consumer.
//
// # Rules
//
//   - C1, at least once: every event of the source, from the start of the group on, is delivered until
//     one consumer acknowledges it, or it is skipped or parked.
//   - C2, once while all is well: an event that was acknowledged is not delivered again, but after a
//     crash those beyond the last checkpoint are.
//   - C3, checkpoint: what is written never passes an event that is neither acknowledged, skipped nor
//     durably parked.
//   - C4, order: events are delivered for the first time in the order of the source. A redelivery comes before
//     what was never delivered.
//   - C5, one at a time: an event is with one consumer, from Next to Ack, Nack, the message timeout or Close.
//     An answer that comes later, twice, or for an event of somebody else, is ignored.
//   - C6, retries: a message that timed out, was refused or lost its consumer is delivered again with a
//     raised count, and parked when the count is at its maximum.
//   - C7, parked: a message is parked when a link to it is durable in the parked stream. Replayed, it stays
//     there for the next process until it is settled anew.
//   - C8, bounded: a group holds no more events in memory than its buffers, and about Config.GroupBytes
//     of bytes. A consumer that does not answer, or does not even look, holds its own buffer and no more.
//   - C9, few writes: a checkpoint is written when it moved by enough, and no more often than the group
//     asked for nor ten times a second. The store keeps it for ever.
//   - C10, the store away: a group pauses and goes on by itself. Its consumers stay connected.
//   - C11, restart: settings, checkpoint and parked messages are events in the store, so that another process goes on.
//     A start at the end is the end at the time of creation, whatever happens after it.
//
// # What is stored
//
//	$persistentSubscriptionConfig                            all groups, written anew with every change
//	$persistentsubscription-<stream>::<group>-checkpoint     the last event settled: "<revision>" or "C:<position>/P:<position>"
//	$persistentsubscription-<stream>::<group>-parked         links to parked events, with time and reason
//	$$$persistentsubscription-<stream>::<group>-parked       $tb: the parked messages before it are settled
//
// A group on [All] sees none of those but the first: two groups that counted each other's checkpoints would write
// for ever.
package groups
