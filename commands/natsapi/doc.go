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
//   - N7: garbage hides no command. What lacks a required member gets its 400 while there are few of it; of more
//     than 2 000 a second, for one verb, the rest is counted and dropped unread, which costs no more than to
//     receive it, so that every command in between is read.
//
// # What a flood can do
//
// Who may publish on the subjects of commands can send more than this process can work on, and nothing here limits
// that: permissions of the NATS server say who may. A token, a user or a client that floods gets 503 for itself. When
// commands with all their members fail at over 50 000 a second, for one verb, whatever comes on that verb gets a 503
// unread, or is dropped if it has no reply subject; `nats micro stats` counts it as shed. Only at several hundred
// thousand a second do even these replies take longer than the receiving does; then nats.go drops what comes next, and
// says so in the log. A caller that gets no reply repeats the command with the same command_id.
package natsapi
