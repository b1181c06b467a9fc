package activetokens

import (
	"errors"
	"slices"
	"strings"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
	"github.com/logoutd/logoutd/projections"
)

// RefusalPrefix is the category of the streams that record refused logouts.
const RefusalPrefix = "userLogout-"

var (
	errNotIssued = errors.New("the family does not begin with " + codec.RefreshTokenIssued)
	errOrder     = errors.New("the revision does not follow the one before it")
	errSession   = errors.New("the event names another session than its stream")
)

// Reducer turns events into Changes. It keeps its memory from one batch to the next;
// one goroutine uses it.
type Reducer struct {
	changes Changes
	// touched says where the change of a session is: an index into Inserts, or into
	// Updates when negative (-1 is the first).
	touched   map[refreshtoken.SessionID]int
	irregular map[refreshtoken.SessionID]bool

	// The session of the stream seen last: three events in a row share it.
	stream  string
	session refreshtoken.SessionID
}

// Reduce maps a batch that follows the checkpoint given. The answer is valid until the next call.
func (r *Reducer) Reduce(at projections.Checkpoint, events []eventstore.Recorded) *Changes {
	r.reset(at)
	for i := range events {
		e := &events[i]
		r.event(e)
		r.changes.Checkpoint = projections.Checkpoint{Position: e.Position, Last: projections.RefTo(e)}
	}
	if c := &r.changes; len(c.Irregular) > 0 {
		c.Inserts = slices.DeleteFunc(c.Inserts, func(row Row) bool { return r.irregular[row.SessionID] })
		c.Updates = slices.DeleteFunc(c.Updates, func(u Update) bool { return r.irregular[u.SessionID] })
	}
	return &r.changes
}

func (r *Reducer) reset(at projections.Checkpoint) {
	c := &r.changes
	clear(c.Inserts)
	clear(c.Updates)
	clear(c.Refused)
	*c = Changes{
		Inserts: c.Inserts[:0], Updates: c.Updates[:0], Refused: c.Refused[:0],
		Unreadable: c.Unreadable[:0], Irregular: c.Irregular[:0], Checkpoint: at,
	}
	if r.touched == nil {
		r.touched = make(map[refreshtoken.SessionID]int)
		r.irregular = make(map[refreshtoken.SessionID]bool)
	}
	clear(r.touched)
	clear(r.irregular)
}

func (r *Reducer) event(e *eventstore.Recorded) {
	switch {
	case strings.HasPrefix(e.Stream, refreshtoken.StreamPrefix):
		if !r.enter(e.Stream) {
			r.skip(e)
			return
		}
		if r.irregular[r.session] {
			return
		}
		if err := r.family(e); err != nil {
			r.irregular[r.session] = true
			r.changes.Irregular = append(r.changes.Irregular, r.session)
		}
	case strings.HasPrefix(e.Stream, RefusalPrefix):
		r.refusal(e)
	}
	// A8
}

// enter makes the session of a family's stream the current one, unless its name ends in none.
func (r *Reducer) enter(stream string) bool {
	if stream == r.stream {
		return true
	}
	id, ok := refreshtoken.ParseStream(stream)
	if ok {
		r.stream, r.session = stream, id
	}
	return ok
}

// skip passes over an event that cannot be read and is of no family (A3).
func (r *Reducer) skip(e *eventstore.Recorded) {
	r.changes.Unreadable = append(r.changes.Unreadable, Unreadable{Position: e.Position, Stream: e.Stream})
}

// family takes an event that is in order as far as the batch tells. The error says only that it is not.
func (r *Reducer) family(e *eventstore.Recorded) error {
	c := &r.changes
	i, known := r.touched[r.session]
	switch {
	case !known && e.Revision == 0:
		row, err := issue(r.session, e)
		if err != nil {
			return err
		}
		r.touched[r.session] = len(c.Inserts)
		c.Inserts = append(c.Inserts, row)
		return nil
	case !known:
		i = -1 - len(c.Updates)
		r.touched[r.session] = i
		c.Updates = append(c.Updates, Update{SessionID: r.session, Before: e.Revision - 1, Revision: e.Revision - 1})
	}
	if i >= 0 {
		return c.Inserts[i].follow(e)
	}
	u := &c.Updates[-1-i]
	if u.Revision+1 != e.Revision {
		return errOrder
	}
	return u.add(e)
}

