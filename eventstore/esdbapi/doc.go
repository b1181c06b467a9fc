// Package esdbapi serves the gRPC protocol of EventStoreDB, at the level of version 24.10, over any
// eventstore.Store: so an audit consumer written with any official client works against logoutd as it
// does against a cluster. It knows the port and the protocol, and nothing of what the events mean.
// Groups of consumers are in package groups; docs/esdb-protocol.md says what differs from a real node.
//
// # Rules
//
//   - P1, a success is sent when the store has answered, and an unknown outcome is told as ABORTED, never as
//     a success and never as a conflict.
//   - P2, nobody appends unless Config.AllowAppend says so; and nobody, whatever his role, deletes, tombstones or truncates
//     a protected stream, or gives it metadata.
//   - P3, a refused append is answered when its client has sent everything: official clients lose
//     the status of an error that comes before. Each append of a batch is answered once.
//   - P4, positions on the wire are the store's, commit and prepare alike, from 1.
//   - P5, a soft delete is metadata, as everywhere; a tombstone is an event of the metastream, and clients see it as
//     the last event of the stream. Deletions and appends of one process do not overtake each other.
//   - P6, a subscription loses and repeats nothing, whatever its pace. Each event is read and encoded once
//     for all subscribers, and nobody waits for a subscriber; while the log is busy subscribers
//     wait for appends.
//   - P7, what a client can make the server hold is bounded: connections, calls, messages, appends that are not complete,
//     expressions, pages of a read that nobody takes.
//   - P8, without TLS only this machine is served, and credentials are not looked at; with TLS everybody but the
//     anonymous calls of discovery proves who he is, and the proof costs a slow hash once.
//   - P9, every error, of a store too, has one status and its trailers; what is not foreseen is INTERNAL
//     and says nothing. A panic ends its call, and no data is logged.
//   - P10, when Run returns nothing uses the store any more.
package esdbapi
