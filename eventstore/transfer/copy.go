package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// Target is the part of a store that a copy needs.
type Target interface {
	eventstore.Appender
	eventstore.LogReader
}

// Config of a copy.
type Config struct {
	From eventstore.LogReader
	To   Target

	// Together tells whether two neighbours, of one stream and with consecutive revisions, were one
	// append (T5). Nil is never: each event is an append.
	Together func(a, b eventstore.Recorded) bool

	// Patience is how long a store that is away is waited for; 0 is 1 min.
	Patience time.Duration

	// Progress, optional, is told after each step; Waiting, optional, why a store is waited for. They must be
	// quick. Waiting may be called beside the other.
	Progress func(Progress)
	Waiting  func(error)
}

// Phase is what a copy is doing.
type Phase uint8

// The phases, in their order.
const (
	Resuming  Phase = iota // comparing what the target has already
	Copying                // appending to the target
	Verifying              // reading both again
)

// Progress of a copy.
type Progress struct {
	Phase  Phase
	Events uint64              // done in this phase
	At     eventstore.Position // in the source
	Head   eventstore.Position // where the copy of the source ends
}

// Report says what a copy did, and what it saw when it looked again.
type Report struct {
	Already uint64 // events that the target had
	Copied  uint64
	Comparison
}

// copying is one run of Copy or Verify.
type copying struct {
	Config
	head eventstore.Position
}

// Copy makes the target equal to the source and proves it. The error is a *DifferenceError when the target is no
// copy, ctx's cause when that ends, or the one of the store that failed. What was copied until then
// stays, and the next Copy goes on after it.
func Copy(ctx context.Context, c Config) (Report, error) {
	run, err := begin(ctx, c)
	if err != nil {
		return Report{}, err
	}
	var r Report
	at, err := run.resume(ctx, &r)
	if err != nil {
		return r, err
	}
	if err := run.copy(ctx, at, &r); err != nil {
		return r, err
	}
	r.Comparison, err = run.compare(ctx)
	return r, err
}

// Verify compares two stores, up to where the source is now.
func Verify(ctx context.Context, c Config) (Comparison, error) {
	run, err := begin(ctx, c)
	if err != nil {
		return Comparison{}, err
	}
	return run.compare(ctx)
}

func begin(ctx context.Context, c Config) (*copying, error) {
	if c.From == nil || c.To == nil {
		return nil, errors.New("transfer: two stores are required")
	}
	if c.Together == nil {
		c.Together = func(_, _ eventstore.Recorded) bool { return false }
	}
	if c.Patience <= 0 {
		c.Patience = time.Minute
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	if c.Waiting == nil {
		c.Waiting = func(error) {}
	}
	run := &copying{Config: c}
	for away := run.outage("source"); ; {
		var err error
		if run.head, err = c.From.Head(ctx); err == nil {
			return run, nil
		}
		if !away.wait(ctx, err) {
			return nil, fmt.Errorf("source: %w", err)
		}
	}
}

// resume compares what the target has with the beginning of the source (T3), and answers the position in
// the source where they part.
func (c *copying) resume(ctx context.Context, r *Report) (eventstore.Position, error) {
	var at eventstore.Position
	for p, err := range c.pairs(ctx) {
		switch {
		case err != nil:
			return at, err
		case p.to == nil:
			return at, nil
		case p.from == nil || !samePlace(*p.from, *p.to):
			return at, &DifferenceError{p.difference(r.Already + 1)}
		}
		r.Already++
		at = p.from.Position
		c.Progress(Progress{Phase: Resuming, Events: r.Already, At: at, Head: c.head})
	}
	return at, nil
}

// readAhead is how many appends are read before they are needed. When that many wait, reading waits.
const readAhead = 32

// copy appends what the source has after a position.
func (c *copying) copy(ctx context.Context, after eventstore.Position, r *Report) error {
	ctx, cancel := context.WithCancel(ctx)
	appends := make(chan batch, readAhead)
	var reading sync.WaitGroup
	var readErr error
	reading.Go(func() {
		defer close(appends)
		readErr = c.batches(ctx, after, func(b batch) bool {
			select {
			case appends <- b:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	defer reading.Wait()
	defer cancel()
	for b := range appends {
		if err := c.append(ctx, b); err != nil {
			return err
		}
		r.Copied += uint64(len(b.Events))
		c.Progress(Progress{Phase: Copying, Events: r.Copied, At: b.last.Position, Head: c.head})
	}
	reading.Wait()
	return readErr
}

// append stores one batch, again and again while the target is away (T6).
func (c *copying) append(ctx context.Context, b batch) error {
	for away := c.outage("target"); ; {
		res, err := c.To.Append(ctx, b.Append)
		if err == nil && res.Revision != b.last.Revision {
			return fmt.Errorf("%w: target: stream %s: revision %d was stored at %d", eventstore.ErrCorrupt, b.Stream, b.last.Revision, res.Revision)
		}
		if err == nil || !away.wait(ctx, err) {
			return b.explain(err)
		}
	}
}