// issue begins a row (A1).
func issue(session refreshtoken.SessionID, e *eventstore.Recorded) (Row, error) {
	fact, err := decode(e)
	if err != nil {
		return Row{}, err
	}
	issued, ok := fact.(refreshtoken.Issued)
	switch {
	case !ok || e.Revision != 0:
		return Row{}, errNotIssued
	case issued.SessionID != session:
		return Row{}, errSession
	}
	return Row{
		SessionID: issued.SessionID, UserID: issued.UserID, ClientID: issued.ClientID, Kind: issued.Kind,
		IssuedAt: NanosOf(issued.IssuedAt), ExpiresAt: NanosOf(issued.ExpiresAt),
		AbsoluteExpiresAt: NanosOf(issued.AbsoluteExpiresAt),
		Status:            Active, Revision: e.Revision, Position: e.Position,
	}, nil
}

// follow applies the next event to a row that is not parked (A2, A6), or changes nothing.
func (r *Row) follow(e *eventstore.Recorded) error {
	if e.Revision != r.Revision+1 {
		return errOrder
	}
	u := Update{SessionID: r.SessionID}
	if err := u.add(e); err != nil {
		return err
	}
	if u.Rotated {
		r.Generation, r.ExpiresAt = u.Generation, u.ExpiresAt
	}
	if u.Revoked {
		r.Status, r.Revocation = Revoked, u.Revocation
	}
	r.Revision, r.Position = u.Revision, u.Position
	return nil
}

// add adds one event to a change (A5, A6).
func (u *Update) add(e *eventstore.Recorded) error {
	u.Revision, u.Position = e.Revision, e.Position
	if e.Type == codec.UserLogoutAttempted || e.Type == codec.UserLogoutSucceeded {
		return nil // they say nothing that a row shows, so their data is not even looked at
	}
	fact, err := decode(e)
	if err != nil {
		return err
	}
	session := u.SessionID
	switch fact := fact.(type) {
	case refreshtoken.Rotated:
		session = fact.SessionID
		u.Rotated, u.Generation, u.ExpiresAt = true, fact.Generation, NanosOf(fact.ExpiresAt)
	case refreshtoken.Revoked:
		session = fact.SessionID
		u.Revoked = true
		u.Revocation = Revocation{At: NanosOf(e.RecordedAt), Reason: fact.Reason, By: fact.RevokedBy}
	case refreshtoken.Issued, refreshtoken.LogoutAttempted, refreshtoken.LogoutSucceeded,
		refreshtoken.LogoutFailed, refreshtoken.FingerprintRegistered:
		// A second issue changes nothing, as in State.Apply; the others are no facts of a family.
	}
	if session != u.SessionID {
		return errSession
	}
	return nil
}

// refusal checks an event of a refused logout's stream (A3) and remembers whom it named (A7).
func (r *Reducer) refusal(e *eventstore.Recorded) {
	expected := uint64(0)
	if last := &r.changes.Checkpoint.Last; last.Stream == e.Stream {
		expected = last.Revision + 1
	}
	if e.Revision != expected {
		r.skip(e)
		return
	}
	if e.Type == codec.UserLogoutAttempted {
		return
	}
	fact, err := decode(e)
	if err != nil {
		r.skip(e)
		return
	}
	if failed, ok := fact.(refreshtoken.LogoutFailed); ok && !failed.SessionID.IsZero() {
		r.changes.Refused = append(r.changes.Refused,
			Refused{SessionID: failed.SessionID, Position: e.Position, Stream: e.Stream})
	}
}
