package refreshtoken

import "time"

// Event is a fact about a family or about an attempt to end one. The set is closed; its
// names on the wire, with their versions, live in eventstore/codec.
//
//sumtype:decl
type Event interface{ event() }

// Issued starts a family with its first token, generation 0.
type Issued struct {
	SessionID         SessionID
	UserID            UserID
	ClientID          ClientID // optional
	IssuedAt          time.Time
	ExpiresAt         time.Time // of the token
	AbsoluteExpiresAt time.Time // of the family
	Kind              Kind
	KeyID             string // of the key that minted or fingerprinted the token
	Fingerprint       string // of a registered token, keyed, hexadecimal; else ""
}

// Rotated replaces the token of a family by its successor.
type Rotated struct {
	SessionID   SessionID
	UserID      UserID
	Generation  uint32 // of the successor
	ExpiresAt   time.Time
	KeyID       string
	Fingerprint string
}

// Revoked ends a family for ever.
type Revoked struct {
	SessionID  SessionID
	UserID     UserID // the owner
	Generation uint32 // of the newest token
	Reason     Reason
	RevokedBy  string // who decided it: the id of the actor
	CauseID    string // the event that led to it, where there is one
}

// LogoutAttempted opens the record of a logout, whatever comes of it.
type LogoutAttempted struct {
	UserID UserID // who wants to log out
}

// LogoutSucceeded closes the record of a logout that ended the session.
type LogoutSucceeded struct {
	UserID    UserID
	SessionID SessionID
}

// LogoutFailed closes the record of a refused logout.
type LogoutFailed struct {
	UserID    UserID // who wanted to log out
	Reason    Refusal
	SessionID SessionID // of the token, when it was recognised
}

// FingerprintRegistered is the pointer from the fingerprint of a registered token, which
// names the stream, to the family and generation it belongs to.
type FingerprintRegistered struct {
	SessionID  SessionID
	Generation uint32
}

func (Issued) event()                {}
func (Rotated) event()               {}
func (Revoked) event()               {}
func (LogoutAttempted) event()       {}
func (LogoutSucceeded) event()       {}
func (LogoutFailed) event()          {}
func (FingerprintRegistered) event() {}
