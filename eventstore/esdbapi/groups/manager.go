package groups

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// Store is what groups need of an event store.
type Store interface {
	eventstore.Appender
	eventstore.StreamReader
	eventstore.LogReader
	eventstore.Subscriber
}

// Config of a Manager. Store and Now are required; a zero value elsewhere is the default.
type Config struct {
	Store Store
	Now   func() time.Time
	// Source is how the events of a stream, and what links point to, are read: it may hide some, and answer
	// eventstore.ErrStreamNotFound where all are. Default Store.
	Source eventstore.StreamReader
	// Match turns the filter of a definition into a predicate. Required where groups have filters.
	Match func(filter []byte) (func(*eventstore.Recorded) bool, error)
	// Trouble is told of calls to the store that failed, and are being repeated. It must not block.
	Trouble func(Key, error)
	// MaxGroups is how many groups there may be: all of them are written anew whenever one changes. Default 200.
	MaxGroups int
	// GroupBytes is about how many bytes of events one group holds in memory. Default 16 MiB.
	GroupBytes int
}

func (c *Config) setDefaults() error {
	if c.Store == nil || c.Now == nil {
		return errors.New("store or now is missing: pass an event store and time.Now")
	}
	if c.MaxGroups < 0 || c.GroupBytes < 0 {
		return errors.New("a limit is negative: leave it out for the default")
	}
	if c.Source == nil {
		c.Source = c.Store
	}
	if c.MaxGroups == 0 {
		c.MaxGroups = 200
	}
	if c.GroupBytes == 0 {
		c.GroupBytes = 16 << 20
	}
	return nil
}

// Manager owns the groups of one store. Of several managers on one store each would deliver every
// event: there must be one. Its methods may be called from any number of goroutines.
type Manager struct {
	cfg     Config
	started atomic.Bool
	// turn is held by whoever changes the set of groups: a lock that a context can give up.
	turn   chan struct{}
	reload signal        // the configuration must be read
	first  signal        // there is a group
	tried  chan struct{} // closed when the configuration was read, or could not be
	routes atomic.Pointer[routes]

	mu     sync.Mutex
	groups map[Key]*group
	launch func(*group) // nil while nothing runs
	known  bool         // the configuration was read once

	// All below is for the holder of turn.
	entries []entry
	at      eventstore.Expected
	loaded  bool // entries are what the store holds
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Manager, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("persistent subscriptions: %w", err)
	}
	m := &Manager{
		cfg: cfg, turn: make(chan struct{}, 1), reload: newSignal(), first: newSignal(),
		tried: make(chan struct{}), groups: map[Key]*group{},
	}
	m.routes.Store(&routes{})
	return m, nil
}

// Run works until ctx ends, then answers nil. The consumers are told ErrStopped, each group
// writes its checkpoint, and Run returns when all its goroutines are gone. A manager runs once.
func (m *Manager) Run(ctx context.Context) error {
	if m.started.Swap(true) {
		return errors.New("persistent subscriptions: a manager runs only once, make another")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel(ErrStopped)
	m.mu.Lock()
	m.launch = func(g *group) {
		// Not the context of Run: its cause would be what consumers are told.
		own, stop := context.WithCancelCause(context.WithoutCancel(ctx))
		g.stop = stop
		workers.Go(func() { g.run(own) })
	}
	m.mu.Unlock()
	workers.Go(func() { m.follow(ctx) })
	m.keepLoaded(ctx)
	m.stop()
	return nil
}

// stop ends every group and lets no other begin.
func (m *Manager) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.launch = nil
	for _, g := range m.groups {
		g.stop(ErrStopped)
	}
}

// keepLoaded reads the configuration, at first and whenever somebody lost sight of it, until ctx ends.
func (m *Manager) keepLoaded(ctx context.Context) {
	var pause backoff
	var tried sync.Once
	for {
		err := m.load(ctx)
		tried.Do(func() { close(m.tried) })
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.trouble(Key{}, err)
			pause.wait(ctx)
		default:
			pause.reset()
			m.reload.wait(ctx, -1)
		}
	}
}

// load makes the running groups those of the configuration.
func (m *Manager) load(ctx context.Context) error {
	if err := m.acquire(ctx); err != nil {
		return err
	}
	defer m.release()
	return m.loadHeld(ctx)
}

func (m *Manager) loadHeld(ctx context.Context) error {
	if m.loaded {
		return nil
	}
	entries, at, err := readConfig(ctx, m.cfg.Store)
	if err != nil {
		return err
	}
	m.loaded = true
	m.adopt(entries, at)
	m.mu.Lock()
	m.known = true
	m.mu.Unlock()
	return nil
}

func (m *Manager) acquire(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx) //nolint:wrapcheck // as the port does
	}
}

func (m *Manager) release() { <-m.turn }

// adopt stops the groups that are not as the entries say, and starts those that do not run. The caller
// holds the turn.
func (m *Manager) adopt(entries []entry, at eventstore.Expected) {
	m.entries, m.at = entries, at
	wanted := map[Key]entry{}
	for _, e := range entries {
		wanted[e.Key] = e
	}
	m.end(wanted)
	for _, e := range entries {
		m.begin(e)
	}
	if len(entries) > 0 {
		m.first.set()
	}
}

// end stops groups and waits until they have written their last: who begins anew reads it.
func (m *Manager) end(wanted map[Key]entry) {
	m.mu.Lock()
	var ended []*group
	for key, g := range m.groups {
		e, stays := wanted[key]
		if stays && e.same(g.entry) {
			continue
		}
		cause := ErrDropped
		if !stays || e.ID != g.entry.ID {
			cause = ErrDeleted
		}
		if !stays { // one that was updated is there until its successor is, for those who look it up
			delete(m.groups, key)
		}
		g.stop(cause)
		ended = append(ended, g)
	}
	m.routeLocked()
	m.mu.Unlock()
	for _, g := range ended {
		<-g.done
	}
}

// begin starts a group unless it runs, or everything is stopping.
func (m *Manager) begin(e entry) {
	match, err := m.match(e.Filter)
	if err != nil { // it was understood when the group was created: another version reads it differently
		m.trouble(e.Key, fmt.Errorf("the group cannot start, delete it and create it anew: %w", err))
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.groups[e.Key]; m.launch == nil || g != nil && g.entry.same(e) {
		return
	}
	g := newGroup(&m.cfg, e, match)
	m.groups[e.Key] = g
	m.routeLocked() // before the first read: what is appended after it is told of
	m.launch(g)
}

func (m *Manager) trouble(k Key, err error) {
	if m.cfg.Trouble != nil {
		m.cfg.Trouble(k, err)
	}
}

func (m *Manager) match(filter []byte) (func(*eventstore.Recorded) bool, error) {
	switch {
	case filter == nil:
		return nil, nil //nolint:nilnil // every event
	case m.cfg.Match == nil:
		return nil, fmt.Errorf("%w: filters are not supported", ErrInvalid)
	}
	return m.cfg.Match(filter)
}
