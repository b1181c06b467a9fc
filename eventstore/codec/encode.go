package codec

import (
	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// The names on the wire (C1).
const (
	RefreshTokenIssued         = "RefreshTokenIssued"
	RefreshTokenRotated        = "RefreshTokenRotated"
	TokenRevoked               = "TokenRevoked"
	UserLogoutAttempted        = "UserLogoutAttempted"
	UserLogoutSucceeded        = "UserLogoutSucceeded"
	UserLogoutFailed           = "UserLogoutFailed"
	TokenFingerprintRegistered = "TokenFingerprintRegistered"
	KeyAnnounced               = "KeyAnnounced"
)

// Encoded is an event as it is stored, but for its id and metadata.
type Encoded struct {
	Type   string
	Schema int // the version of the data, from 1; it travels in the metadata
	Data   []byte
}

// Encode writes the newest version of an event.
func Encode(e refreshtoken.Event) Encoded {
	o := newObject(make([]byte, 0, 256))
	var name string
	switch e := e.(type) {
	case refreshtoken.Issued:
		name = RefreshTokenIssued
		o.string("session_id", e.SessionID.String())
		o.string("user_id", e.UserID.String())
		o.optional("client_id", e.ClientID.String())
		o.number("generation", 0)
		o.time("issued_at", e.IssuedAt)
		o.time("expires_at", e.ExpiresAt)
		o.time("absolute_expires_at", e.AbsoluteExpiresAt)
		o.string("token_kind", e.Kind.String())
		o.optional("key_id", e.KeyID)
		o.optional("fingerprint", e.Fingerprint)
	case refreshtoken.Rotated:
		name = RefreshTokenRotated
		o.string("session_id", e.SessionID.String())
		o.string("user_id", e.UserID.String())
		o.number("generation", uint64(e.Generation))
		o.time("expires_at", e.ExpiresAt)
		o.optional("key_id", e.KeyID)
		o.optional("fingerprint", e.Fingerprint)
	case refreshtoken.Revoked:
		name = TokenRevoked
		o.string("session_id", e.SessionID.String())
		o.string("user_id", e.UserID.String())
		o.number("generation", uint64(e.Generation))
		o.string("reason", e.Reason.String())
		o.string("revoked_by", e.RevokedBy)
		o.optional("cause_id", e.CauseID)
	case refreshtoken.LogoutAttempted:
		name = UserLogoutAttempted
		o.string("user_id", e.UserID.String())
	case refreshtoken.LogoutSucceeded:
		name = UserLogoutSucceeded
		o.string("user_id", e.UserID.String())
		o.string("session_id", e.SessionID.String())
	case refreshtoken.LogoutFailed:
		name = UserLogoutFailed
		o.string("user_id", e.UserID.String())
		o.string("reason", e.Reason.String())
		if !e.SessionID.IsZero() {
			o.string("session_id", e.SessionID.String())
		}
	case refreshtoken.FingerprintRegistered:
		name = TokenFingerprintRegistered
		o.string("session_id", e.SessionID.String())
		o.number("generation", uint64(e.Generation))
	}
	return Encoded{Type: name, Schema: 1, Data: o.end()}
}

// EncodeAnnounced writes the newest version of an event about a key.
func EncodeAnnounced(e keyring.Announced) Encoded {
	o := newObject(nil)
	o.string("key_id", e.Key.ID)
	o.string("check", e.Key.Check)
	o.string("state", e.Key.Status.String())
	return Encoded{Type: KeyAnnounced, Schema: 1, Data: o.end()}
}
