package codec

import (
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// wire has every field of every event. A family's facts share their names and meanings, so
// one struct with the rules of each event below is shorter than one struct each. Where the
// zero value is a legal one a pointer tells it from a missing field, which is never
// guessed (C5).
type wire struct {
	SessionID         string     `json:"session_id"`
	UserID            string     `json:"user_id"`
	ClientID          string     `json:"client_id"`
	Generation        *uint32    `json:"generation"`
	IssuedAt          *time.Time `json:"issued_at"`
	ExpiresAt         *time.Time `json:"expires_at"`
	AbsoluteExpiresAt *time.Time `json:"absolute_expires_at"`
	TokenKind         string     `json:"token_kind"`
	KeyID             string     `json:"key_id"`
	Fingerprint       string     `json:"fingerprint"`
	Reason            string     `json:"reason"`
	RevokedBy         *string    `json:"revoked_by"`
	CauseID           string     `json:"cause_id"`
}

// session and user are on nearly every event.
func (w *wire) session() (refreshtoken.SessionID, error) {
	return malformed(refreshtoken.ParseSessionID(w.SessionID))
}

func (w *wire) user() (refreshtoken.UserID, error) {
	return malformed(refreshtoken.ParseUserID(w.UserID))
}

// present takes a required field.
func present[T any](field *T) (T, error) {
	if field == nil {
		var none T
		return none, ErrMalformed
	}
	return *field, nil
}

// moment takes a required time. A year that only an offset pushes out of RFC 3339 could not be
// written again.
func moment(field *time.Time) (time.Time, error) {
	t, err := present(field)
	if t = t.UTC(); err != nil || !writable(t) {
		return time.Time{}, ErrMalformed
	}
	return t, nil
}

func writable(t time.Time) bool { return 0 <= t.Year() && t.Year() <= 9999 }

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
	at, err5 := moment(w.IssuedAt)
	expires, err6 := moment(w.ExpiresAt)
	absolute, err7 := moment(w.AbsoluteExpiresAt)
	generation, err8 := present(w.Generation)
	if generation != 0 {
		err8 = ErrMalformed // a family begins with 0; the event has no place for another
	}
	return refreshtoken.Issued{
		SessionID: session, UserID: user, ClientID: client, Kind: kind, KeyID: w.KeyID, Fingerprint: w.Fingerprint,
		IssuedAt: at, ExpiresAt: expires, AbsoluteExpiresAt: absolute,
	}, first(err1, err2, err3, err4, err5, err6, err7, err8)
}

func (w *wire) rotated() (refreshtoken.Event, error) {
	session, err1 := w.session()
	user, err2 := w.user()
	generation, err3 := present(w.Generation)
	expires, err4 := moment(w.ExpiresAt)
	return refreshtoken.Rotated{
		SessionID: session, UserID: user, Generation: generation, ExpiresAt: expires,
		KeyID: w.KeyID, Fingerprint: w.Fingerprint,
	}, first(err1, err2, err3, err4)
}

func (w *wire) revoked() (refreshtoken.Event, error) {
	session, err1 := w.session()
	user, err2 := w.user()
	reason, err3 := malformed(refreshtoken.ParseReason(w.Reason))
	generation, err4 := present(w.Generation)
	by, err5 := present(w.RevokedBy)
	return refreshtoken.Revoked{
		SessionID: session, UserID: user, Generation: generation, Reason: reason,
		RevokedBy: by, CauseID: w.CauseID,
	}, first(err1, err2, err3, err4, err5)
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
	session, err1 := w.session()
	generation, err2 := present(w.Generation)
	return refreshtoken.FingerprintRegistered{SessionID: session, Generation: generation}, first(err1, err2)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
