package groups

import (
	"context"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

const (
	// parkBatch is the most messages that are parked by one append.
	parkBatch = 100
	// leastPause is the least time between two checkpoints, whatever the group asks for: the store
	// keeps every one for ever.
	leastPause = 100 * time.Millisecond
	// flushTimeout is how long a group that is stopping waits for its last checkpoint. Without it some events
	// are delivered again, no more.
	flushTimeout = 2 * time.Second
)

// keep writes what must outlive the process, until ctx ends: messages to park, at once, and places
// up to which all is settled, now and then.
func (g *group) keep(ctx context.Context) {
	for ctx.Err() == nil {
		if batch := g.toPark(); len(batch) > 0 {
			if res, ok := g.append(ctx, g.parkAppend(batch)); ok {
				g.nowParked(len(batch), res)
			}
			continue
		}
		place, wait := g.checkpointDue(g.cfg.Now())
		if wait == 0 {
			if _, ok := g.append(ctx, g.checkpointAppend(place)); ok {
				g.written(&g.checkpoint, place)
			}
			continue
		}
		place, later := g.truncationDue(g.cfg.Now())
		if later == 0 {
			if _, ok := g.append(ctx, g.truncateAppend(place)); ok {
				g.written(&g.truncated, place)
			}
			continue
		}
		g.keepWake.wait(ctx, sooner(wait, later))
	}
}

// sooner is the lesser of two pauses of which negative ones are endless.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// append repeats one append, the same, until the store has taken it: whether an attempt of unknown outcome was
// stored makes no difference then (E6). It is false when ctx ends first.
func (g *group) append(ctx context.Context, a eventstore.Append) (eventstore.Result, bool) {
	var pause backoff
	for {
		res, err := g.cfg.Store.Append(ctx, a)
		if err == nil {
			g.well()
			return res, true
		}
		if ctx.Err() != nil {
			return res, false
		}
		g.failed(err)
		if !pause.wait(ctx) {
			return res, false
		}
	}
}

// flush writes the places a last time. It is one attempt: the process is about to end.
func (g *group) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	g.mu.Lock()
	low, truncate := g.main.low(), g.parked.low()
	moved, trimmed := low != g.checkpoint.written, truncate != g.truncated.written
	g.mu.Unlock()
	if moved {
		if _, err := g.cfg.Store.Append(ctx, g.checkpointAppend(low)); err != nil {
			g.failed(err)
			return
		}
	}
	if trimmed {
		if _, err := g.cfg.Store.Append(ctx, g.truncateAppend(truncate)); err != nil {
			g.failed(err)
		}
	}
}

// checkpointDue is the place to write and in how long: 0 is now, negative is not yet known.
func (g *group) checkpointDue(now time.Time) (Place, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	low := g.main.low()
	enough := min(g.entry.Settings.MinCheckpointCount, g.entry.Settings.MaxCheckpointCount)
	if low-g.checkpoint.written < Place(max(enough, 1)) { //nolint:gosec // not negative
		return 0, -1
	}
	return low, g.dueLocked(&g.checkpoint, now)
}

// truncationDue is the same for the parked messages that were delivered again.
func (g *group) truncationDue(now time.Time) (Place, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	low := g.parked.low()
	if low == g.truncated.written {
		return 0, -1
	}
	return low, g.dueLocked(&g.truncated, now)
}

func (g *group) dueLocked(m *mark, now time.Time) time.Duration {
	pause := max(g.entry.Settings.CheckpointAfter, leastPause)
	return max(m.at.Add(pause).Sub(now), 0)
}

func (g *group) written(m *mark, at Place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.written, m.at = at, g.cfg.Now()
}

// toPark are the next messages to park. They stay in the queue until that is done.
func (g *group) toPark() []*message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*message(nil), g.parking[:min(len(g.parking), parkBatch)]...)
}

// nowParked settles the first messages of the queue: they are parked.
func (g *group) nowParked(n int, res eventstore.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.settleLocked(pop(&g.parking))
	}
	g.parkedEnd = max(g.parkedEnd, res.Revision+1)
}
