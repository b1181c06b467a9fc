package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// read yields the log of a store after a position, up to another. When the store is away it waits and goes on where
// it was (T6).
func (c *copying) read(ctx context.Context, name string, log eventstore.LogReader, after, upTo eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		at := after
		away := c.outage(name)
		for again := true; again; {
			again = false
			for r, err := range log.ReadAll(ctx, at, eventstore.Forward) {
				if err != nil {
					if again = away.wait(ctx, err); !again {
						yield(eventstore.Recorded{}, fmt.Errorf("%s: read after position %s: %w", name, at, err))
						return
					}
					break
				}
				if r.Position > upTo {
					return
				}
				at = r.Position
				away = c.outage(name)
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// outage is the time for which a store has not answered.
type outage struct {
	c     *copying
	name  string // of the store
	since time.Time
	tries int
}

func (c *copying) outage(name string) outage { return outage{c: c, name: name} }

// wait pauses after an error, and reports whether trying again makes sense: the store may come back, and the patience
// is not over.
func (o *outage) wait(ctx context.Context, err error) bool {
	if !errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return false
	}
	if o.tries == 0 {
		o.since = time.Now()
	}
	if time.Since(o.since) >= o.c.Patience || ctx.Err() != nil {
		return false
	}
	o.c.Waiting(fmt.Errorf("%s: %w", o.name, err))
	pause := min(50*time.Millisecond<<min(o.tries, 10), 5*time.Second)
	o.tries++
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// pair is the nth event of both stores; nil where one has ended.
type pair struct{ from, to *eventstore.Recorded }

// pairs reads both stores in step, to the end of the longer one.
func (c *copying) pairs(ctx context.Context) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		nextFrom, stopFrom := iter.Pull2(c.read(ctx, "source", c.From, 0, c.head))
		defer stopFrom()
		nextTo, stopTo := iter.Pull2(c.read(ctx, "target", c.To, 0, eventstore.Position(eventstore.End)))
		defer stopTo()
		for {
			from, err, more := nextFrom()
			if err != nil {
				yield(pair{}, err)
				return
			}
			to, err, moreTo := nextTo()
			if err != nil {
				yield(pair{}, err)
				return
			}
			var p pair
			if more {
				p.from = &from
			}
			if moreTo {
				p.to = &to
			}
			if !more && !moreTo || !yield(p, nil) {
				return
			}
		}
	}
}
