package esdb

import (
	"strings"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

const jsonType = "application/json"

// proposed copies events into what the client sends. The copy outlives an Append that returns
// because its context ended, while the client still sends (E15).
func proposed(events []eventstore.Event) []sdk.EventData {
	size := 0
	for i := range events {
		size += len(events[i].Data) + len(events[i].Metadata)
	}
	arena := make([]byte, 0, size)
	own := func(b []byte) []byte {
		start := len(arena)
		arena = append(arena, b...)
		return arena[start:len(arena):len(arena)]
	}
	made := make([]sdk.EventData, len(events))
	for i := range events {
		e := &events[i]
		made[i] = sdk.EventData{
			EventID: [16]byte(e.ID), EventType: e.Type, ContentType: sdk.ContentTypeBinary,
			Data: own(e.Data), Metadata: own(e.Metadata),
		}
		if e.ContentType == eventstore.JSON {
			made[i].ContentType = sdk.ContentTypeJson
		}
	}
	return made
}

// recorded turns an event of the client into one of the port. A link stays a link: what is at a
// position is told, not what it points to (G15).
func recorded(resolved *sdk.ResolvedEvent) (eventstore.Recorded, error) {
	if resolved == nil || resolved.OriginalEvent() == nil {
		return eventstore.Recorded{}, errNoEvent
	}
	e := resolved.OriginalEvent()
	r := eventstore.Recorded{
		Event: eventstore.Event{
			ID: eventstore.EventID(e.EventID), Type: e.EventType, ContentType: eventstore.OctetStream,
			Data: e.Data, Metadata: e.UserMetadata,
		},
		Stream: e.StreamID, Revision: e.EventNumber, Position: eventstore.Position(e.Position.Commit), RecordedAt: e.CreatedDate,
	}
	if e.ContentType == jsonType {
		r.ContentType = eventstore.JSON
	}
	return r, nil
}

// system says that an event belongs to the server.
func system(r *eventstore.Recorded) bool { return strings.HasPrefix(r.Stream, "$") }

// place is a position as the server wants it. Everything written through gRPC has one number for both.
func place(p eventstore.Position) sdk.AllPosition {
	if p == 0 {
		return sdk.Start{}
	}
	return sdk.Position{Commit: uint64(p), Prepare: uint64(p)}
}

func revision(e eventstore.Expected) sdk.ExpectedRevision {
	if e == eventstore.NoStream {
		return sdk.NoStream{}
	}
	return sdk.Revision(uint64(e)) //nolint:gosec // not negative
}
