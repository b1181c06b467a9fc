package esdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

// write is an append at an exact revision.
type write struct {
	stream   string
	expected eventstore.Expected
	events   []sdk.EventData
}

func (w *write) what() string { return "append to stream " + w.stream }

// Append stores events. Any is turned into the revision of the tail (S1). The snapshot is dropped. Duplicate is
// never set: the server does not tell a repeated append from a first one.
func (s *Store) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := a.Validate(); err != nil {
		return eventstore.Result{}, err
	}
	w := &write{stream: a.Stream, expected: a.Expected, events: proposed(a.Events)}
	var res eventstore.Result
	var err error
	if a.Expected == eventstore.Any {
		res, err = s.appendAny(ctx, w)
	} else {
		res, err = s.commit(ctx, w)
	}
	switch {
	case err == nil:
		s.stats.appends.Add(1)
		s.stats.events.Add(uint64(len(a.Events)))
	case errors.Is(err, eventstore.ErrConflict):
		s.stats.conflicts.Add(1)
	case errors.Is(err, eventstore.ErrOutcomeUnknown):
		s.stats.unknown.Add(1)
	}
	return res, err
}

// appendAny appends wherever the stream ends. Each conflict is another's success, and tells the tail.
func (s *Store) appendAny(ctx context.Context, w *write) (eventstore.Result, error) {
	at, err := s.tail(ctx, w.stream)
	if err != nil {
		return eventstore.Result{}, err
	}
	for n := 1; ; n++ {
		w.expected = at
		res, err := s.commit(ctx, w)
		var conflict *eventstore.ConflictError
		if !errors.As(err, &conflict) {
			return res, err
		}
		at = conflict.Actual
		if err := s.wait(ctx, backoff{time.Millisecond, s.cfg.RetryMin}.pause(n)); err != nil {
			return eventstore.Result{}, s.failed(ctx, w.what(), err, true)
		}
	}
}

// wait returns early with the cause when ctx or the store ends.
func (s *Store) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return errClosed
	}
}

// send makes one attempt. A conflict is an answer, with a result of zero.
func (s *Store) send(ctx context.Context, w *write) reply[eventstore.Result] {
	return call(ctx, s, func(ctx context.Context, client *sdk.Client) (eventstore.Result, error) {
		opts := sdk.AppendToStreamOptions{ExpectedRevision: revision(w.expected), Deadline: s.backstop()}
		res, err := client.AppendToStream(ctx, w.stream, opts, w.events...)
		if err != nil {
			return eventstore.Result{}, err
		}
		if res.CommitPosition == 0 {
			return eventstore.Result{}, errNoResult // the client takes an answer that it does not know for a success
		}
		return eventstore.Result{Revision: res.NextExpectedVersion, Position: eventstore.Position(res.CommitPosition)}, nil
	})
}

// commit appends at an exact revision, and settles what is not clear (S2, S3).
func (s *Store) commit(ctx context.Context, w *write) (eventstore.Result, error) {
	r := s.send(ctx, w)
	class := classOf(r.err)
	switch {
	case r.err == nil:
		return r.value, nil
	case !r.sent:
		return eventstore.Result{}, s.failed(ctx, w.what(), r.err, r.ended)
	case r.ended:
		return eventstore.Result{}, s.doubt(w, r.err)
	case class.permanent():
		return eventstore.Result{}, s.answer(w.what(), r.err)
	case class == conflict:
		return s.settle(ctx, w, nil)
	default:
		return s.settle(ctx, w, r.err)
	}
}

// doubt is the error of an append that may be stored.
func (s *Store) doubt(w *write, cause error) error {
	return fmt.Errorf("%w: %s: event store %s: %w", eventstore.ErrOutcomeUnknown, w.what(), s.address, cause)
}
