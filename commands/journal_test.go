package commands_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/eventstore"
)

var _ commands.Journal = (*journal)(nil)

// journal counts the calls of a real store and makes them fail where a test says so.
type journal struct {
	commands.Journal
	appends, loads, reads atomic.Int64

	mu       sync.Mutex
	plan     []fault // one for each append to come; then everything works
	onAppend func(a eventstore.Append)
	after    func() // once, before a fault is answered
	onLoad   func(stream string, l eventstore.Loaded, err error) (eventstore.Loaded, error)
	readErr  error // of every read of a stream
}

// fault is what becomes of one append.
type fault uint8

const (
	works       fault = iota
	refuses           // unavailable, and not stored
	losesAnswer       // stored, and the outcome unknown
	losesCall         // not stored, and the outcome unknown
	conflicts         // not stored, and somebody else was first
	breaks            // not stored, and an error that no contract knows
	storesTwice       // delivered twice
)

// forget starts counting anew.
func (j *journal) forget() {
	j.appends.Store(0)
	j.loads.Store(0)
	j.reads.Store(0)
}

func (j *journal) faults(plan ...fault) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.plan = plan
}

// always makes every append to come fail.
func always(f fault) []fault {
	plan := make([]fault, 10_000)
	for i := range plan {
		plan[i] = f
	}
	return plan
}

func (j *journal) next() (fault, func(eventstore.Append)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.plan) == 0 {
		return works, j.onAppend
	}
	f := j.plan[0]
	j.plan = j.plan[1:]
	return f, j.onAppend
}

func (j *journal) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	j.appends.Add(1)
	f, hook := j.next()
	if hook != nil {
		hook(a)
	}
	defer j.afterOnce()
	switch f {
	case refuses:
		return eventstore.Result{}, fmt.Errorf("%w: by plan", eventstore.ErrUnavailable)
	case losesAnswer:
		if _, err := j.Journal.Append(ctx, a); err != nil {
			return eventstore.Result{}, err
		}
		return eventstore.Result{}, fmt.Errorf("%w: by plan", eventstore.ErrOutcomeUnknown)
	case losesCall:
		return eventstore.Result{}, fmt.Errorf("stream %s: %w: by plan", a.Stream, eventstore.ErrOutcomeUnknown)
	case conflicts:
		return eventstore.Result{}, &eventstore.ConflictError{Stream: a.Stream, Expected: a.Expected, Actual: 99}
	case breaks:
		return eventstore.Result{}, fmt.Errorf("stream %s: the dog ate it", a.Stream)
	case storesTwice:
		if _, err := j.Journal.Append(ctx, a); err != nil {
			return eventstore.Result{}, err
		}
	case works:
	}
	return j.Journal.Append(ctx, a)
}

func (j *journal) afterOnce() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.after != nil {
		j.after()
		j.after = nil
	}
}

func (j *journal) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	j.loads.Add(1)
	l, err := j.Journal.Load(ctx, stream)
	j.mu.Lock()
	hook := j.onLoad
	j.mu.Unlock()
	if hook != nil {
		return hook(stream, l, err)
	}
	return l, err
}

func (j *journal) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	j.reads.Add(1)
	j.mu.Lock()
	err := j.readErr
	j.mu.Unlock()
	if err != nil {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, fmt.Errorf("read stream %s: %w", stream, err))
		}
	}
	return j.Journal.ReadStream(ctx, stream, from, dir)
}

func (j *journal) failReads(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.readErr = err
}
