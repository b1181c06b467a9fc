package esdbapi

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// The keys of the metadata map that the protocol puts beside an event.
const (
	metadataType        = "type"
	metadataCreated     = "created"
	metadataContentType = "content-type"

	contentTypeJSON  = "application/json"
	contentTypeBytes = "application/octet-stream"
)

// Types of the events that the protocol itself knows.
const (
	typeMetadata      = "$metadata"
	typeStreamDeleted = "$streamDeleted"
	typeLink          = "$>"
)

// proposed is what Append and BatchAppend have in common.
type proposed interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// parseProposed reads an event that a client wants to append.
func parseProposed(m proposed) (eventstore.Event, error) {
	id, err := parseUUID(m.GetId())
	if err != nil {
		return eventstore.Event{}, err
	}
	if id.IsZero() {
		return eventstore.Event{}, invalid("the id of an event is all zeros")
	}
	for _, key := range [...]string{metadataType, metadataContentType} {
		if _, found := m.GetMetadata()[key]; !found {
			return eventstore.Event{}, missingMetadata(key)
		}
	}
	e := eventstore.Event{
		ID: id, Type: m.GetMetadata()[metadataType], ContentType: eventstore.OctetStream,
		Data: m.GetData(), Metadata: m.GetCustomMetadata(),
	}
	if m.GetMetadata()[metadataContentType] == contentTypeJSON {
		e.ContentType = eventstore.JSON
	}
	if err := eventstore.ValidName("event type", e.Type); err != nil {
		return eventstore.Event{}, invalid(err.Error())
	}
	if e.Type == typeStreamDeleted {
		return eventstore.Event{}, invalid("an event of type " + typeStreamDeleted + " is written by Tombstone only")
	}
	return e, nil
}

// proposedSize is the size of an event as the limit of the protocol counts it.
func proposedSize(e *eventstore.Event) int {
	return len(e.Data) + len(e.Metadata) + 2*len(utf16.Encode([]rune(e.Type)))
}

// present turns a stored event into what clients of the protocol see. A tombstone is kept as an event
// of the metastream, for no store behind the port can give an event the last of all revisions.
func present(e eventstore.Recorded) eventstore.Recorded {
	if of, meta := metaTarget(e.Stream); meta && e.Type == typeStreamDeleted {
		e.Stream, e.Revision = of, math.MaxInt64
	}
	return e
}

// recorded encodes an event that was presented.
func (f uuidForm) recorded(e *eventstore.Recorded) *streams.ReadResp_ReadEvent_RecordedEvent {
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               f.encode(e.ID),
		StreamIdentifier: streamIdentifier(e.Stream),
		StreamRevision:   e.Revision,
		PreparePosition:  uint64(e.Position),
		CommitPosition:   uint64(e.Position),
		Metadata:         recordedMetadata(e),
		CustomMetadata:   e.Metadata,
		Data:             e.Data,
	}
}

// recordedMetadata has the three keys that every client expects: without a valid created some of them stop their process.
func recordedMetadata(e *eventstore.Recorded) map[string]string {
	contentType := contentTypeBytes
	if e.ContentType == eventstore.JSON {
		contentType = contentTypeJSON
	}
	return map[string]string{
		metadataType:        e.Type,
		metadataCreated:     strconv.FormatInt(e.RecordedAt.UnixNano()/100, 10),
		metadataContentType: contentType,
	}
}

// parseLink reads "<revision>@<stream>".
func parseLink(data []byte) (stream string, revision uint64, ok bool) {
	number, stream, found := strings.Cut(string(data), "@")
	revision, err := strconv.ParseUint(number, 10, 63)
	return stream, revision, found && err == nil && eventstore.ValidName("stream", stream) == nil
}
