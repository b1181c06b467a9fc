package projections

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// acquire takes a read model over, once, and checks that it belongs to this store (P3, P6).
func (r *Runner) acquire(ctx context.Context, p Projection) (checkpoint Checkpoint, err error) {
	err = r.retry(ctx, func() error {
		checkpoint, err = p.Acquire(ctx)
		return err
	})
	if err != nil {
		return Checkpoint{}, err
	}
	return checkpoint, r.retry(ctx, func() error { return r.verify(ctx, checkpoint) })
}

func (r *Runner) retry(ctx context.Context, f func() error) error {
	pause := newBackoff()
	for {
		err := f()
		if err == nil || Permanent(err) || ctx.Err() != nil {
			return err
		}
		r.trouble(err, "projection cannot start yet, trying again")
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

func (r *Runner) verify(ctx context.Context, c Checkpoint) error {
	head, err := r.config.Source.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the head of the event store: %w", err)
	}
	r.state.sawHead(head, r.config.Now())
	if c.Position == 0 {
		return nil
	}
	if c.Position > head {
		return fmt.Errorf("%w: it is at position %s, the store ends at %s%s", ErrForeign, c.Position, head, r.remedy())
	}
	for e, err := range r.config.Source.ReadStream(ctx, c.Last.Stream, c.Last.Revision, eventstore.Forward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the last event applied: %w", err)
		}
		if e.Position == c.Position && e.ID == c.Last.ID {
			return nil
		}
		break
	}
	return fmt.Errorf("%w: the store holds another event at position %s%s", ErrForeign, c.Position, r.remedy())
}

// remedy says what helps against ErrForeign where it is not for us to destroy the read model (P12).
func (r *Runner) remedy() string {
	where := r.config.Projection.Describe().Location
	if _, ok := r.config.Projection.(Rebuilder); ok {
		return ": " + where
	}
	return "; it is left alone, since it may be of another logoutd: name another place, or delete " + where + " to have it rebuilt"
}

// pull sends every event after a position, in order, whatever happens to a subscription in between.
// It answers only an error that no new subscription can cure.
func (r *Runner) pull(ctx context.Context, after eventstore.Position, events chan<- eventstore.Recorded) error {
	pause := newBackoff()
	for {
		err := errors.New("subscription ended")
		for e, failed := range r.config.Source.Subscribe(ctx, after) {
			if failed != nil {
				err = failed
				break
			}
			if e.Position <= after {
				return fmt.Errorf("%w: event at position %s came after position %s", ErrGap, e.Position, after)
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return nil
			}
			after = e.Position
			r.state.sawHead(after, r.config.Now())
			pause.reset()
		}
		if ctx.Err() != nil {
			return nil
		}
		if Permanent(err) {
			return fmt.Errorf("subscription after position %s: %w", after, err)
		}
		r.trouble(fmt.Errorf("subscription after position %s: %w", after, err), "subscription lost, subscribing again")
		if pause.wait(ctx) != nil {
			return nil
		}
	}
}

// watchHead notices events that the subscription has not brought yet, so that a silent
// subscription shows as lag and not as peace.
func (r *Runner) watchHead(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if head, err := r.config.Source.Head(ctx); err == nil { // an error shows in pull
			r.state.sawHead(head, r.config.Now())
		}
	}
}

// backoff is a growing pause between attempts, with jitter so that many do not come at once.
type backoff struct{ next time.Duration }

const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 10 * time.Second
)

func newBackoff() *backoff { return &backoff{next: shortestPause} }

func (b *backoff) reset() { b.next = shortestPause }

func (b *backoff) wait(ctx context.Context) error {
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2)) //nolint:gosec // jitter, not a secret
	defer timer.Stop()
	b.next = min(2*b.next, longestPause)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
