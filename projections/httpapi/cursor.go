package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
)

// Cursors are a letter for their route and what that route needs, in base64url (H4).
const (
	tokensCursor   = 't'
	timelineCursor = 'l'
)

var errCursor = errors.New("not a cursor of this route; take next_cursor as it is, or leave it out for the first page")

func encodeCursor(kind byte, rest []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{kind}, rest...))
}

func decodeCursor(s string, kind byte, size int) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != size+1 || b[0] != kind {
		return nil, errCursor
	}
	return b[1:], nil
}

func encodeTokensCursor(before refreshtoken.SessionID) string {
	if before.IsZero() {
		return ""
	}
	id := before.Bytes()
	return encodeCursor(tokensCursor, id[:])
}

func parseTokensCursor(s string) (refreshtoken.SessionID, error) {
	b, err := decodeCursor(s, tokensCursor, 16)
	if err != nil {
		return refreshtoken.SessionID{}, err
	}
	return refreshtoken.SessionIDFrom([16]byte(b)), nil
}

// timelinePlace is where a timeline goes on: after a position, with a revision of the family.
type timelinePlace struct {
	after    eventstore.Position
	revision uint64
}

func (p timelinePlace) String() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.after))
	return encodeCursor(timelineCursor, binary.BigEndian.AppendUint64(b, p.revision))
}

func parseTimelineCursor(s string) (timelinePlace, error) {
	b, err := decodeCursor(s, timelineCursor, 16)
	if err != nil {
		return timelinePlace{}, err
	}
	return timelinePlace{
		after:    eventstore.Position(binary.BigEndian.Uint64(b)),
		revision: binary.BigEndian.Uint64(b[8:]),
	}, nil
}
