package projections_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
)

// rebuildable is a read model that belongs to its runner alone.
type rebuildable struct {
	*model
	beside   *model // the one that is filled
	spoil    error  // what Acquire answers until it is replaced, nil when well
	rebuilds int
	full     error // why no other can be made, nil when there is room
}

func (r *rebuildable) Acquire(ctx context.Context) (projections.Checkpoint, error) {
	if r.spoil != nil {
		return projections.Checkpoint{}, r.spoil
	}
	return r.model.Acquire(ctx)
}

func (r *rebuildable) Rebuild(_ context.Context, fill func(projections.Projection) error) error {
	r.rebuilds++
	if r.full != nil {
		return r.full
	}
	if err := fill(r.beside); err != nil {
		return err
	}
	r.spoil, r.at, r.batches = nil, r.beside.at, r.beside.batches
	return nil
}

func newRebuildRig(t *testing.T, spoil error) (*rig, *rebuildable) {
	t.Helper()
	m := &rebuildable{model: &model{}, beside: &model{}, spoil: spoil}
	r := newRig(t, projections.Config{Projection: m, BatchEvents: 2})
	r.model = m.model
	return r, m
}

func TestAReadModelIsRebuiltBesideItself(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]error{
		"damaged": projections.ErrCorrupt, "of another version": projections.ErrVersion, "of another store": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, m := newRebuildRig(t, spoil)
				if spoil == nil {
					m.at = projections.Checkpoint{Position: 9, Last: projections.EventRef{Stream: "elsewhere"}}
				}
				r.others(5)
				m.beside.fail = func(attempt int) error {
					if attempt == 2 || attempt == 3 {
						return errors.New("disk full")
					}
					return nil
				}
				r.start()
				time.Sleep(60 * time.Millisecond) // it is in the middle
				s := r.runner.Status()
				if s.Unusable == nil || !strings.Contains(s.Unusable.Error(), "being rebuilt, 2 of 5") ||
					!strings.Contains(s.Unusable.Error(), "disk full") || s.Healthy {
					t.Errorf("in the middle: %+v", s)
				}
				if s.Position == 2 {
					t.Error("a position that nobody may read is shown as reached")
				}
				time.Sleep(time.Second)
				if s := r.runner.Status(); s.Unusable != nil || !s.Healthy || s.Position != 5 || s.Err != nil {
					t.Errorf("after it: %+v", s)
				}
				r.others(2)
				r.waitFor(7)
				if m.rebuilds != 1 || m.at.Position != 7 {
					t.Errorf("rebuilt %d times, at %s", m.rebuilds, m.at.Position)
				}
				r.stop()
			})
		})
	}
}

func TestARebuildThatIsToldToStopReplacesNothing(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(r *rig, m *rebuildable){
		"while it cannot write": func(_ *rig, m *rebuildable) {
			m.beside.fail = func(attempt int) error {
				if attempt > 1 {
					return errors.New("disk full")
				}
				return nil
			}
		},
		"while it waits for events": func(r *rig, _ *rebuildable) {
			r.store.Tamper(func(e *eventstore.Recorded) bool { return e.Position <= 2 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, m := newRebuildRig(t, projections.ErrCorrupt)
				hold(r, m)
				r.others(5)
				r.start()
				time.Sleep(time.Minute)
				r.stop()
				if m.spoil == nil || m.beside.at.Position != 2 {
					t.Errorf("replaced by one that is at %s", m.beside.at.Position)
				}
			})
		})
	}
}

func TestARebuildOfAnEmptyStoreEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRebuildRig(t, projections.ErrVersion)
		r.start()
		time.Sleep(time.Second)
		if s := r.runner.Status(); s.Unusable != nil {
			t.Errorf("status %+v", s)
		}
		r.stop()
	})
}

// A rebuild for which there is no room is tried again, and says so once.
func TestARebuildThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, m := newRebuildRig(t, projections.ErrCorrupt)
		m.full = errors.New("read-only file system")
		r.others(1)
		r.start()
		time.Sleep(time.Minute)
		s := r.runner.Status()
		if !errors.Is(s.Unusable, projections.ErrCorrupt) || !errors.Is(s.Unusable, m.full) {
			t.Errorf("status %+v", s)
		}
		if n := strings.Count(r.log.String(), "read-only"); n != 1 {
			t.Errorf("said %d times in the log: %s", n, r.log.String())
		}
		r.stop()
		if m.rebuilds < 3 {
			t.Errorf("tried %d times", m.rebuilds)
		}
	})
}
