package embedded

import (
	"context"
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

// request is one append on its way through the sequencer. The caller has copied into it all
// that it needs, so that nobody looks at the caller's slices after Append has returned (E15).
type request struct {
	stream   string
	expected eventstore.Expected
	ids      []eventstore.EventID
	body     []byte
	bodySum  uint32
	snapshot []byte
	keepSnap bool
	headSum  uint32

	// state decides, once, between the sequencer that accepts and the caller that gives up.
	state  atomic.Int32
	done   chan struct{} // capacity 1: answering never waits, even when the caller has left
	result eventstore.Result
	err    error
}

const (
	stateQueued int32 = iota
	stateAccepted
	stateWithdrawn
)

// retainBytes is the largest buffer that a request keeps for its next use.
const retainBytes = 64 << 10

func (s *Store) newRequest(a *eventstore.Append) *request {
	r, ok := s.requests.Get().(*request)
	if !ok {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.stream, r.expected = a.Stream, a.Expected
	r.ids = r.ids[:0]
	for i := range a.Events {
		r.ids = append(r.ids, a.Events[i].ID)
	}
	r.body = appendBody(r.body[:0], a)
	r.bodySum = crc32.Checksum(r.body, castagnoli)
	r.snapshot = append(r.snapshot[:0], a.Snapshot...)
	r.keepSnap = a.Snapshot != nil
	r.headSum = headSum(a.Stream, a.Snapshot)
	r.state.Store(stateQueued)
	return r
}

// kept is the snapshot to keep: empty is a snapshot, nil is none.
func (r *request) kept() []byte {
	if r.snapshot == nil {
		return []byte{}
	}
	return r.snapshot
}

// recycle takes back a request that nobody else can reach.
func (s *Store) recycle(r *request) {
	if cap(r.body) > retainBytes || cap(r.snapshot) > retainBytes {
		return
	}
	r.stream, r.result, r.err = "", eventstore.Result{}, nil
	s.requests.Put(r)
}

func (r *request) size() int { return len(r.body) + len(r.snapshot) + 2*len(r.stream) }

// Append stores the events of a and returns when they are durable. Its errors are those of
// the contract: *eventstore.ConflictError, *eventstore.IDReusedError, ErrInvalid, ErrTooLarge,
// ErrUnavailable (closed, failed, or the disk is nearly full; nothing was stored) and
// ErrOutcomeUnknown (the context ended, or the disk failed, when the append was under way).
func (s *Store) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := a.Validate(); err != nil {
		return eventstore.Result{}, err
	}
	if ctx.Err() != nil {
		return eventstore.Result{}, notStored(ctx, a.Stream)
	}
	r := s.newRequest(&a)
	if err := s.enqueue(ctx, r); err != nil {
		s.recycle(r)
		return eventstore.Result{}, err
	}
	select {
	case <-r.done:
		return s.collect(r)
	case <-ctx.Done():
		if r.state.CompareAndSwap(stateQueued, stateWithdrawn) {
			return eventstore.Result{}, notStored(ctx, a.Stream) // the sequencer recycles it
		}
		return eventstore.Result{}, fmt.Errorf("%w: stream %s: %w", eventstore.ErrOutcomeUnknown, a.Stream, context.Cause(ctx))
	case <-s.halted:
		return s.settle(r, a.Stream)
	}
}

func notStored(ctx context.Context, stream string) error {
	return fmt.Errorf("append to stream %s: nothing stored: %w", stream, context.Cause(ctx))
}

func (s *Store) enqueue(ctx context.Context, r *request) error {
	select {
	case <-s.closing:
		return s.unavailable()
	case <-s.halted:
		return s.unavailable()
	default:
	}
	if err := s.trouble.halting(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
		return nil
	default: // full: wait for room, the caller's end, or the store's
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return notStored(ctx, r.stream)
	case <-s.closing:
		return s.unavailable()
	case <-s.halted:
		return s.unavailable()
	}
}

func (s *Store) collect(r *request) (eventstore.Result, error) {
	result, err := r.result, r.err
	s.recycle(r)
	return result, err
}

// settle finds out what happened to an append when the store has stopped answering.
func (s *Store) settle(r *request, stream string) (eventstore.Result, error) {
	select {
	case <-r.done:
		return s.collect(r)
	default:
	}
	if r.state.CompareAndSwap(stateQueued, stateWithdrawn) {
		return eventstore.Result{}, s.unavailable()
	}
	return eventstore.Result{}, s.unknown(stream)
}

func (s *Store) unknown(stream string) error {
	err := s.Err()
	if err == nil {
		err = errClosed
	}
	return fmt.Errorf("%w: stream %s: %w", eventstore.ErrOutcomeUnknown, stream, err)
}
