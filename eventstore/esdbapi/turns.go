package esdbapi

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// busyFor is how long after the newest event the log still counts as growing.
	busyFor = 50 * time.Millisecond
	// longestTurn is when a turn passes on although its holder has not ended it: its client does not read.
	longestTurn = 2 * time.Millisecond
	// turnShare is the part of this machine's processors that turns may take. What follows a turn, on
	// the socket and in a client on the same machine, costs about twenty times that.
	turnShare = 0.002
)

// turns keep many subscribers from slowing the appends that they wait for. While the log grows they send
// one at a time, in the order in which they came, and each turn is followed by a rest in
// proportion to it: so they fall behind together, in memory, and catch up when there is room. While it
// does not grow nobody waits for a turn.
type turns struct {
	growing  func(within time.Duration) bool
	stopping <-chan struct{}
	free     chan time.Time // holds the turn while nobody has it, and when it may be taken
	rest     float64        // of the length of a turn
}

func newTurns(growing func(time.Duration) bool, stopping <-chan struct{}) *turns {
	share := min(turnShare*float64(runtime.GOMAXPROCS(0)), 1)
	t := &turns{growing: growing, stopping: stopping, free: make(chan time.Time, 1), rest: 1/share - 1}
	t.free <- time.Time{}
	return t
}

// turn is the right to send. The nil turn is one that nobody waits for.
type turn struct {
	of    *turns
	began time.Time
	ended atomic.Bool
	limit *time.Timer
}

// take waits for a turn. End it.
func (t *turns) take(ctx context.Context) (*turn, error) {
	if !t.growing(busyFor) {
		return nil, nil
	}
	select {
	case at := <-t.free:
		if err := t.wait(ctx, time.Until(at)); err != nil {
			t.free <- at
			return nil, err
		}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.stopping:
		return nil, shuttingDown()
	}
	own := &turn{of: t, began: time.Now()}
	own.limit = time.AfterFunc(longestTurn, own.pass)
	return own, nil
}

func (t *turns) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.stopping:
		return shuttingDown()
	}
}

// end passes the turn on, unless it took too long and was passed on already.
func (t *turn) end() {
	if t != nil {
		t.limit.Stop()
		t.pass()
	}
}

func (t *turn) pass() {
	if t.ended.Swap(true) {
		return
	}
	now := time.Now()
	t.of.free <- now.Add(time.Duration(float64(min(now.Sub(t.began), longestTurn)) * t.of.rest))
}
