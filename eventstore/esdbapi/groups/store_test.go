package groups_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// disk is what outlives a process: a store in memory that keeps E1 to E10.
type disk struct {
	mu      sync.Mutex
	events  []eventstore.Recorded
	streams map[string][]eventstore.Recorded
	ids     map[eventstore.EventID]string // stream
	grown   chan struct{}                 // closed and replaced when events are added
}

func newDisk() *disk {
	return &disk{streams: map[string][]eventstore.Recorded{}, ids: map[eventstore.EventID]string{}, grown: make(chan struct{})}
}

func (d *disk) append(a eventstore.Append) (eventstore.Result, error) {
	if err := a.Validate(); err != nil {
		return eventstore.Result{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if where, known := d.ids[a.Events[0].ID]; known {
		if where != a.Stream {
			return eventstore.Result{}, &eventstore.IDReusedError{ID: a.Events[0].ID, Stream: where}
		}
		at := slices.IndexFunc(d.events, func(e eventstore.Recorded) bool { return e.ID == a.Events[0].ID }) + len(a.Events) - 1
		return eventstore.Result{Revision: d.events[at].Revision, Position: d.events[at].Position, Duplicate: true}, nil
	}
	actual := eventstore.Expected(len(d.streams[a.Stream]) - 1)
	if a.Expected != eventstore.Any && a.Expected != actual {
		return eventstore.Result{}, &eventstore.ConflictError{Stream: a.Stream, Expected: a.Expected, Actual: actual}
	}
	for _, e := range a.Events {
		d.ids[e.ID] = a.Stream
		r := eventstore.Recorded{
			Event: e, Stream: a.Stream, Revision: uint64(len(d.streams[a.Stream])),
			Position: eventstore.Position(len(d.events) + 1), RecordedAt: time.Now(),
		}
		d.streams[a.Stream], d.events = append(d.streams[a.Stream], r), append(d.events, r)
	}
	close(d.grown)
	d.grown = make(chan struct{})
	last := d.events[len(d.events)-1]
	return eventstore.Result{Revision: last.Revision, Position: last.Position}, nil
}

// of are the events of a stream, or all. They are never changed.
func (d *disk) of(stream string) []eventstore.Recorded {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stream == "$all" {
		return d.events
	}
	return d.streams[stream]
}

func (d *disk) growing() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.grown
}

// health is how a connection to the disk is.
type health int

const (
	well  health = iota
	away         // nothing works
	vague        // appends are stored or not, and never answered; reads are well
	blind        // the end of the log cannot be found; all else is well
	gone         // as away, for ever: the process has crashed
)

// conn is a process's way to the disk.
type conn struct {
	*disk
	mu      sync.Mutex
	health  health
	changed chan struct{}
	rand    *rand.Rand
	reads   int // events read, but by subscriptions
	appends int // attempts
}

func connect(d *disk) *conn {
	return &conn{disk: d, changed: make(chan struct{}), rand: rand.New(rand.NewPCG(1, 2))}
}

func (c *conn) set(h health) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health == gone {
		return
	}
	c.health = h
	close(c.changed)
	c.changed = make(chan struct{})
}

var errAway = errors.Join(eventstore.ErrUnavailable, errors.New("the store is away"))

func (c *conn) usable(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.health == away || c.health == gone {
		return errAway
	}
	return nil
}

func (c *conn) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	c.mu.Lock()
	c.appends++
	vague, stores := c.health == vague, c.rand.IntN(2) == 0
	c.mu.Unlock()
	if vague {
		if stores {
			_, _ = c.append(a)
		}
		return eventstore.Result{}, eventstore.ErrOutcomeUnknown
	}
	if err := c.usable(ctx); err != nil {
		return eventstore.Result{}, err
	}
	return c.append(a)
}

func (c *conn) Head(ctx context.Context) (eventstore.Position, error) {
	c.mu.Lock()
	isBlind := c.health == blind
	c.mu.Unlock()
	if isBlind {
		return 0, errAway
	}
	return eventstore.Position(len(c.of("$all"))), c.usable(ctx)
}

func (c *conn) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	own := c.of(stream)
	if len(own) == 0 {
		return func(yield func(eventstore.Recorded, error) bool) {
			if err := c.usable(ctx); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			yield(eventstore.Recorded{}, eventstore.ErrStreamNotFound)
		}
	}
	if dir == eventstore.Backward {
		own = slices.Clone(own[:min(from, uint64(len(own))-1)+1])
		slices.Reverse(own)
		return c.yield(ctx, own)
	}
	return c.yield(ctx, own[min(from, uint64(len(own))):])
}

func (c *conn) ReadAll(ctx context.Context, from eventstore.Position, _ eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	all := c.of("$all")
	return c.yield(ctx, all[min(int(from), len(all)):])
}

func (c *conn) yield(ctx context.Context, events []eventstore.Recorded) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for _, e := range events {
			if err := c.usable(ctx); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			c.mu.Lock()
			c.reads++
			c.mu.Unlock()
			if !yield(e, nil) {
				return
			}
		}
		if err := c.usable(ctx); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

func (c *conn) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for {
			grown := c.growing()
			c.mu.Lock()
			changed := c.changed
			c.mu.Unlock()
			if err := c.usable(ctx); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			for _, e := range c.of("$all")[after:] {
				after = e.Position
				if !yield(e, nil) {
					return
				}
			}
			select {
			case <-grown:
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}
