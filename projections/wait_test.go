package projections_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
)

func TestWaitIsReleasedExactlyWhenReached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		var mu sync.Mutex
		released := map[eventstore.Position]bool{}
		var group sync.WaitGroup
		for _, p := range []eventstore.Position{3, 1, 9, 2, 5, 5, 0} {
			group.Go(func() {
				r.waitFor(p)
				mu.Lock()
				defer mu.Unlock()
				released[p] = true
			})
		}
		synctest.Wait()
		r.start()
		r.others(4)
		time.Sleep(time.Second)
		mu.Lock()
		for p, want := range map[eventstore.Position]bool{0: true, 1: true, 2: true, 3: true, 5: false, 9: false} {
			if released[p] != want {
				t.Errorf("at 4: waiter for %s released: %t, want %t", p, released[p], want)
			}
		}
		mu.Unlock()
		r.others(5)
		group.Wait()
		r.stop()
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{Linger: 10 * time.Second})
		r.start()
		why := errors.New("patience is over")
		ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Second, why)
		defer cancel()
		began := time.Now()
		if err := r.runner.WaitFor(ctx, 7); !errors.Is(err, why) {
			t.Errorf("wait: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("waited %s", took)
		}
		r.others(7)
		synctest.Wait()
		if s := r.runner.Status(); s.Position != 0 {
			t.Errorf("hurried for somebody who has left: %+v", s)
		}
		r.waitFor(7)
		r.stop()
	})
}

// Without a waiter a batch lingers, with one it does not.
func TestWaiterEndsTheLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{Linger: 10 * time.Second})
		r.start()
		r.others(1)
		time.Sleep(4 * time.Second)
		r.others(1)
		synctest.Wait()
		if s := r.runner.Status(); s.Position != 0 || s.Lag != 2 {
			t.Errorf("did not linger: %+v", s)
		}
		began := time.Now()
		r.waitFor(2)
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s although everything was there", took)
		}
		r.stop()
	})
}

func TestHealthNeedsMovementOnlyWhenBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{MaxLag: 2, StallAfter: 30 * time.Second})
		r.start()
		time.Sleep(time.Hour)
		if s := r.runner.Status(); !s.Healthy || s.LagTime != 0 {
			t.Errorf("idle for an hour: %+v", s)
		}
		r.model.mu.Lock()
		r.model.fail = func(int) error { return errors.New("database is locked") }
		r.model.mu.Unlock()
		r.others(3)
		synctest.Wait()
		for _, step := range []struct {
			after   time.Duration
			healthy bool
		}{{0, true}, {30 * time.Second, true}, {time.Second, false}, {time.Hour, false}} {
			time.Sleep(step.after)
			if s := r.runner.Status(); s.Healthy != step.healthy || s.Lag != 3 {
				t.Errorf("%s later: %+v, want healthy %t", step.after, s, step.healthy)
			}
		}
		if s := r.runner.Status(); s.Err == nil || s.LagTime < time.Hour {
			t.Errorf("behind for an hour: %+v", s)
		}
		r.model.mu.Lock()
		r.model.fail = nil
		r.model.mu.Unlock()
		r.waitFor(3)
		if s := r.runner.Status(); !s.Healthy || s.Err != nil {
			t.Errorf("caught up again: %+v", s)
		}
		r.stop()
	})
}
