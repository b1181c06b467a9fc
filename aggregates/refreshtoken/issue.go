package refreshtoken

import (
	"errors"
	"time"
)

// The errors of Issue and Rotate.
var (
	ErrAlreadyIssued  = errors.New("session already has a refresh token family")
	ErrNotIssued      = errors.New("no such session")
	ErrEnded          = errors.New("session has ended")
	ErrExpired        = errors.New("refresh token has expired")
	ErrNotNewest      = errors.New("refresh token was replaced by a successor")
	ErrInvalidRequest = errors.New("incomplete or contradictory request")
)

// Issue starts a family.
type Issue struct {
	SessionID         SessionID
	UserID            UserID
	ClientID          ClientID
	Kind              Kind
	KeyID             string // of the key that mints or fingerprints the token
	Fingerprint       string // of a registered token
	Now               time.Time
	ExpiresAt         time.Time
	AbsoluteExpiresAt time.Time
}

// lastYear that RFC 3339, and so the record, can express. An event beyond it could be written
// and never be read again.
const lastYear = 9999

// lastGeneration ends the rotations of a family: one more would wrap around to 0 and make
// the first token the newest again (R3).
const lastGeneration = ^uint32(0)

// Issue decides the first token of a family (R1). It answers ErrAlreadyIssued for a family that
// exists, and ErrInvalidRequest where a field is missing, a value is outside its closed set
// or calendar, or the token would be born expired.
// A token never outlives its family: a later ExpiresAt is cut (R7).
func (s State) Issue(r Issue) ([]Event, error) {
	if s.Status != Absent {
		return nil, ErrAlreadyIssued
	}
	expires := earlier(r.ExpiresAt, r.AbsoluteExpiresAt)
	if r.SessionID.IsZero() || r.UserID.IsZero() || !r.Kind.valid() || !expires.After(r.Now) ||
		r.AbsoluteExpiresAt.UTC().Year() > lastYear || (r.Kind == Registered) != (r.Fingerprint != "") {
		return nil, ErrInvalidRequest
	}
	return []Event{Issued{
		SessionID: r.SessionID, UserID: r.UserID, ClientID: r.ClientID, Kind: r.Kind, KeyID: r.KeyID, Fingerprint: r.Fingerprint,
		IssuedAt: r.Now, ExpiresAt: expires, AbsoluteExpiresAt: r.AbsoluteExpiresAt,
	}}, nil
}

// Rotate asks to replace a presented token by its successor.
type Rotate struct {
	Generation  uint32 // of the presented token
	KeyID       string // of the key that mints or fingerprints the successor
	Fingerprint string // of the successor, where it is registered
	Now         time.Time
	ExpiresAt   time.Time // of the successor
}

// Rotate decides the successor of the newest token of a live family (R2, R3, R7). ErrExpired
// covers everything that time or use has worn out: the user signs in again.
func (s State) Rotate(r Rotate) ([]Event, error) {
	expires := earlier(r.ExpiresAt, s.AbsoluteExpiresAt)
	switch {
	case s.Status == Absent:
		return nil, ErrNotIssued
	case s.Status == Ended:
		return nil, ErrEnded
	case r.Generation != s.Generation:
		return nil, ErrNotNewest
	case !s.ExpiresAt.After(r.Now) || s.Generation == lastGeneration:
		return nil, ErrExpired
	case !expires.After(r.Now) || (s.Kind == Registered) != (r.Fingerprint != ""):
		return nil, ErrInvalidRequest
	}
	return []Event{Rotated{
		SessionID: s.SessionID, UserID: s.UserID, Generation: s.Generation + 1,
		ExpiresAt: expires, KeyID: r.KeyID, Fingerprint: r.Fingerprint,
	}}, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
