// Package natsapi puts the processor on NATS as the request-reply service "logoutd", by the
// conventions of nats.go/micro: discoverable, with a queue group, a SemVer version and the
// schemas of its commands in the metadata of its endpoints. Each verb has the subject
// <prefix>.commands.v1.<verb>.
//
// # Rules
//
//   - N1: a command is decoded strictly. What is not JSON, lacks a field, has an unknown, repeated or
//     wrongly typed one, or is over MaxCommandBytes, is answered 400 with the name of the field, and
//     nothing of its content is logged or answered.
//   - N2: the subscription only decodes and enqueues; the queue bounds what waits, as a whole and for each
//     token, user and client, and what does not fit gets a 503 with retry_after_ms.
//   - N3: a reply leaves after the receipt, never before; the replies to all outcomes of a logout are
//     the same bytes but for the ids, and none leaves earlier than ReplyFloor after its arrival, so that
//     their times do not tell them apart either.
//   - N4: an error reply carries Nats-Service-Error and Nats-Service-Error-Code, and a body
//     with a stable code.
//   - N5: on shutdown no command is accepted any more, and every accepted one is answered.
//   - N6: a command published without a reply subject is carried out all the same.
//   - N7: garbage hides no command. Of what lacks a required member 2 000 a second and verb get their 400; the
//     rest is counted and dropped unread, so that every command in between is read.
//
// # What a flood can do
//
// A token, a user or a client that floods gets 503 for itself. When commands with all their members fail at over 50 000 a
// second, for one verb, every command of that verb gets a 503 unread; `nats micro stats` counts it as shed. At several
// hundred thousand a second nats.go drops messages, and says so in the log. Permissions of the NATS server say who may send.
package natsapi
