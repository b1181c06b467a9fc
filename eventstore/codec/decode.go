package codec

import (
	"errors"
	"fmt"
	"time"

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

// Decode reads a stored event and its metadata. The error is a *DecodeError.
func Decode(r eventstore.Recorded) (Decoded, error) {
	meta, err := DecodeMetadata(r.Metadata)
	if err == nil {
		var event refreshtoken.Event
		if event, err = DecodeData(r.Type, meta.Schema, r.Data); err == nil {
			return Decoded{Event: event, Metadata: meta}, nil
		}
	}
	return Decoded{}, &DecodeError{Stream: r.Stream, Revision: r.Revision, Type: r.Type, Err: err}
}

// DecodeData reads the data of one event of a given type and schema version. A second
// version of an event adds a case of its own here and turns the first into its upcaster (C4).
func DecodeData(typeName string, schema int, data []byte) (refreshtoken.Event, error) {
	var decode func(*wire) (refreshtoken.Event, error)
	switch typeName {
	case RefreshTokenIssued:
		decode = (*wire).issued
	case RefreshTokenRotated:
		decode = (*wire).rotated
	case TokenRevoked:
		decode = (*wire).revoked
	case UserLogoutAttempted:
		decode = (*wire).attempted
	case UserLogoutSucceeded:
		decode = (*wire).succeeded
	case UserLogoutFailed:
		decode = (*wire).failed
	case TokenFingerprintRegistered:
		decode = (*wire).fingerprintRegistered
	default:
		return nil, ErrUnknownType
	}
	if schema != 1 {
		return nil, ErrUnknownSchema
	}
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, ErrMalformed // the cause may quote the data
	}
	return decode(&w)
}

// wire has every field of every event. A family's facts share their names and meanings, so
// one struct with the rules of each event below is shorter than one struct each.
type wire struct {
	SessionID         string    `json:"session_id"`
	UserID            string    `json:"user_id"`
	ClientID          string    `json:"client_id"`
	Generation        uint32    `json:"generation"`
	IssuedAt          time.Time `json:"issued_at"`
	ExpiresAt         time.Time `json:"expires_at"`
	AbsoluteExpiresAt time.Time `json:"absolute_expires_at"`
	TokenKind         string    `json:"token_kind"`
	Fingerprint       string    `json:"fingerprint"`
	Reason            string    `json:"reason"`
	RevokedBy         string    `json:"revoked_by"`
	CauseID           string    `json:"cause_id"`
}

// session and user are on nearly every event.
func (w *wire) session() (refreshtoken.SessionID, error) {
	return malformed(refreshtoken.ParseSessionID(w.SessionID))
}

func (w *wire) user() (refreshtoken.UserID, error) {
	return malformed(refreshtoken.ParseUserID(w.UserID))
}

func malformed[T any](v T, err error) (T, error) {
	if err != nil {
		return v, ErrMalformed
	}
	return v, nil
}

func (w *wire) issued() (refreshtoken.Event, error) {
	session, err1 := w.session()
	user, err2 := w.user()
	client, err3 := malformed(refreshtoken.ParseClientID(w.ClientID))
	kind, err4 := malformed(refreshtoken.ParseKind(w.TokenKind))
	return refreshtoken.Issued{
		SessionID: session, UserID: user, ClientID: client, Kind: kind, Fingerprint: w.Fingerprint,
		IssuedAt: w.IssuedAt, ExpiresAt: w.ExpiresAt, AbsoluteExpiresAt: w.AbsoluteExpiresAt,
	}, first(err1, err2, err3, err4)
}

func (w *wire) rotated() (refreshtoken.Event, error) {
	session, err1 := w.session()
	user, err2 := w.user()
	return refreshtoken.Rotated{
		SessionID: session, UserID: user, Generation: w.Generation, ExpiresAt: w.ExpiresAt, Fingerprint: w.Fingerprint,
	}, first(err1, err2)
}

func (w *wire) revoked() (refreshtoken.Event, error) {
	session, err1 := w.session()
	user, err2 := w.user()
	reason, err3 := malformed(refreshtoken.ParseReason(w.Reason))
	return refreshtoken.Revoked{
		SessionID: session, UserID: user, Generation: w.Generation, Reason: reason,
		RevokedBy: w.RevokedBy, CauseID: w.CauseID,
	}, first(err1, err2, err3)
}

func (w *wire) attempted() (refreshtoken.Event, error) {
	user, err := w.user()
	return refreshtoken.LogoutAttempted{UserID: user}, err
}

func (w *wire) succeeded() (refreshtoken.Event, error) {
	user, err1 := w.user()
	session, err2 := w.session()
	return refreshtoken.LogoutSucceeded{UserID: user, SessionID: session}, first(err1, err2)
}

func (w *wire) failed() (refreshtoken.Event, error) {
	user, err1 := w.user()
	reason, err2 := malformed(refreshtoken.ParseRefusal(w.Reason))
	var session refreshtoken.SessionID
	var err3 error
	if w.SessionID != "" {
		session, err3 = w.session()
	}
	return refreshtoken.LogoutFailed{UserID: user, Reason: reason, SessionID: session}, first(err1, err2, err3)
}

func (w *wire) fingerprintRegistered() (refreshtoken.Event, error) {
	session, err := w.session()
	return refreshtoken.FingerprintRegistered{SessionID: session, Generation: w.Generation}, err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
