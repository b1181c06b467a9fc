package refreshtoken

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"
)

// StreamPrefix is the category of every family's stream. An audit consumer filters by it.
const StreamPrefix = "refreshToken-"

// SessionID names a session and with it the family of its refresh tokens: a UUID,
// version 7 where logoutd makes it. The zero value names none.
type SessionID struct{ uuid [16]byte }

// SessionIDFrom takes the 16 bytes of a UUID.
func SessionIDFrom(uuid [16]byte) SessionID { return SessionID{uuid: uuid} }

// ParseSessionID reads the canonical form of a UUID (RFC 9562), 36 characters, in either case.
func ParseSessionID(s string) (SessionID, error) {
	var id SessionID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errors.New("a session id is a UUID of 36 characters")
	}
	plain := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id.uuid[:], []byte(plain)); err != nil {
		return SessionID{}, errors.New("a session id is a UUID of 36 characters")
	}
	return id, nil
}

// Bytes are the 16 bytes of the UUID.
func (id SessionID) Bytes() [16]byte { return id.uuid }

// IsZero reports whether the id names no session.
func (id SessionID) IsZero() bool { return id == SessionID{} }

// String is the canonical lower-case form.
func (id SessionID) String() string {
	b := make([]byte, 36)
	hex.Encode(b[0:8], id.uuid[0:4])
	hex.Encode(b[9:13], id.uuid[4:6])
	hex.Encode(b[14:18], id.uuid[6:8])
	hex.Encode(b[19:23], id.uuid[8:10])
	hex.Encode(b[24:36], id.uuid[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b)
}

// Stream is the name of the family's stream.
func (id SessionID) Stream() string { return StreamPrefix + id.String() }

// ParseStream gives the session whose family a stream holds; false for any other stream, the
// same id in upper case included: stream names are compared byte by byte, and a family has one.
func ParseStream(stream string) (SessionID, bool) {
	name, found := strings.CutPrefix(stream, StreamPrefix)
	if !found {
		return SessionID{}, false
	}
	id, err := ParseSessionID(name)
	return id, err == nil && id.String() == name
}

// MaxNameBytes is the longest user or client id.
const MaxNameBytes = 256

// UserID names the owner of a session, as the upstream service knows him: 1 to 256 bytes of
// UTF-8 without control characters. The zero value names nobody.
type UserID struct{ name string }

// ParseUserID checks a user id.
func ParseUserID(s string) (UserID, error) {
	if err := checkName(s); err != nil {
		return UserID{}, err
	}
	return UserID{name: s}, nil
}

// String is the id as it was given.
func (u UserID) String() string { return u.name }

// IsZero reports whether the id names nobody.
func (u UserID) IsZero() bool { return u.name == "" }

// ClientID names the OAuth client that a session belongs to. The zero value is "no client".
type ClientID struct{ name string }

// ParseClientID checks a client id by the rule of a user id; "" is no client.
func ParseClientID(s string) (ClientID, error) {
	if s == "" {
		return ClientID{}, nil
	}
	if err := checkName(s); err != nil {
		return ClientID{}, err
	}
	return ClientID{name: s}, nil
}

// String is the id as it was given, or "".
func (c ClientID) String() string { return c.name }

func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case len(s) > MaxNameBytes:
		return errors.New("must be at most 256 bytes long")
	case !utf8.ValidString(s):
		return errors.New("must be UTF-8")
	case strings.ContainsFunc(s, isControl):
		return errors.New("must not contain control characters")
	default:
		return nil
	}
}

// isControl covers the C1 block too: U+009B starts an escape sequence on some terminals, and
// names are shown on them.
func isControl(r rune) bool { return r < ' ' || 0x7f <= r && r <= 0x9f }
