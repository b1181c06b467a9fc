package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is a projection in memory that remembers positions and can fail.
type model struct {
	mu      sync.Mutex
	at      projections.Checkpoint
	batches [][]eventstore.Position
	fail    func(attempt int) error // before anything is changed
	after   func(attempt int) error // after it was changed
	attempt int
	epochs  int
}

func (m *model) Describe() projections.Description {
	return projections.Description{Name: "test", Version: 3, Location: "/data/test.db"}
}

func (m *model) Acquire(ctx context.Context) (projections.Checkpoint, error) {
	m.epochs++
	return m.Checkpoint(ctx)
}

func (m *model) Checkpoint(context.Context) (projections.Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, nil
}

func (m *model) Apply(_ context.Context, from eventstore.Position, events []eventstore.Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempt++
	if m.fail != nil {
		if err := m.fail(m.attempt); err != nil {
			return err
		}
	}
	if m.at.Position != from {
		return &projections.MovedError{Expected: from, Actual: m.at.Position}
	}
	var batch []eventstore.Position
	for i := range events {
		if events[i].Position != m.at.Position+1 {
			return fmt.Errorf("%w: position %s", projections.ErrGap, events[i].Position)
		}
		m.at = projections.Checkpoint{Position: events[i].Position, Last: projections.RefTo(&events[i])}
		batch = append(batch, events[i].Position)
	}
	m.batches = append(m.batches, batch)
	if m.after != nil {
		return m.after(m.attempt)
	}
	return nil
}

// rig is a runner over a store and a model, inside a synctest bubble.
type rig struct {
	*testing.T
	store   *memstoretest.Store
	history *memstoretest.History
	model   *model
	runner  *projections.Runner
	log     bytes.Buffer
	cancel  context.CancelFunc
	done    chan error
}

func newRig(t *testing.T, config projections.Config) *rig {
	t.Helper()
	r := &rig{T: t, store: memstoretest.New(), model: &model{}, done: make(chan error, 1)}
	r.history = memstoretest.NewHistory(t, r.store)
	if config.Source = r.store; config.Projection == nil {
		config.Projection = r.model
	}
	began := time.Now()
	config.Now = func() time.Time { return memstoretest.Epoch.Add(time.Since(began)) }
	config.Log = zerolog.New(&r.log)
	runner, err := projections.NewRunner(config)
	if err != nil {
		t.Fatalf("new runner: %v", err)
	}
	r.runner = runner
	return r
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.runner.Run(ctx) }()
	synctest.Wait()
}

// stop ends the runner, which must say that this was no failure.
func (r *rig) stop() {
	r.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.Errorf("stopped with %v, want nil", err)
	}
}

// breaks starts the runner, says why its read model cannot be used, and ends it.
func (r *rig) breaks() error {
	r.Helper()
	r.start()
	s := r.runner.Status()
	if s.Running || s.Healthy {
		r.Errorf("status %+v", s)
	}
	r.stop()
	return s.Unusable
}

func (r *rig) others(n int) {
	for range n {
		r.history.Other("something-else")
	}
}

func (r *rig) waitFor(p eventstore.Position) {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := r.runner.WaitFor(ctx, p); err != nil {
		r.Fatalf("wait for %s: %v", p, err)
	}
}

func TestCatchesUpThenFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{BatchEvents: 4})
		r.others(10)
		r.start()
		r.waitFor(10)
		for i := range r.model.batches {
			if n := len(r.model.batches[i]); n > 4 {
				t.Errorf("batch of %d events, at most 4", n)
			}
		}
		r.others(3)
		r.waitFor(13)
		s := r.runner.Status()
		if s.Position != 13 || s.Head != 13 || s.Lag != 0 || s.LagTime != 0 || !s.Healthy || !s.Running || s.Err != nil {
			t.Errorf("status %+v", s)
		}
		r.stop()
	})
}

func TestResumesFromCheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		r.others(5)
		last := r.store.Events()[2]
		r.model.at = projections.Checkpoint{Position: 3, Last: projections.RefTo(&last)}
		r.start()
		r.waitFor(5)
		if got := r.model.batches[0][0]; got != 4 {
			t.Errorf("first event applied is at %s, want 4", got)
		}
		r.stop()
	})
}

func TestRefusesReadModelOfAnotherStore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*projections.Checkpoint){
		"ahead of the store": func(c *projections.Checkpoint) { c.Position = 6 },
		"another event id":   func(c *projections.Checkpoint) { c.Last.ID[0]++ },
		"another stream":     func(c *projections.Checkpoint) { c.Last.Stream = "elsewhere" },
		"another place":      func(c *projections.Checkpoint) { c.Position = 2 },
		"past its stream":    func(c *projections.Checkpoint) { c.Last.Revision = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, projections.Config{})
				r.others(5)
				last := r.store.Events()[2]
				r.model.at = projections.Checkpoint{Position: 3, Last: projections.RefTo(&last)}
				change(&r.model.at)
				err := r.breaks()
				if !errors.Is(err, projections.ErrForeign) || !strings.Contains(err.Error(), "delete /data/test.db to have it rebuilt") {
					t.Errorf("unusable: %v", err)
				}
				if name == "ahead of the store" && !strings.Contains(err.Error(), "it is at position 6, the store ends at 5") {
					t.Errorf("unusable: %v", err)
				}
				if len(r.model.batches) > 0 {
					t.Error("applied to a read model of another store")
				}
			})
		})
	}
}

func TestRefusesEventsOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		r.others(5)
		r.store.Tamper(func(e *eventstore.Recorded) bool { e.Position = min(e.Position, 3); return true })
		if err := r.breaks(); !errors.Is(err, projections.ErrGap) || !strings.Contains(err.Error(), "came after position 3") {
			t.Errorf("unusable: %v", err)
		}
	})
}

// What cannot be used is said, once in the log, and is tried again: it may be mended by somebody else.
func TestAReadModelThatCannotBeUsedIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		if err := r.runner.Status().Unusable; err == nil {
			t.Error("usable before it was opened")
		}
		r.model.fail = func(attempt int) error {
			if attempt <= 3 {
				return projections.ErrCorrupt
			}
			return nil
		}
		r.others(5)
		waited := make(chan error, 1)
		go func() { waited <- r.runner.WaitFor(context.Background(), 5) }()
		r.start()
		synctest.Wait()
		s := r.runner.Status()
		if !errors.Is(s.Unusable, projections.ErrCorrupt) || s.Healthy || s.Running || !strings.Contains(s.Unusable.Error(), "test@3") {
			t.Errorf("status %+v", s)
		}
		if err := <-waited; err != nil {
			t.Errorf("wait: %v", err)
		}
		if s := r.runner.Status(); s.Unusable != nil || !s.Healthy || s.Err != nil {
			t.Errorf("status after it: %+v", s)
		}
		if n := strings.Count(r.log.String(), "cannot be used"); n != 1 {
			t.Errorf("said %d times in the log: %s", n, r.log.String())
		}
		r.stop()
	})
}

func TestRetriesTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		full := errors.New("disk full")
		r.model.fail = func(attempt int) error {
			if attempt <= 20 {
				return full
			}
			return nil
		}
		r.others(5)
		r.start()
		time.Sleep(time.Second)
		if s := r.runner.Status(); !errors.Is(s.Err, full) || s.Position != 0 || !s.Healthy {
			t.Errorf("while it fails: %+v", s)
		}
		r.waitFor(5)
		if s := r.runner.Status(); s.Err != nil {
			t.Errorf("after it: %+v", s)
		}
		if len(r.model.batches) != 1 {
			t.Errorf("applied in %d batches", len(r.model.batches))
		}
		if !strings.Contains(r.log.String(), "disk full") {
			t.Errorf("log says nothing of the trouble: %s", r.log.String())
		}
		r.stop()
	})
}

func TestStopsInTheMiddleOfTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		r.model.fail = func(int) error { return errors.New("disk full") }
		r.others(5)
		r.start()
		time.Sleep(time.Minute)
		r.stop()
		if err := r.runner.Run(context.Background()); err == nil {
			t.Error("ran twice")
		}
	})
}

func TestNoticesASilentSubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{MaxLag: 4})
		r.store.Tamper(func(*eventstore.Recorded) bool { return false })
		r.start()
		r.others(5)
		time.Sleep(32 * time.Second)
		if s := r.runner.Status(); s.Head != 5 || s.Lag != 5 || s.LagTime < 30*time.Second || s.Healthy {
			t.Errorf("status %+v", s)
		}
		r.stop()
	})
}

func TestCommitWithLostAnswerIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		r.model.after = func(attempt int) error {
			if attempt == 1 {
				return errors.New("connection lost")
			}
			return nil
		}
		r.others(5)
		r.start()
		r.waitFor(5)
		r.others(1)
		r.waitFor(6)
		if len(r.model.batches) != 2 {
			t.Errorf("batches %v", r.model.batches)
		}
		r.stop()
	})
}

func TestSubscribesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		r.store.Fail(eventstore.ErrUnavailable) // before it can even start
		r.others(2)
		r.start()
		time.Sleep(time.Minute)
		r.store.Fail(nil)
		r.waitFor(2)
		r.store.Fail(eventstore.ErrUnavailable)
		r.others(3)
		time.Sleep(time.Minute)
		if s := r.runner.Status(); !errors.Is(s.Err, eventstore.ErrUnavailable) || s.Position != 2 {
			t.Errorf("while the store is away: %+v", s)
		}
		r.store.Fail(nil)
		r.waitFor(5)
		if r.model.epochs != 1 {
			t.Errorf("acquired %d times", r.model.epochs)
		}
		r.stop()
	})
}

func TestAStoreThatIsCorruptIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, projections.Config{})
		r.store.Fail(eventstore.ErrCorrupt)
		if err := r.breaks(); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("unusable: %v", err)
		}
	})
}
