package activetokens

import (
	"strings"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
)

// Refold brings irregular families up to the end of a batch, event by event, whatever is in them.
// rows are those families as they were before the batch, zero where there was no row; they are
// changed. It is what the writes of Changes amount to for a family in which all is in order.
func Refold(rows map[refreshtoken.SessionID]*Row, events []eventstore.Recorded) (unreadable []Unreadable) {
	for i := range events {
		e := &events[i]
		if !strings.HasPrefix(e.Stream, refreshtoken.StreamPrefix) {
			continue
		}
		id, ok := refreshtoken.ParseStream(e.Stream)
		if !ok {
			continue // Reduce has counted it
		}
		if row := rows[id]; row != nil && !row.fold(id, e) {
			unreadable = append(unreadable, Unreadable{SessionID: id, Position: e.Position, Stream: e.Stream})
		}
	}
	return unreadable
}

// fold applies one event (A5). It reports whether the event can be read where it is; in a parked
// family nothing is read any more.
func (r *Row) fold(id refreshtoken.SessionID, e *eventstore.Recorded) (readable bool) {
	var err error
	switch r.Status {
	case Active, Revoked:
		err = r.follow(e)
	case Parked:
		r.Revision, r.Position = e.Revision, e.Position
	default:
		*r, err = issue(id, e)
	}
	if err == nil {
		return true
	}
	if r.Status != Revoked {
		r.Status = Parked
	}
	r.SessionID, r.Revision, r.Position = id, e.Revision, e.Position
	return false
}
