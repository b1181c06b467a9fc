package esdbapi

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/logoutd/logoutd/eventstore"
)

// parseUUID reads either form in which the protocol writes a UUID.
func parseUUID(u *shared.UUID) (eventstore.EventID, error) {
	switch v := u.GetValue().(type) {
	case *shared.UUID_Structured_:
		var id eventstore.EventID
		binary.BigEndian.PutUint64(id[:8], uint64(v.Structured.GetMostSignificantBits()))  //nolint:gosec // the same bits
		binary.BigEndian.PutUint64(id[8:], uint64(v.Structured.GetLeastSignificantBits())) //nolint:gosec // the same bits
		return id, nil
	case *shared.UUID_String_:
		id, err := eventstore.ParseEventID(v.String_)
		if err != nil {
			return eventstore.EventID{}, invalid("the id of an event is not a UUID")
		}
		return id, nil
	default:
		return eventstore.EventID{}, invalid("a UUID is missing")
	}
}

// uuidForm is how a client wants its UUIDs.
type uuidForm uint8

const (
	structuredUUID uuidForm = iota
	stringUUID
	uuidForms // how many there are
)

// encode writes an id in the form asked for.
func (f uuidForm) encode(id eventstore.EventID) *shared.UUID {
	if f == stringUUID {
		return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])), //nolint:gosec // the same bits
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])), //nolint:gosec // the same bits
	}}}
}

// newID makes a random UUID (version 4).
func newID() eventstore.EventID {
	var id eventstore.EventID
	rand.Read(id[:]) //nolint:errcheck // never fails, by its documentation
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// streamName reads the name of a stream and checks that it can be one.
func streamName(id *shared.StreamIdentifier) (string, error) {
	name := string(id.GetStreamName())
	if name == metaPrefix {
		return "", invalid("'" + metaPrefix + "' names no stream")
	}
	if err := eventstore.ValidName("stream", name); err != nil {
		return "", invalid(err.Error())
	}
	return name, nil
}

func streamIdentifier(name string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(name)}
}
