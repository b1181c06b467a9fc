package activetokens

import (
	"errors"
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
	errStream    = errors.New("the stream name ends in no session id")
	errSession   = errors.New("the event names another session than its stream")
)

// Reducer turns events into Changes. It keeps its memory from one batch to the next;
// one goroutine uses it.
type Reducer struct {
	changes Changes
	// touched says where the change of a session is: an index into Inserts, or into
	// Updates when negative (-1 is the first).
	touched map[refreshtoken.SessionID]int

	// The session of the stream seen last: three events in a row share it.
	stream  string
	session refreshtoken.SessionID
}

// Reduce maps a batch that follows the checkpoint given. The answer is valid until the next
// call. The error is a *projections.GapError or a *codec.DecodeError.
func (r *Reducer) Reduce(at projections.Checkpoint, events []eventstore.Recorded) (*Changes, error) {
	r.reset(at)
	for i := range events {
		e := &events[i]
		if err := r.event(e); err != nil {
			return nil, err
		}
		r.changes.Checkpoint = projections.Checkpoint{Position: e.Position, Last: projections.RefTo(e)}
	}
	return &r.changes, nil
}

func (r *Reducer) reset(at projections.Checkpoint) {
	c := &r.changes
	clear(c.Inserts)
	clear(c.Updates)
	clear(c.Refused)
	*c = Changes{Inserts: c.Inserts[:0], Updates: c.Updates[:0], Refused: c.Refused[:0], Checkpoint: at}
	if r.touched == nil {
		r.touched = make(map[refreshtoken.SessionID]int)
	}
	clear(r.touched)
}

func (r *Reducer) event(e *eventstore.Recorded) error {
	switch {
	case strings.HasPrefix(e.Stream, refreshtoken.StreamPrefix):
		return r.family(e)
	case strings.HasPrefix(e.Stream, RefusalPrefix):
		return r.refusal(e)
	}
	return nil // A8
}

func (r *Reducer) family(e *eventstore.Recorded) error {
	if e.Stream != r.stream {
		id, ok := refreshtoken.ParseStream(e.Stream)
		if !ok {
			return undecodable(e, errStream)
		}
		r.stream, r.session = e.Stream, id
	}
	i, known := r.touched[r.session]
	switch {
	case !known && e.Revision == 0:
		return r.issue(e)
	case !known:
		i = -1 - len(r.changes.Updates)
		r.touched[r.session] = i
		r.changes.Updates = append(r.changes.Updates, Update{SessionID: r.session, Before: e.Revision - 1})
	case r.revision(i)+1 != e.Revision:
		return &projections.GapError{
			Stream: e.Stream, Expected: r.revision(i) + 1, Got: e.Revision, Position: e.Position,
		}
	}
	if i >= 0 {
		return r.onRow(&r.changes.Inserts[i], e)
	}
	return r.onUpdate(&r.changes.Updates[-1-i], e)
}

func (r *Reducer) revision(i int) uint64 {
	if i >= 0 {
		return r.changes.Inserts[i].Revision
	}
	return r.changes.Updates[-1-i].Revision
}

// issue begins a row (A1).
func (r *Reducer) issue(e *eventstore.Recorded) error {
	fact, err := decode(e)
	if err != nil {
		return err
	}
	issued, ok := fact.(refreshtoken.Issued)
	if !ok {
		return undecodable(e, errNotIssued)
	}
	if issued.SessionID != r.session {
		return undecodable(e, errSession)
	}
	r.touched[r.session] = len(r.changes.Inserts)
	r.changes.Inserts = append(r.changes.Inserts, Row{
		SessionID: issued.SessionID, UserID: issued.UserID, ClientID: issued.ClientID, Kind: issued.Kind,
		IssuedAt: NanosOf(issued.IssuedAt), ExpiresAt: NanosOf(issued.ExpiresAt),
		AbsoluteExpiresAt: NanosOf(issued.AbsoluteExpiresAt),
		Status:            Active, Revision: e.Revision, Position: e.Position,
	})
	return nil
}

func (r *Reducer) onRow(row *Row, e *eventstore.Recorded) error {
	var u Update
	if err := r.onUpdate(&u, e); err != nil {
		return err
	}
	if u.Rotated {
		row.Generation, row.ExpiresAt = u.Generation, u.ExpiresAt
	}
	if u.Revoked {
		row.Status, row.Revocation = Revoked, u.Revocation
	}
	row.Revision, row.Position = u.Revision, u.Position
	return nil
}

// onUpdate adds one event to a change (A5, A6).
func (r *Reducer) onUpdate(u *Update, e *eventstore.Recorded) error {
	u.Revision, u.Position = e.Revision, e.Position
	if e.Type == codec.UserLogoutAttempted || e.Type == codec.UserLogoutSucceeded {
		return nil // they say nothing that a row shows, so their data is not even looked at
	}
	fact, err := decode(e)
	if err != nil {
		return err
	}
	session := r.session
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
	if session != r.session {
		return undecodable(e, errSession)
	}
	return nil
}

// refusal checks a refused logout's stream (A3) and remembers whom it named (A7).
func (r *Reducer) refusal(e *eventstore.Recorded) error {
	expected := uint64(0)
	if last := &r.changes.Checkpoint.Last; last.Stream == e.Stream {
		expected = last.Revision + 1
	}
	if e.Revision != expected {
		return &projections.GapError{Stream: e.Stream, Expected: expected, Got: e.Revision, Position: e.Position}
	}
	if e.Type != codec.UserLogoutFailed {
		return nil
	}
	fact, err := decode(e)
	if err != nil {
		return err
	}
	if failed, ok := fact.(refreshtoken.LogoutFailed); ok && !failed.SessionID.IsZero() {
		r.changes.Refused = append(r.changes.Refused,
			Refused{SessionID: failed.SessionID, Position: e.Position, Stream: e.Stream})
	}
	return nil
}
