package activetokens

import (
	"math"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
)

// Status of a session as it is stored (A4). Zero is none.
type Status uint8

// The statuses.
const (
	Active Status = iota + 1
	Revoked
	Parked // an event of the family cannot be read, so that nobody knows whether it lives (A5)
)

// String is the name that dumps and the HTTP API show.
func (s Status) String() string {
	switch s {
	case Active:
		return "active"
	case Revoked:
		return "revoked"
	case Parked:
		return "parked"
	}
	return ""
}

// Nanos is a time as nanoseconds since 1970 UTC. Zero is no time.
type Nanos int64

// NanosOf converts, cutting what does not fit.
func NanosOf(t time.Time) Nanos {
	const first, last = math.MinInt64 / int64(time.Second), math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case t.IsZero():
		return 0
	case s <= first:
		return math.MinInt64
	case s >= last:
		return math.MaxInt64
	}
	return Nanos(t.UnixNano())
}

// Time converts back, in UTC; the zero time for none.
func (n Nanos) Time() time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

// Row is one session. One that was parked before it was issued has no more than the fields that
// every row needs: SessionID, Status, Revision and Position.
type Row struct {
	SessionID         refreshtoken.SessionID
	UserID            refreshtoken.UserID
	ClientID          refreshtoken.ClientID // optional
	Kind              refreshtoken.Kind
	Generation        uint32 // of the newest token
	IssuedAt          Nanos
	ExpiresAt         Nanos // of the newest token
	AbsoluteExpiresAt Nanos // of the family
	Status            Status
	Revocation        Revocation          // the zero value unless revoked
	Revision          uint64              // of the last event applied (A2)
	Position          eventstore.Position // of that event
}

// Revocation says how a session ended.
type Revocation struct {
	At     Nanos // when the store recorded it
	Reason refreshtoken.Reason
	By     string // the id of the actor
}

// ExpiredAt reports whether the newest token of a session that was not revoked has expired.
func (r *Row) ExpiredAt(now time.Time) bool {
	return r.Status == Active && r.ExpiresAt <= NanosOf(now)
}

// Refused is a refused logout that named a session (A7).
type Refused struct {
	SessionID refreshtoken.SessionID
	Position  eventstore.Position // of UserLogoutFailed
	Stream    string
}

// Unreadable is an event that cannot be read, or is not where it should be in its stream.
type Unreadable struct {
	SessionID refreshtoken.SessionID // the family; zero where it is of none
	Position  eventstore.Position
	Stream    string
}
