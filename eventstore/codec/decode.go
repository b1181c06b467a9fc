package codec

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
)

// The errors of Decode; DecodeError carries which event they are about.
var (
	// ErrUnknownType: the event is not one of this package. In a stream of another
	// category that is normal; in a family's stream it is not.
	ErrUnknownType = errors.New("unknown event type")
	// ErrUnknownSchema: a newer logoutd wrote the event. Upgrade this one.
	ErrUnknownSchema = errors.New("unknown schema version, written by a newer logoutd")
	// ErrMalformed: the data is not what its type and version say.
	ErrMalformed = errors.New("malformed event data")
)

// DecodeError is an event that cannot be decoded (C5). It never shows the data.
type DecodeError struct {
	Stream   string
	Revision uint64
	Type     string
	Err      error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("stream %s revision %d type %s: %v", e.Stream, e.Revision, e.Type, e.Err)
}

// Unwrap gives one of the errors above.
func (e *DecodeError) Unwrap() error { return e.Err }

// Decoded is a typed event with its metadata.
type Decoded struct {
	Event    refreshtoken.Event
	Metadata Metadata
}

// Decode reads a stored event and its metadata. The error is a *DecodeError. The type is
// looked at first: of a foreign event nothing is known, its metadata least of all.
func Decode(r eventstore.Recorded) (Decoded, error) {
	decoded, err := decode(r)
	if err != nil {
		return Decoded{}, &DecodeError{Stream: r.Stream, Revision: r.Revision, Type: r.Type, Err: err}
	}
	return decoded, nil
}

func decode(r eventstore.Recorded) (Decoded, error) {
	if _, err := decoderOf(r.Type); err != nil {
		return Decoded{}, err
	}
	meta, err := DecodeMetadata(r.Metadata)
	if err != nil {
		return Decoded{}, err
	}
	event, err := DecodeData(r.Type, meta.Schema, r.Data)
	return Decoded{Event: event, Metadata: meta}, err
}

// DecodeData reads the data of one event of a given type and schema version. A second
// version of an event adds a case of its own here and turns the first into its upcaster (C4).
func DecodeData(typeName string, schema int, data []byte) (refreshtoken.Event, error) {
	read, err := decoderOf(typeName)
	if err != nil {
		return nil, err
	}
	if schema != 1 {
		return nil, ErrUnknownSchema
	}
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, ErrMalformed // the cause may quote the data
	}
	event, err := read(&w)
	if err != nil {
		return nil, err
	}
	return event, nil
}

func decoderOf(typeName string) (func(*wire) (refreshtoken.Event, error), error) {
	switch typeName {
	case RefreshTokenIssued:
		return (*wire).issued, nil
	case RefreshTokenRotated:
		return (*wire).rotated, nil
	case TokenRevoked:
		return (*wire).revoked, nil
	case UserLogoutAttempted:
		return (*wire).attempted, nil
	case UserLogoutSucceeded:
		return (*wire).succeeded, nil
	case UserLogoutFailed:
		return (*wire).failed, nil
	case TokenFingerprintRegistered:
		return (*wire).fingerprintRegistered, nil
	default:
		return nil, ErrUnknownType
	}
}
