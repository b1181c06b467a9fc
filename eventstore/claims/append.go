package claims

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// attempts bounds how often an append starts over because others were faster.
const attempts = 64

// errAgain makes an append start over: somebody else was faster, and nothing was stored.
var errAgain = errors.New("start over")

// errLate ends the context of an append that must not be handed over any more (C6).
var errLate = fmt.Errorf("%w: the claim of the event id has run out", eventstore.ErrUnavailable)

// Append stores the events of a once (E6, E7). Beside the errors of the contract: ErrUnavailable also says
// that the id is claimed by another append that may be under way.
func (s *Store) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := a.Validate(); err != nil {
		return eventstore.Result{}, err
	}
	if hidden(a.Stream) {
		return eventstore.Result{}, fmt.Errorf("%w: stream %s: names that begin with %s are reserved", eventstore.ErrInvalid, a.Stream, StreamPrefix)
	}
	for n := range attempts {
		if ctx.Err() != nil {
			break
		}
		res, err := s.attempt(ctx, &a)
		if !errors.Is(err, errAgain) {
			return res, err
		}
		pause(ctx, n)
	}
	if ctx.Err() != nil {
		return eventstore.Result{}, fmt.Errorf("append to stream %s: nothing stored: %w", a.Stream, context.Cause(ctx))
	}
	return eventstore.Result{}, fmt.Errorf("%w: stream %s: others were faster %d times", eventstore.ErrUnavailable, a.Stream, attempts)
}

// pause has full jitter, from 1 ms up to 64 ms: whoever collided must not collide again.
func pause(ctx context.Context, n int) {
	d := time.Duration(rand.Int64N(int64(time.Millisecond) << min(n, 6))) //nolint:gosec // not a secret
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// attempt claims and appends, once.
func (s *Store) attempt(ctx context.Context, a *eventstore.Append) (eventstore.Result, error) {
	at, err := s.exact(ctx, a)
	if err != nil {
		return eventstore.Result{}, err
	}
	began := s.cfg.Now()
	// Handed over or not at all: the context is that of the claim and of the append (C6).
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Deadline, errLate)
	defer cancel()
	h, known, err := s.acquire(ctx, a, place{a.Stream, at, len(a.Events)})
	if err != nil {
		return eventstore.Result{}, err
	}
	if known != nil {
		return known.answer(a)
	}
	// Without their monotonic part, which stands still while a machine sleeps.
	if s.cfg.Now().Round(0).Sub(began.Round(0)) >= s.cfg.Deadline {
		return eventstore.Result{}, fmt.Errorf("append to stream %s: nothing stored: %w", a.Stream, errLate)
	}
	return s.appendUnder(ctx, a, h)
}

// exact is the expectation of an append with Any resolved (C1).
func (s *Store) exact(ctx context.Context, a *eventstore.Append) (eventstore.Expected, error) {
	if a.Expected != eventstore.Any {
		return a.Expected, nil
	}
	for r, err := range s.inner.ReadStream(ctx, a.Stream, eventstore.End, eventstore.Backward) {
		switch {
		case errors.Is(err, eventstore.ErrStreamNotFound):
			return eventstore.NoStream, nil
		case err != nil:
			return 0, err
		}
		return eventstore.AtRevision(r.Revision), nil
	}
	return eventstore.NoStream, nil
}

// held is a claim of this call.
type held struct {
	place

	revision uint64 // in the claim stream
	alone    bool   // no append of an earlier claim may be under way
}

// acquire claims the place of an append, or finds the append that its first id belongs to.
func (s *Store) acquire(ctx context.Context, a *eventstore.Append, p place) (held, *stored, error) {
	id := a.Events[0].ID
	revision, err := s.claim(ctx, id, eventstore.NoStream, p)
	if !errors.Is(err, errRace) {
		return held{p, revision, true}, nil, err
	}
	last, err := s.lastClaim(ctx, id)
	if errors.Is(err, eventstore.ErrStreamNotFound) {
		err = errAgain // the claim is known where it was refused, and not yet where this was read
	}
	if err != nil {
		return held{}, nil, err
	}
	alone := true
	if !last.released {
		at, err := s.look(ctx, last.place)
		switch {
		case err != nil:
			return held{}, nil, err
		case at.holds(id):
			return held{}, &at, s.confirm(ctx, id, last)
		case !at.free() || s.cfg.Now().Sub(last.recordedAt) >= s.cfg.Grace: // it will never be stored
		case last.place == p:
			alone = false
		default:
			// The other stream is not named: the caller may not know it, and names may be secrets.
			return held{}, nil, fmt.Errorf("%w: event id %s is being appended to another place, or was within %s: come again",
				eventstore.ErrUnavailable, id, s.cfg.Grace)
		}
	}
	revision, err = s.claim(ctx, id, eventstore.AtRevision(last.revision), p)
	if errors.Is(err, errRace) {
		err = errAgain
	}
	return held{p, revision, alone}, nil, err
}

// confirm makes an append start over whose place was claimed by one of another length between the two
// looks: what is stored there then has the length that the later claim says (C3).
func (s *Store) confirm(ctx context.Context, id eventstore.EventID, looked claim) error {
	now, err := s.lastClaim(ctx, id)
	if err == nil && (now.released || now.place != looked.place) {
		err = errAgain
	}
	return err
}

// appendUnder appends what is claimed.
func (s *Store) appendUnder(ctx context.Context, a *eventstore.Append, h held) (eventstore.Result, error) {
	exact := *a
	exact.Expected = h.Expected
	res, err := s.inner.Append(ctx, exact)
	switch {
	case err == nil:
		if h.alone && !res.Duplicate {
			at, err := s.look(ctx, h.place)
			res.Duplicate = err != nil || !at.ours(a) // C7
		} else {
			res.Duplicate = true
		}
		return res, nil
	case errors.Is(err, eventstore.ErrConflict) && !errors.Is(err, eventstore.ErrOutcomeUnknown):
		return s.refused(ctx, a, h, err)
	}
	return eventstore.Result{}, err
}

// refused answers an append that conflicted. Another run of it may be what it conflicted with.
func (s *Store) refused(ctx context.Context, a *eventstore.Append, h held, conflict error) (eventstore.Result, error) {
	at, err := s.look(ctx, h.place)
	switch {
	case err != nil: // not known, and a conflict it is
	case at.holds(a.Events[0].ID):
		return eventstore.Result{}, errAgain // and find it
	case at.free() && h.alone:
		s.release(ctx, a.Events[0].ID, h.revision)
	}
	if a.Expected == eventstore.Any {
		return eventstore.Result{}, errAgain
	}
	return eventstore.Result{}, conflict
}
