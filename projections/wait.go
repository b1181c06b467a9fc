package projections

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
)

// WaitFor returns nil once everything up to the position has been applied. Before that
// it answers the context's cause when the context ends, or ErrStopped, with the reason,
// when the projection will apply nothing more. It never asks the database (P9).
func (r *Runner) WaitFor(ctx context.Context, position eventstore.Position) error {
	s := &r.state
	s.mu.Lock()
	if s.position >= position || s.stopped {
		err := s.reachedLocked(position)
		s.mu.Unlock()
		return err
	}
	w := &waiter{position: position, released: make(chan struct{})}
	heap.Push(&s.waiters, w)
	s.mu.Unlock()
	select {
	case s.hurry <- struct{}{}:
	default:
	}

	select {
	case <-w.released:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.reachedLocked(position)
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		if w.index >= 0 {
			heap.Remove(&s.waiters, w.index)
		}
		return context.Cause(ctx)
	}
}

func (s *state) reachedLocked(position eventstore.Position) error {
	switch {
	case s.position >= position:
		return nil
	case s.err != nil:
		return fmt.Errorf("%w at position %s: %w", ErrStopped, s.position, s.err)
	default:
		return fmt.Errorf("%w at position %s", ErrStopped, s.position)
	}
}

// isAwaited reports whether somebody waits for a position up to last.
func (s *state) isAwaited(last eventstore.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiters) > 0 && s.waiters[0].position <= last
}

func (s *state) hasWaiters() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiters) > 0
}

type waiter struct {
	position eventstore.Position
	released chan struct{}
	index    int // in the heap, -1 outside
}

// waiters is a heap, so that a move costs no more than the number it releases.
type waiters []*waiter

func (w *waiters) release(at eventstore.Position) {
	for len(*w) > 0 && (*w)[0].position <= at {
		w.pop()
	}
}

func (w *waiters) releaseAll() {
	for len(*w) > 0 {
		w.pop()
	}
}

func (w *waiters) pop() {
	if released, ok := heap.Pop(w).(*waiter); ok {
		close(released.released)
	}
}

// Len is part of heap.Interface, like the methods below.
func (w waiters) Len() int { return len(w) }

// Less puts the lowest position first.
func (w waiters) Less(i, j int) bool { return w[i].position < w[j].position }

// Swap keeps the indexes.
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push is called by package heap.
func (w *waiters) Push(x any) {
	if added, ok := x.(*waiter); ok {
		added.index = len(*w)
		*w = append(*w, added)
	}
}

// Pop is called by package heap.
func (w *waiters) Pop() any {
	old := *w
	last := old[len(old)-1]
	old[len(old)-1] = nil
	last.index = -1
	*w = old[:len(old)-1]
	return last
}
