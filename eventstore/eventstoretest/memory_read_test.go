package eventstoretest_test

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/logoutd/logoutd/eventstore"
)

func (m *memory) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		return eventstore.Loaded{}, err
	}
	own := m.of(stream)
	if len(own) == 0 {
		if m.bug.is(loadNotFound) {
			return eventstore.Loaded{}, eventstore.ErrStreamNotFound
		}
		return eventstore.Loaded{Revision: eventstore.NoStream}, nil
	}
	last := own[len(own)-1]
	l := eventstore.Loaded{Revision: eventstore.AtRevision(last.Revision), Position: last.Position, Snapshot: bytes.Clone(m.snapshots[stream])}
	if l.Snapshot == nil {
		l.Events = own
	}
	return l, nil
}

func (m *memory) of(stream string) []eventstore.Recorded {
	var own []eventstore.Recorded
	for _, r := range m.log[:m.visible] {
		if r.Stream == stream {
			r.Event = m.own(r.Event)
			own = append(own, r)
		}
	}
	return own
}

func (m *memory) Head(ctx context.Context) (eventstore.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.position, m.ready(ctx)
}

func (m *memory) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return m.sequence(func() ([]eventstore.Recorded, error) {
		if err := m.ready(ctx); err != nil {
			return nil, err
		}
		own := m.of(stream)
		if len(own) == 0 && !m.bug.is(emptyForMissing) {
			return nil, eventstore.ErrStreamNotFound
		}
		if m.bug.is(offByOne) {
			from++
		}
		return slices.DeleteFunc(directed(own, dir), func(r eventstore.Recorded) bool {
			return dir == eventstore.Forward && r.Revision < from || dir == eventstore.Backward && r.Revision > from
		}), nil
	})
}

func (m *memory) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return m.sequence(func() ([]eventstore.Recorded, error) {
		rs, _ := m.stopAtLarge(slices.DeleteFunc(directed(m.log[:m.visible], dir), func(r eventstore.Recorded) bool {
			if m.bug.is(inclusive) && r.Position == from {
				return false
			}
			return dir == eventstore.Forward && r.Position <= from || dir == eventstore.Backward && r.Position >= from
		}))
		return rs, m.ready(ctx)
	})
}

func directed(rs []eventstore.Recorded, dir eventstore.Direction) []eventstore.Recorded {
	rs = slices.Clone(rs)
	if dir == eventstore.Backward {
		slices.Reverse(rs)
	}
	return rs
}

// sequence yields what find answers when the iteration begins.
func (m *memory) sequence(find func() ([]eventstore.Recorded, error)) iter.Seq2[eventstore.Recorded, error] {
	begun := 0
	return func(yield func(eventstore.Recorded, error) bool) {
		m.mu.Lock()
		rs, err := find()
		m.reading++
		m.mu.Unlock()
		defer m.endReading()
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if m.bug.is(readsOnce) {
			rs = rs[min(begun, len(rs)):]
		}
		for _, r := range rs {
			begun++
			if !yield(r, nil) {
				return
			}
		}
	}
}
