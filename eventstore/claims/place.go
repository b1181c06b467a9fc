package claims

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
)

// stored is what is at a place.
type stored struct {
	place  place
	events []eventstore.Recorded // at most Count; empty while the place is free
}

// look reads a place.
func (s *Store) look(ctx context.Context, p place) (stored, error) {
	at := stored{place: p}
	for r, err := range s.inner.ReadStream(ctx, p.Stream, uint64(p.Expected+1), eventstore.Forward) { //nolint:gosec // from 0
		switch {
		case errors.Is(err, eventstore.ErrStreamNotFound):
			return at, nil
		case err != nil:
			return stored{}, err
		}
		if at.events = append(at.events, r); len(at.events) == p.Count {
			break
		}
	}
	return at, nil
}

func (at stored) free() bool { return len(at.events) == 0 }

// holds reports whether the append that begins with an id was stored here.
func (at stored) holds(id eventstore.EventID) bool {
	return !at.free() && at.events[0].ID == id
}

// answer is what a later append gets whose first id is stored here (C3).
func (at stored) answer(a *eventstore.Append) (eventstore.Result, error) {
	id := a.Events[0].ID
	if len(at.events) < at.place.Count {
		return eventstore.Result{}, fmt.Errorf("%w: %d of the %d events that began with id %s are stored",
			eventstore.ErrCorrupt, len(at.events), at.place.Count, id)
	}
	last := at.events[len(at.events)-1]
	first := eventstore.Result{Revision: last.Revision, Position: last.Position}
	if a.Stream != at.place.Stream || !at.equal(a, func(e, f eventstore.Event) bool { return e.ID == f.ID }) {
		return eventstore.Result{}, &eventstore.IDReusedError{ID: id, Stream: at.place.Stream, First: first}
	}
	first.Duplicate = true
	return first, nil
}

// ours reports whether what is stored here is the append, byte for byte.
func (at stored) ours(a *eventstore.Append) bool {
	return at.equal(a, func(e, f eventstore.Event) bool {
		return e.ID == f.ID && e.Type == f.Type && e.ContentType == f.ContentType &&
			bytes.Equal(e.Data, f.Data) && bytes.Equal(e.Metadata, f.Metadata)
	})
}

func (at stored) equal(a *eventstore.Append, same func(e, f eventstore.Event) bool) bool {
	if len(at.events) != len(a.Events) {
		return false
	}
	for i := range a.Events {
		if !same(at.events[i].Event, a.Events[i]) {
			return false
		}
	}
	return true
}
