package esdb

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

// errUnsettled ends the settling of an append.
var errUnsettled = errors.New("not settled in time; repeat the same append")

// settle finds out what became of an append that was answered with a conflict, or, if doubt is
// not nil, with nothing that can be trusted: it looks, and where there is nothing appends again.
func (s *Store) settle(parent context.Context, w *write, doubt error) (eventstore.Result, error) {
	ctx, cancel := context.WithTimeoutCause(parent, s.cfg.ResolveTimeout, errUnsettled)
	defer cancel()
	for n := 1; ; n++ {
		found, err := s.standing(ctx, w)
		switch {
		case err != nil:
		case found.stored:
			s.resolved(doubt)
			return found.result, nil
		case found.taken, doubt == nil && found.at != w.expected:
			s.resolved(doubt)
			return eventstore.Result{}, &eventstore.ConflictError{Stream: w.stream, Expected: w.expected, Actual: found.at}
		default:
			r := s.send(ctx, w)
			if r.err == nil {
				s.resolved(doubt)
				return r.value, nil
			}
			err = r.err
			switch class := classOf(err); {
			case doubt == nil && class.permanent():
				return eventstore.Result{}, s.answer(w.what(), err)
			case class == conflict && found.at < w.expected:
				doubt = nil // it never could be stored, and never was
			case class != conflict && r.sent && doubt == nil:
				doubt = err
			}
		}
		if ended := s.endSettling(ctx, n, err); ended != nil {
			return eventstore.Result{}, s.unsettled(parent, w, doubt, ended)
		}
	}
}

func (s *Store) resolved(doubt error) {
	if doubt != nil {
		s.stats.resolved.Add(1)
	}
}

// endSettling waits for the next look, or says why there is none.
func (s *Store) endSettling(ctx context.Context, n int, err error) error {
	if errors.Is(err, errClosed) {
		return err
	}
	return s.wait(ctx, s.retry.pause(n))
}

// unsettled is the answer when there is no more time. Without a doubt the server has refused the append.
func (s *Store) unsettled(parent context.Context, w *write, doubt, ended error) error {
	switch {
	case doubt == nil:
		return s.failed(parent, w.what()+": stream is not at the expected revision", ended, true)
	case errors.Is(ended, errUnsettled), errors.Is(ended, errClosed):
		return s.doubt(w, fmt.Errorf("%w: %w", ended, hidden(doubt)))
	default:
		return s.doubt(w, ended)
	}
}

// standing is what reading back an append has found.
type standing struct {
	stored bool // all of its events
	taken  bool // its place, by others: it never will be stored
	at     eventstore.Expected
	result eventstore.Result
}

// standing compares the ids of an append with what is stored where it belongs. The tail is read first: it is what a
// conflict has to name, since the client tells it as text only (G7).
func (s *Store) standing(ctx context.Context, w *write) (standing, error) {
	at, err := s.tail(ctx, w.stream)
	if err != nil || at <= w.expected {
		return standing{at: at}, err
	}
	first := uint64(w.expected + 1) //nolint:gosec // NoStream is -1
	stored, err := s.page(ctx, w.stream, sdk.ReadStreamOptions{Direction: sdk.Forwards, From: sdk.Revision(first)}, uint64(len(w.events)))
	if err != nil {
		return standing{at: at}, err
	}
	for i, r := range stored {
		if r.ID != eventstore.EventID(w.events[i].EventID) {
			return standing{at: at, taken: true}, nil
		}
	}
	if len(stored) < len(w.events) {
		return standing{at: at}, nil // a node that is not up to date
	}
	last := stored[len(stored)-1]
	return standing{at: at, stored: true, result: eventstore.Result{Revision: last.Revision, Position: last.Position}}, nil
}
