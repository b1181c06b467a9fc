package eventstoretest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// PerStream is a store in memory that knows event ids the way EventStoreDB does: per stream only,
// and it answers a repeated append with a success that nobody can tell from the first.
// It keeps every other clause but durability. It is what adapters and decorators are tested over.
type PerStream struct {
	mu       sync.Mutex
	log      []eventstore.Recorded // only ever appended to: a prefix may be read without the lock
	streams  map[string][]int      // indexes into log
	wake     chan struct{}         // closed and replaced when the log grows
	isClosed bool
}

var _ eventstore.Store = (*PerStream)(nil)

// NewPerStream makes an empty store.
func NewPerStream() *PerStream {
	return &PerStream{streams: map[string][]int{}, wake: make(chan struct{})}
}

var errPerStreamClosed = errors.Join(eventstore.ErrUnavailable, errors.New("closed"))

// Close makes every call answer ErrUnavailable, those that wait included.
func (p *PerStream) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isClosed {
		p.isClosed = true
		close(p.wake)
	}
	return nil
}

// Reopen undoes Close, as a new process over the same data would.
func (p *PerStream) Reopen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed {
		p.isClosed, p.wake = false, make(chan struct{})
	}
}

func (p *PerStream) readyLocked(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.isClosed:
		return errPerStreamClosed
	}
	return nil
}

// Append stores events. Ids count only where the stream is ahead of the expectation, and, for Any,
// within the stream.
func (p *PerStream) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := a.Validate(); err != nil {
		return eventstore.Result{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.readyLocked(ctx); err != nil {
		return eventstore.Result{}, err
	}
	own := p.streams[a.Stream]
	at := a.Expected
	if at == eventstore.Any {
		at = p.placeOfLocked(own, a.Events[0].ID)
	}
	actual := eventstore.Expected(len(own) - 1)
	if at == actual {
		return p.storeLocked(a), nil
	}
	first := int(at) + 1
	conflict := &eventstore.ConflictError{Stream: a.Stream, Expected: a.Expected, Actual: actual}
	if at > actual || first+len(a.Events) > len(own) {
		return eventstore.Result{}, conflict
	}
	for i := range a.Events {
		if p.log[own[first+i]].ID != a.Events[i].ID {
			return eventstore.Result{}, conflict
		}
	}
	last := p.log[own[first+len(a.Events)-1]]
	return eventstore.Result{Revision: last.Revision, Position: last.Position}, nil
}

// placeOfLocked is the expectation of the append that an id began with, or the end of the stream.
func (p *PerStream) placeOfLocked(own []int, id eventstore.EventID) eventstore.Expected {
	i := slices.IndexFunc(own, func(i int) bool { return p.log[i].ID == id })
	if i < 0 {
		i = len(own)
	}
	return eventstore.Expected(i - 1)
}

func (p *PerStream) storeLocked(a eventstore.Append) eventstore.Result {
	var last eventstore.Recorded
	for _, e := range a.Events {
		e.Data, e.Metadata = bytes.Clone(e.Data), bytes.Clone(e.Metadata)
		last = eventstore.Recorded{
			Event: e, Stream: a.Stream, Revision: uint64(len(p.streams[a.Stream])),
			Position: eventstore.Position(len(p.log) + 1), RecordedAt: time.Now(),
		}
		p.streams[a.Stream] = append(p.streams[a.Stream], len(p.log))
		p.log = append(p.log, last)
	}
	close(p.wake)
	p.wake = make(chan struct{})
	return eventstore.Result{Revision: last.Revision, Position: last.Position}
}

// Load answers the events of a stream. No snapshots are kept.
func (p *PerStream) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	l := eventstore.Loaded{Revision: eventstore.NoStream}
	for r, err := range p.ReadStream(ctx, stream, 0, eventstore.Forward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return eventstore.Loaded{}, err
		}
		l.Revision, l.Position, l.Events = eventstore.AtRevision(r.Revision), r.Position, append(l.Events, r)
	}
	return l, nil
}

// ReadStream reads what is there when the iteration begins.
func (p *PerStream) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		p.mu.Lock()
		err, own, log := p.readyLocked(ctx), p.streams[stream], p.log
		p.mu.Unlock()
		if err == nil && len(own) == 0 {
			err = eventstore.ErrStreamNotFound
		}
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if dir == eventstore.Forward {
			own = own[min(from, uint64(len(own))):]
		} else {
			own = own[:min(from, uint64(len(own)-1))+1]
		}
		each(log, own, dir, yield)
	}
}

// ReadAll reads what is there when the iteration begins.
func (p *PerStream) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		p.mu.Lock()
		err, log := p.readyLocked(ctx), p.log
		p.mu.Unlock()
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		at := min(uint64(from), uint64(len(log)))
		if dir == eventstore.Backward {
			each(log[:min(max(uint64(from), 1)-1, uint64(len(log)))], nil, dir, yield)
			return
		}
		each(log[at:], nil, dir, yield)
	}
}

// each yields copies of the events at some indexes of the log; nil is all of them.
func each(log []eventstore.Recorded, indexes []int, dir eventstore.Direction, yield func(eventstore.Recorded, error) bool) bool {
	n := len(log)
	if indexes != nil {
		n = len(indexes)
	}
	for i := range n {
		if dir == eventstore.Backward {
			i = n - 1 - i
		}
		if indexes != nil {
			i = indexes[i]
		}
		r := log[i]
		r.Data, r.Metadata = bytes.Clone(r.Data), bytes.Clone(r.Metadata)
		if !yield(r, nil) {
			return false
		}
	}
	return true
}

// Head is the number of events.
func (p *PerStream) Head(ctx context.Context) (eventstore.Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return eventstore.Position(len(p.log)), p.readyLocked(ctx)
}

// Subscribe follows the log.
func (p *PerStream) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for at := uint64(after); ; {
			p.mu.Lock()
			err, log, wake := p.readyLocked(ctx), p.log, p.wake
			p.mu.Unlock()
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			if at < uint64(len(log)) {
				if !each(log[at:], nil, eventstore.Forward, yield) {
					return
				}
				at = uint64(len(log))
				continue
			}
			select {
			case <-wake:
			case <-ctx.Done():
			}
		}
	}
}
