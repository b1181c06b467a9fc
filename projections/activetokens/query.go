package activetokens

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
)

// MaxExamined is the number of rows that one List looks at (A9): it bounds what a query for a few
// active sessions among very many revoked ones costs.
const MaxExamined = 5_000

// ErrNotFound: no such session has been applied yet.
var ErrNotFound = errors.New("session not found")

// Filter selects by status as a reader sees it (A4).
type Filter uint8

// The filters. The zero value is OnlyActive.
const (
	OnlyActive Filter = iota // neither revoked nor expired
	OnlyExpired
	OnlyRevoked
	OnlyParked
	All
)

// String is the name that ParseFilter reads.
func (f Filter) String() string {
	switch f {
	case OnlyActive:
		return "active"
	case OnlyExpired:
		return "expired"
	case OnlyRevoked:
		return "revoked"
	case OnlyParked:
		return "parked"
	case All:
		return "all"
	}
	return ""
}

// ParseFilter reads a name; "" is OnlyActive.
func ParseFilter(s string) (Filter, error) {
	if s == "" {
		return OnlyActive, nil
	}
	for f := OnlyActive; f <= All; f++ {
		if f.String() == s {
			return f, nil
		}
	}
	return 0, errors.New("is one of active, expired, revoked, parked, all")
}

// Query asks for sessions. A zero field does not restrict.
type Query struct {
	UserID   refreshtoken.UserID
	ClientID refreshtoken.ClientID
	Filter   Filter
	Now      time.Time              // for OnlyActive and OnlyExpired
	Before   refreshtoken.SessionID // sessions below this one: where the page before ended
	Limit    int                    // 1 to MaxExamined
}

// Page is a part of an answer.
type Page struct {
	Rows     []Row
	Next     refreshtoken.SessionID // Before of the next page; zero at the end (A9)
	Position eventstore.Position    // of the read model (A10)
}

// Damage counts what could not be read. It is small: all of it was written by somebody else.
type Damage struct {
	Families int                      // with an unreadable event: parked, or revoked before
	First    []refreshtoken.SessionID // of them, at most MaxFirst, by position
	Skipped  int                      // unreadable events of no family
}

// MaxFirst is how many families Damage names.
const MaxFirst = 3

// Reader answers queries. Its methods may be called from any number of goroutines.
type Reader interface {
	// Session answers one row, and the position of the read model, which is answered with
	// ErrNotFound too.
	Session(ctx context.Context, id refreshtoken.SessionID) (Row, eventstore.Position, error)
	// List answers one page (A9, A10).
	List(ctx context.Context, q Query) (Page, error)
	// Refused answers up to limit refused logouts that named a session, in the global order,
	// after a position.
	Refused(ctx context.Context, id refreshtoken.SessionID, after eventstore.Position, limit int) ([]Refused, error)
	// Damage counts unreadable events.
	Damage(ctx context.Context) (Damage, error)
}

// ReadModel is what an adapter provides.
type ReadModel interface {
	projections.Projection
	Reader
	// Dump writes everything that depends on events, as text, in an order that depends on
	// nothing else: two read models are equal when their dumps are (P7).
	Dump(ctx context.Context, w io.Writer) error
	// Close ends it; Run of its runner must have returned.
	Close() error
}
