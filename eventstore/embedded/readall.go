package embedded

import (
	"context"
	"fmt"
	"iter"

	"github.com/logoutd/logoutd/eventstore"
)

// Head is the position of the last durable event. It answers ErrUnavailable or the cause of ctx.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("head: %w", context.Cause(ctx))
	}
	if err := s.acquire(); err != nil {
		return 0, err
	}
	defer s.release()
	return s.durable.load(), nil
}

// ReadAll yields what was durable when the iteration began. Its errors are ErrUnavailable, ErrCorrupt
// and the cause of ctx.
func (s *Store) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := newReader(s)
		if err := r.check(ctx); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if dir == eventstore.Backward {
			r.allBackward(ctx, from, yield)
			return
		}
		r.allForward(ctx, from, s.durable.load(), yield)
	}
}

// allForward yields the events after one position up to another. It is false when the consumer
// wants no more or has been told of an error.
func (r *reader) allForward(ctx context.Context, after, upTo eventstore.Position, yield yielder) bool {
	from := after
	wanted := func(e *eventstore.Recorded) bool { return e.Position > from && e.Position <= upTo }
	for after < upTo {
		if err := r.forward(ctx, after, upTo); err != nil {
			yield(eventstore.Recorded{}, err)
			return false
		}
		// A chunk that does not reach beyond the position would be read again for ever.
		if len(r.events) == 0 || r.events[len(r.events)-1].Position <= after {
			yield(eventstore.Recorded{}, r.missing(after+1))
			return false
		}
		after = r.events[len(r.events)-1].Position
		if !r.hand(ctx, wanted, yield) {
			return false
		}
	}
	return true
}

func (r *reader) allBackward(ctx context.Context, before eventstore.Position, yield yielder) {
	r.backwards = true
	before = min(before, r.s.durable.load()+1)
	wanted := func(e *eventstore.Recorded) bool { return e.Position < before }
	for before > 1 {
		if err := r.backward(ctx, before); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if len(r.events) == 0 || r.events[len(r.events)-1].Position >= before {
			yield(eventstore.Recorded{}, r.missing(before-1))
			return
		}
		last := r.events[len(r.events)-1].Position
		if !r.hand(ctx, wanted, yield) {
			return
		}
		before = last
	}
}

// missing is a hole in the global order: durable once, gone now.
func (r *reader) missing(p eventstore.Position) error {
	return readError(r.s.cfg.Dir, "position "+p.String(), errRecord)
}
