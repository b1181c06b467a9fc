package eventstore

import (
	"encoding/hex"
	"errors"
	"strconv"
	"time"
)

// Limits that every store enforces, chosen to fit EventStoreDB's defaults.
const (
	// MaxAppendBytes is the largest sum of data, metadata and type names of one append.
	MaxAppendBytes = 1 << 20
	// MaxNameBytes is the longest stream or event type name.
	MaxNameBytes = 512
	// MaxAppendEvents is the largest number of events of one append.
	MaxAppendEvents = 1000
)

// EventID is the UUID of an event (RFC 9562), given by whoever appends it.
type EventID [16]byte

// ParseEventID reads the canonical 36-character form of a UUID, in either case.
func ParseEventID(s string) (EventID, error) {
	var id EventID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errors.New("not a UUID")
	}
	plain := make([]byte, 0, 32)
	for _, part := range [...]string{s[:8], s[9:13], s[14:18], s[19:23], s[24:]} {
		plain = append(plain, part...)
	}
	if _, err := hex.Decode(id[:], plain); err != nil {
		return EventID{}, errors.New("not a UUID")
	}
	return id, nil
}

// String is the canonical lower-case form.
func (id EventID) String() string {
	return string(id.AppendText(make([]byte, 0, 36)))
}

// AppendText appends the canonical form to b.
func (id EventID) AppendText(b []byte) []byte {
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		start := [...]int{0, 4, 6, 8, 10}[i]
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[start:end])
	}
	return b
}

// IsZero reports whether the id was never set.
func (id EventID) IsZero() bool { return id == EventID{} }

// ContentType says how the data of an event is encoded. EventStoreDB knows the same two.
type ContentType uint8

// The content types. JSON is the default and what logoutd itself writes.
const (
	JSON ContentType = iota
	OctetStream
)

// Event is what is appended.
type Event struct {
	ID          EventID
	Type        string
	ContentType ContentType
	Data        []byte
	Metadata    []byte
}

// Recorded is an event as the store keeps it.
type Recorded struct {
	Event
	Stream     string
	Revision   uint64   // from 0 in its stream
	Position   Position // in the global order
	RecordedAt time.Time
}

// Position is a place in the global order. Zero is the place before the first event.
// Reads and subscriptions start strictly after the position they are given.
type Position uint64

// ParsePosition reads the decimal form that String writes.
func ParsePosition(s string) (Position, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("a position is a decimal number from 0 to 18446744073709551615")
	}
	return Position(n), nil
}

// String is the decimal form, as replies, the HTTP API and the CLI show it.
func (p Position) String() string { return strconv.FormatUint(uint64(p), 10) }

// Expected is the state that a stream must be in for an append: a revision from 0,
// NoStream or Any.
type Expected int64

// The special values of Expected.
const (
	NoStream Expected = -1
	Any      Expected = -2
)

// AtRevision expects the last event of the stream to have this revision.
func AtRevision(revision uint64) Expected { return Expected(revision) } //nolint:gosec // revisions stay far below 2^63

// String names the expectation as errors show it.
func (e Expected) String() string {
	switch e {
	case NoStream:
		return "no stream"
	case Any:
		return "any"
	default:
		return "revision " + strconv.FormatInt(int64(e), 10)
	}
}
