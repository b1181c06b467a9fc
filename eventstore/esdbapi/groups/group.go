package groups

import (
	"container/list"
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// group is one life of a group: from its start, or its last update, to the next or its end. It is a set of
// queues under one lock, and four goroutines that wait for what they can do: pull and replay bring
// messages in, watch takes them back from consumers that are late, and keep writes. No
// goroutine holds the lock while it reads or writes the store.
type group struct {
	cfg   *Config
	entry entry
	match func(*eventstore.Recorded) bool
	seed  maphash.Seed

	stop func(cause error) // ends run
	done chan struct{}     // closed when every goroutine of the group is gone

	growWake, pullWake, replayWake, watchWake, keepWake signal

	mu sync.Mutex
	// gone is why the group takes nobody any more.
	gone      error
	trouble   error // of the last call to the store, nil when it was well
	recovered bool  // the state was read
	live      bool  // the end of the source was reached
	timing    bool  // watch wakes up by itself

	consumers []*Consumer
	turn      int    // of RoundRobin
	connected uint64 // consumers so far

	seq          uint64
	weight       int // of all messages
	main, parked ledger
	buffer       []*message // read, never delivered; in order
	redo         []*message // to be delivered before the buffer; in order
	queuedAgain  int        // messages of the parked ledger that are in redo
	flying       list.List  // of *message: what consumers have, by deadline
	parking      []*message // to be written, in this order

	checkpoint, truncated mark
	// The parked stream: its length, and what of it is to be delivered again. parkedTo may name
	// revisions that are still in parking.
	parkedEnd, parkedNext, parkedTo uint64

	known Place // the last event of the source that anybody saw
	stats counter
}

// mark is a place that is written down now and then.
type mark struct {
	written Place
	at      time.Time
}

func newGroup(cfg *Config, e entry, match func(*eventstore.Recorded) bool) *group {
	return &group{
		cfg: cfg, entry: e, match: match, seed: maphash.MakeSeed(), done: make(chan struct{}),
		growWake: newSignal(), pullWake: newSignal(), replayWake: newSignal(), watchWake: newSignal(), keepWake: newSignal(),
		stats: counter{since: cfg.Now()},
	}
}

// run works until ctx ends, writes the checkpoint a last time unless the group was deleted, and returns when its
// goroutines are gone. The cause of ctx is what consumers are told.
func (g *group) run(ctx context.Context) {
	defer close(g.done)
	defer func() { g.drop(context.Cause(ctx)) }()
	if !g.recover(ctx) {
		return
	}
	var workers sync.WaitGroup
	workers.Go(func() { g.pull(ctx) })
	workers.Go(func() { g.replay(ctx) })
	workers.Go(func() { g.watch(ctx) })
	workers.Go(func() { g.keep(ctx) })
	<-ctx.Done()
	g.drop(context.Cause(ctx)) // at once: consumers do not wait for the store
	workers.Wait()
	if !errors.Is(context.Cause(ctx), ErrDeleted) {
		g.flush(ctx)
	}
}

// drop tells every consumer that it is over.
func (g *group) drop(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone == nil {
		g.gone = cause
	}
	for _, c := range g.consumers {
		c.gone = g.gone
		c.wake.set()
	}
	g.consumers = nil
}

// admitLocked takes a message that was read from the source of a ledger.
func (g *group) admitLocked(m *message, l *ledger, at Place) {
	g.seq++
	m.seq = g.seq
	g.weight += m.weight
	l.enter(m, at)
	if l == &g.parked {
		g.queuedAgain++
		g.redo = insert(g.redo, m)
	} else {
		g.buffer = append(g.buffer, m)
	}
	g.dispatchLocked()
}

// settleLocked is the end of a message.
func (g *group) settleLocked(m *message) {
	g.weight -= m.weight
	m.ledger.settle(m)
	g.keepWake.set()
	g.roomLocked()
}

// roomLocked wakes who may have waited for room.
func (g *group) roomLocked() {
	g.pullWake.set()
	g.replayWake.set()
}

// retryLocked is for a message that a consumer has had in vain.
func (g *group) retryLocked(m *message, why string) {
	if m.Retry >= g.entry.Settings.MaxRetryCount {
		g.parkLocked(m, why)
		return
	}
	m.Retry++
	g.againLocked(m)
}

// againLocked queues a message before everything that was read later.
func (g *group) againLocked(m *message) {
	if m.ledger == &g.parked {
		g.queuedAgain++
	}
	g.redo = insert(g.redo, m)
}

func (g *group) parkLocked(m *message, why string) {
	m.reason = why
	g.parking = append(g.parking, m)
	g.keepWake.set()
}

// failed notes what the store said, for Info and for whoever logs.
func (g *group) failed(err error) {
	g.mu.Lock()
	g.trouble = err
	g.mu.Unlock()
	if g.cfg.Trouble != nil {
		g.cfg.Trouble(g.entry.Key, err)
	}
}

func (g *group) well() {
	g.mu.Lock()
	g.trouble = nil
	g.mu.Unlock()
}
