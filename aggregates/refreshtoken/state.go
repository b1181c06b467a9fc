package refreshtoken

import "time"

// Status of a family.
type Status uint8

// The statuses, in the only order in which a family passes through them.
const (
	Absent Status = iota // never issued
	Live
	Ended
)

// State is a family as its events tell it. The zero value was never issued.
type State struct {
	Status            Status
	SessionID         SessionID
	UserID            UserID
	ClientID          ClientID
	Kind              Kind
	Fingerprint       string // of the first token, where it is registered
	Generation        uint32 // of the newest token
	IssuedAt          time.Time
	ExpiresAt         time.Time // of the newest token
	AbsoluteExpiresAt time.Time
	EndReason         Reason // when ended
}

// Fold replays a history from nothing.
func Fold(events ...Event) State {
	var s State
	for _, e := range events {
		s = s.Apply(e)
	}
	return s
}

// Apply gives the state after an event. It judges nothing: what was recorded has happened (R9).
// Only revocation is sticky: no event brings a family back (R2).
func (s State) Apply(e Event) State {
	switch e := e.(type) {
	case Issued:
		if s.Status == Absent {
			s = State{
				Status: Live, SessionID: e.SessionID, UserID: e.UserID, ClientID: e.ClientID, Kind: e.Kind, Fingerprint: e.Fingerprint,
				IssuedAt: e.IssuedAt, ExpiresAt: e.ExpiresAt, AbsoluteExpiresAt: e.AbsoluteExpiresAt,
			}
		}
	case Rotated:
		s.Generation, s.ExpiresAt = e.Generation, e.ExpiresAt
	case Revoked:
		s.Status, s.EndReason = Ended, e.Reason
	case LogoutAttempted, LogoutSucceeded, LogoutFailed, FingerprintRegistered:
		// They record what somebody did; the facts above carry what came of it.
	}
	return s
}
