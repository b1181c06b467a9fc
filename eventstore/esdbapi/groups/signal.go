package groups

import (
	"context"
	"math/rand/v2"
	"time"
)

// signal wakes one goroutine. A signal that is set twice before it is seen is seen once.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default: // it is set
	}
}

// wait is false when the context ends first. A negative limit is none.
func (s signal) wait(ctx context.Context, limit time.Duration) bool {
	var elapsed <-chan time.Time
	if limit >= 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-s:
	case <-elapsed:
	case <-ctx.Done():
		return false
	}
	return true
}

// backoff is the pause before another attempt: it doubles, with some chance, from 50 ms to 5 s.
type backoff struct{ next time.Duration }

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

func (b *backoff) reset() { b.next = 0 }

// wait is false when the context ends first.
func (b *backoff) wait(ctx context.Context) bool {
	b.next = min(max(2*b.next, firstPause), lastPause)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
