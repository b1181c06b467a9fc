package esdbapi

import (
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// entry is one event of the log as subscribers share it: encoded once, and with what filters ask for.
// It owns its bytes, so that it keeps nothing of the store alive.
type entry struct {
	position eventstore.Position
	revision uint64
	stream   string
	typ      string
	hidden   bool
	link     *eventstore.Recorded // the event itself, when it is a link

	wire   encoded                 // with structured UUIDs
	asText atomic.Pointer[encoded] // with UUIDs as strings, made for the first who wants them
}

func newEntry(stored eventstore.Recorded) (*entry, error) {
	e := present(stored)
	n := &entry{position: e.Position, revision: e.Revision, stream: e.Stream, typ: e.Type, hidden: hidden(e.Stream)}
	if e.Type == typeLink {
		n.link = &e
	}
	var err error
	n.wire, err = proto.Marshal(eventMessage(structuredUUID, &e, nil))
	return n, err
}

// entryOverhead is about what an entry takes beside its bytes.
const entryOverhead = 256

func (n *entry) size() int64 { return int64(len(n.wire) + entryOverhead) }

// encoded is the message of the event with UUIDs in the form asked for.
func (n *entry) encoded(form uuidForm) (encoded, error) {
	if form == structuredUUID {
		return n.wire, nil
	}
	if text := n.asText.Load(); text != nil {
		return *text, nil
	}
	var m streams.ReadResp
	if err := proto.Unmarshal(n.wire, &m); err != nil {
		return nil, err
	}
	id, err := parseUUID(m.GetEvent().GetEvent().GetId())
	if err != nil {
		return nil, err
	}
	m.GetEvent().GetEvent().Id = form.encode(id)
	wire, err := proto.Marshal(&m)
	if err != nil {
		return nil, err
	}
	text := encoded(wire)
	n.asText.Store(&text)
	return text, nil
}
