package groups

import (
	"context"
	"slices"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// ConsumerInfo is what a consumer says of itself.
type ConsumerInfo struct {
	// Buffer is how many events it takes without having acknowledged one. Less than 1 is 1.
	Buffer int
	// From, Username and Name are shown in Info.
	From, Username, Name string
}

// Action is what becomes of an event that a consumer refuses.
type Action uint8

// The actions of the protocol. Unknown is a retry. Stop gives the event back, to be
// delivered again to whoever is there: nothing that was not acknowledged is forgotten.
const (
	Unknown Action = iota
	Park
	Retry
	Skip
	Stop
)

// Consumer is one of those who share the events of a group. One goroutine calls Next; the other
// methods may be called from any.
type Consumer struct {
	g      *group
	info   ConsumerInfo
	number uint64
	wake   signal

	// All below is guarded by g.mu.
	gone    error
	mailbox []*message // given, not taken yet; in the order given
	held    map[eventstore.EventID]*message
	// waiting is since when the mailbox has waited to be looked at. One who does not look
	// for the message timeout has stalled and gets nothing until it does.
	waiting time.Time
	stalled bool
	stats   counter
}

// connect adds a consumer. It answers ErrFull, or why the group is gone.
func (g *group) connect(info ConsumerInfo) (*Consumer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone != nil {
		return nil, g.gone
	}
	if limit := g.entry.Settings.MaxSubscriberCount; limit > 0 && len(g.consumers) >= limit {
		return nil, ErrFull
	}
	info.Buffer = max(info.Buffer, 1)
	g.connected++
	c := &Consumer{
		g: g, info: info, number: g.connected, wake: newSignal(),
		held: map[eventstore.EventID]*message{}, stats: counter{since: g.cfg.Now()},
	}
	g.consumers = append(g.consumers, c)
	g.dispatchLocked()
	return c, nil
}

// Next waits for the next event. From then on the consumer has the message timeout of the group to
// acknowledge it. It answers ErrDropped, ErrDeleted, ErrStopped or ErrClosed when there will be no more,
// or the cause of ctx.
func (c *Consumer) Next(ctx context.Context) (Delivery, error) {
	for {
		d, taken, err := c.take()
		if taken || err != nil {
			return d, err
		}
		if !c.wake.wait(ctx, -1) {
			return Delivery{}, context.Cause(ctx) //nolint:wrapcheck // as the port does
		}
	}
}

// take is the next delivery, if there is one.
func (c *Consumer) take() (d Delivery, taken bool, err error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.gone != nil {
		return d, false, c.gone
	}
	if c.stalled {
		c.stalled = false
		g.dispatchLocked()
	}
	if len(c.mailbox) == 0 {
		return d, false, nil
	}
	m := pop(&c.mailbox)
	now := g.cfg.Now()
	m.holder, m.deadline = c, now.Add(g.entry.Settings.MessageTimeout)
	m.flight = g.flying.PushBack(m)
	c.waiting = now
	c.stats.total++
	g.stats.total++
	g.timeLocked()
	return m.Delivery, true, nil
}

// Ack says that the events of these ids are done. Ids that the consumer does not hold, any more or at
// all, are ignored.
func (c *Consumer) Ack(ids ...eventstore.EventID) {
	c.answer(ids, c.g.settleLocked)
}

// Nack refuses the events of these ids. The reason is kept with an event that is parked. Ids
// that the consumer does not hold are ignored.
func (c *Consumer) Nack(action Action, reason string, ids ...eventstore.EventID) {
	g := c.g
	c.answer(ids, func(m *message) {
		switch action {
		case Park:
			g.parkLocked(m, "client explicitly nacked message: "+reason)
		case Skip:
			g.settleLocked(m)
		case Unknown, Retry, Stop:
			g.retryLocked(m, "reached the maximum of retries: "+reason)
		}
	})
}

func (c *Consumer) answer(ids []eventstore.EventID, settle func(*message)) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if c.gone != nil {
		return
	}
	for _, id := range ids {
		if m := c.held[id]; m != nil && m.holder != nil {
			c.releaseLocked(m)
			settle(m)
		}
	}
	c.g.dispatchLocked()
}

// Close gives back what the consumer has not acknowledged, for the others. Events that it had in
// hand count as delivered.
func (c *Consumer) Close() {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.gone != nil {
		return
	}
	c.gone = ErrClosed
	c.wake.set()
	g.consumers = slices.DeleteFunc(g.consumers, func(other *Consumer) bool { return other == c })
	c.returnMailboxLocked()
	for _, m := range sorted(c.held) {
		c.releaseLocked(m)
		g.retryLocked(m, "reached the maximum of retries: the consumer disconnected")
	}
	g.dispatchLocked()
}

// roomLocked says whether the consumer takes one more. Ids are unique in a store, but not in every store: of
// two messages with one id the second waits until the first is answered.
func (c *Consumer) roomLocked(m *message) bool {
	return !c.stalled && len(c.held) < c.info.Buffer && c.held[m.Original().ID] == nil
}

func (c *Consumer) giveLocked(m *message) {
	if len(c.mailbox) == 0 {
		c.waiting = c.g.cfg.Now()
		c.g.timeLocked()
	}
	c.mailbox = append(c.mailbox, m)
	c.held[m.Original().ID] = m
	c.wake.set()
}

// releaseLocked takes a message that was handed out away from its consumer.
func (c *Consumer) releaseLocked(m *message) {
	delete(c.held, m.Original().ID)
	c.g.flying.Remove(m.flight)
	m.holder, m.flight = nil, nil
}

// returnMailboxLocked gives back what the consumer never looked at. It has not been delivered, so
// that is no retry.
func (c *Consumer) returnMailboxLocked() {
	for _, m := range c.mailbox {
		delete(c.held, m.Original().ID)
		c.g.againLocked(m)
	}
	c.mailbox = nil
}
