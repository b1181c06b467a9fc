package groups

import (
	"context"
	"time"
)

// watch takes messages back from consumers that are late with them, until ctx ends.
func (g *group) watch(ctx context.Context) {
	if g.entry.Settings.MessageTimeout == 0 {
		return
	}
	for g.watchWake.wait(ctx, g.expire(g.cfg.Now())) {
	}
}

// expire does what is due and says in how long there is more to do, negative when nothing is being timed.
func (g *group) expire(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.expireFlyingLocked(now)
	for _, c := range g.consumers {
		if len(c.mailbox) == 0 {
			continue
		}
		due := c.waiting.Add(g.entry.Settings.MessageTimeout).Sub(now)
		if due <= 0 {
			c.stalled = true
			c.returnMailboxLocked()
		} else if next < 0 || due < next {
			next = due
		}
	}
	g.timing = next >= 0
	g.dispatchLocked()
	return next
}

// timeLocked wakes watch for something new to time, unless it is timing: everything has the same timeout, so
// what comes later is never due earlier.
func (g *group) timeLocked() {
	if !g.timing {
		g.timing = true
		g.watchWake.set()
	}
}

func (g *group) expireFlyingLocked(now time.Time) time.Duration {
	for first := g.flying.Front(); first != nil; first = g.flying.Front() {
		m := first.Value.(*message) //nolint:forcetypeassert // the list holds nothing else
		if due := m.deadline.Sub(now); due > 0 {
			return due
		}
		m.holder.releaseLocked(m)
		g.retryLocked(m, "reached the maximum of retries: the consumer did not answer in time")
	}
	return -1
}
