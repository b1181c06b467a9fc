package groups

import (
	"context"
	"strings"

	"github.com/logoutd/logoutd/eventstore"
)

// routes are the groups by what they read. They are replaced, never changed.
type routes struct {
	all    []*group
	stream map[string][]*group
}

func (m *Manager) routeLocked() {
	r := &routes{stream: map[string][]*group{}}
	for key, g := range m.groups {
		if key.Stream == All {
			r.all = append(r.all, g)
		} else {
			r.stream[key.Stream] = append(r.stream[key.Stream], g)
		}
	}
	m.routes.Store(r)
}

// follow tells groups that their source has grown: one subscription for all of them, from the first group on.
// What it carries is not delivered, since groups read for themselves, each at its own pace.
func (m *Manager) follow(ctx context.Context) {
	if !m.first.wait(ctx, -1) {
		return
	}
	var pause backoff
	after, known := eventstore.Position(0), false
	for ctx.Err() == nil {
		if !known {
			head, err := m.cfg.Store.Head(ctx)
			if err != nil {
				pause.wait(ctx)
				continue
			}
			after, known = head, true
			m.wakeAll() // a group may have read before this head, and missed what came between
		}
		for e, err := range m.cfg.Store.Subscribe(ctx, after) {
			if err != nil {
				break
			}
			after = e.Position
			pause.reset()
			m.tell(&e)
		}
		pause.wait(ctx)
	}
}

// tell wakes the groups that an event is for. The metadata of a stream may show events that were hidden.
func (m *Manager) tell(e *eventstore.Recorded) {
	r := m.routes.Load()
	for _, g := range r.stream[e.Stream] {
		g.growWake.set()
	}
	if of, isMeta := strings.CutPrefix(e.Stream, metaPrefix); isMeta {
		for _, g := range r.stream[of] {
			g.growWake.set()
		}
	}
	for _, g := range r.all {
		g.growWake.set()
	}
}

func (m *Manager) wakeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups {
		g.growWake.set()
	}
}
