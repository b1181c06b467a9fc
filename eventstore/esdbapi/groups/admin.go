package groups

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/logoutd/logoutd/eventstore"
)

// Create makes a group, durably. It answers ErrExists, ErrInvalid, ErrStopped, or an error of the store.
func (m *Manager) Create(ctx context.Context, d Definition) error {
	e, err := m.check(d)
	if err != nil {
		return err
	}
	return m.change(ctx, func(entries []entry) ([]entry, error) {
		if find(entries, d.Key) >= 0 {
			return nil, fmt.Errorf("%w: %s", ErrExists, d.Key)
		}
		if len(entries) >= m.cfg.MaxGroups {
			return nil, fmt.Errorf("%w: there are %d groups already, delete one", ErrInvalid, len(entries))
		}
		if err := m.place(ctx, &e); err != nil {
			return nil, err
		}
		return append(entries, e), nil
	})
}

// Update gives a group other settings. Its consumers are dropped, and it goes on from its checkpoint; if
// it has none yet, from the new start. The filter stays. It answers ErrNotFound, or as Create.
func (m *Manager) Update(ctx context.Context, d Definition) error {
	d.Filter = nil
	changed, err := m.check(d)
	if err != nil {
		return err
	}
	return m.change(ctx, func(entries []entry) ([]entry, error) {
		i := find(entries, d.Key)
		if i < 0 {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, d.Key)
		}
		from, err := placeStart(ctx, &m.cfg, d.Key, d.Start)
		if err != nil {
			return nil, err
		}
		e := entries[i]
		e.Edition++
		e.Start, e.From, e.Settings = changed.Start, from, changed.Settings
		entries[i] = e
		return entries, nil
	})
}

// Delete ends a group. Its checkpoint and its parked messages mean nothing to a later group of the same name. It
// answers ErrNotFound, ErrStopped or an error of the store.
func (m *Manager) Delete(ctx context.Context, key Key) error {
	return m.change(ctx, func(entries []entry) ([]entry, error) {
		i := find(entries, key)
		if i < 0 {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
		}
		return slices.Delete(entries, i, i+1), nil
	})
}

// Connect adds a consumer to a group. It answers ErrNotFound, ErrFull, ErrStopped or the cause of ctx. Close
// the consumer when done with it.
func (m *Manager) Connect(ctx context.Context, key Key, info ConsumerInfo) (c *Consumer, err error) {
	err = m.with(ctx, key, func(g *group) error {
		c, err = g.connect(info)
		return err
	})
	return c, err
}

// ReplayParked asks for parked messages to be delivered again: those parked by now, or those of them whose
// revision in the parked stream is below *stopAt. It answers ErrNotFound, ErrStopped or eventstore.ErrUnavailable.
func (m *Manager) ReplayParked(ctx context.Context, key Key, stopAt *uint64) error {
	return m.with(ctx, key, func(g *group) error { return g.replayParked(stopAt) })
}

// Info describes one group. It answers ErrNotFound or ErrStopped.
func (m *Manager) Info(ctx context.Context, key Key) (Info, error) {
	g, err := m.group(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return g.info(), nil
}

// List describes all groups, by stream and name.
func (m *Manager) List(ctx context.Context) ([]Info, error) {
	if err := m.running(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	var infos []Info
	for _, g := range m.groups {
		infos = append(infos, g.info())
	}
	m.mu.Unlock()
	slices.SortFunc(infos, func(a, b Info) int {
		if c := strings.Compare(a.Key.Stream, b.Key.Stream); c != 0 {
			return c
		}
		return strings.Compare(a.Key.Group, b.Key.Group)
	})
	return infos, nil
}

// with calls f with a group. One that is being updated is waited for.
func (m *Manager) with(ctx context.Context, key Key, f func(*group) error) error {
	for {
		g, err := m.group(ctx, key)
		if err != nil {
			return err
		}
		if err := f(g); !errors.Is(err, ErrDropped) {
			return err
		}
		if err := m.acquire(ctx); err != nil {
			return err
		}
		m.release()
	}
}

func (m *Manager) group(ctx context.Context, key Key) (*group, error) {
	if err := m.running(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[key]
	if g == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return g, nil
}

// running waits for the first attempt to read the configuration. It answers eventstore.ErrUnavailable
// as long as none has succeeded.
func (m *Manager) running(ctx context.Context) error {
	select {
	case <-m.tried:
	case <-ctx.Done():
		return context.Cause(ctx) //nolint:wrapcheck // as the port does
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.launch == nil:
		return ErrStopped
	case !m.known:
		return fmt.Errorf("%w: the groups are not read yet", eventstore.ErrUnavailable)
	}
	return nil
}

// maxFilterBytes bounds what a filter adds to every event of the configuration.
const maxFilterBytes = 4096

// check is what can be said of a definition without the store.
func (m *Manager) check(d Definition) (entry, error) {
	if err := errors.Join(d.Key.validate(), d.Settings.validate()); err != nil {
		return entry{}, err
	}
	if len(d.Filter) > maxFilterBytes {
		return entry{}, fmt.Errorf("%w: filter of %d bytes, at most %d", ErrInvalid, len(d.Filter), maxFilterBytes)
	}
	if _, err := m.match(d.Filter); err != nil {
		return entry{}, err
	}
	return entry{Key: d.Key, ID: newID().String(), Start: d.Start, Filter: slices.Clone(d.Filter), Settings: d.Settings}, nil
}

// place finds out where a new group begins, in its source and in what earlier ones left behind.
func (m *Manager) place(ctx context.Context, e *entry) (err error) {
	if e.From, err = placeStart(ctx, &m.cfg, e.Key, e.Start); err != nil {
		return err
	}
	if e.CheckpointFrom, err = streamEnd(ctx, m.cfg.Store, e.Key.checkpointStream()); err != nil {
		return fmt.Errorf("find the end of %s: %w", e.Key.checkpointStream(), err)
	}
	if e.ParkedFrom, err = streamEnd(ctx, m.cfg.Store, e.Key.parkedStream()); err != nil {
		return fmt.Errorf("find the end of %s: %w", e.Key.parkedStream(), err)
	}
	return nil
}

// attempts is how often a change is made anew on a configuration that somebody else has changed.
const attempts = 3

// change writes the configuration that edit makes of the present one, and makes it so.
func (m *Manager) change(ctx context.Context, edit func([]entry) ([]entry, error)) error {
	if err := m.running(ctx); err != nil {
		return err
	}
	if err := m.acquire(ctx); err != nil {
		return err
	}
	defer m.release()
	var err error
	for range attempts {
		if err = m.loadHeld(ctx); err != nil {
			return err
		}
		var entries []entry
		if entries, err = edit(slices.Clone(m.entries)); err != nil {
			return err
		}
		var res eventstore.Result
		if res, err = m.cfg.Store.Append(ctx, configAppend(entries, m.at)); err == nil {
			m.adopt(entries, eventstore.AtRevision(res.Revision))
			return nil
		}
		m.lose(err)
		if errors.Is(err, eventstore.ErrTooLarge) {
			return fmt.Errorf("%w: all groups together are too large, delete one: %w", ErrInvalid, err)
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			break
		}
	}
	return fmt.Errorf("write %s: %w", configStream, err)
}

// lose is for a write whose outcome must be read back.
func (m *Manager) lose(err error) {
	if errors.Is(err, eventstore.ErrConflict) || errors.Is(err, eventstore.ErrOutcomeUnknown) {
		m.loaded = false
		m.reload.set()
	}
}

func find(entries []entry, key Key) int {
	return slices.IndexFunc(entries, func(e entry) bool { return e.Key == key })
}
