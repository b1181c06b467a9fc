package projections_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// database is a model that processes share: one turn, and an epoch as the fence.
type database struct {
	model
	turn  chan struct{} // holds one token, which is the turn
	held  *bool         // false when the turn was taken away from its holder
	epoch int
	down  error // what Checkpoint and Await answer, nil when well
}

// member is the database as one process sees it.
type member struct {
	*database
	epoch int
}

func (m *member) Await(ctx context.Context) (func(), error) {
	if err := m.fault(); err != nil {
		return nil, err
	}
	select {
	case <-m.turn:
		held := true
		m.set(func() { m.held = &held })
		return func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if held {
				m.turn <- struct{}{} // never full: this was the token
			}
		}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (m *member) Acquire(ctx context.Context) (projections.Checkpoint, error) {
	m.mu.Lock()
	m.database.epoch++
	m.epoch = m.database.epoch
	m.mu.Unlock()
	return m.Checkpoint(ctx)
}

func (m *member) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	if err := m.fault(); err != nil {
		return projections.Checkpoint{}, err
	}
	return m.model.Checkpoint(ctx)
}

func (m *member) Apply(ctx context.Context, from eventstore.Position, events []eventstore.Recorded) error {
	m.mu.Lock()
	fenced := m.epoch != m.database.epoch
	m.mu.Unlock()
	if fenced {
		return projections.ErrFenced
	}
	return m.model.Apply(ctx, from, events)
}

func (m *member) fault() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

func (d *database) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// pair are two processes over one event store and one database. The first has its turn.
type pair struct {
	*testing.T
	store   *memstoretest.Store
	history *memstoretest.History
	db      *database
	runners [2]*projections.Runner
	logs    [2]bytes.Buffer
	stop    [2]context.CancelFunc
	done    [2]chan error
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{T: t, store: memstoretest.New(), db: &database{turn: make(chan struct{}, 1)}}
	p.db.turn <- struct{}{}
	p.history = memstoretest.NewHistory(t, p.store)
	for i := range p.runners {
		began := time.Now()
		runner, err := projections.NewRunner(projections.Config{
			Source: p.store, Projection: &member{database: p.db}, Log: zerolog.New(&p.logs[i]), MaxLag: 2,
			Now: func() time.Time { return memstoretest.Epoch.Add(time.Since(began)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		p.runners[i], p.stop[i], p.done[i] = runner, cancel, make(chan error, 1)
		go func() { p.done[i] <- runner.Run(ctx) }()
		synctest.Wait()
	}
	return p
}

// end stops those that still run.
func (p *pair) end(running ...int) {
	p.Helper()
	for _, i := range running {
		p.stop[i]()
		if err := <-p.done[i]; err != nil {
			p.Errorf("runner %d stopped with %v, want nil", i, err)
		}
	}
}

func (p *pair) others(n int) {
	for range n {
		p.history.Other("something-else")
	}
}

// reaches waits until a runner shows a position, for at most an hour of the bubble.
func (p *pair) reaches(i int, at eventstore.Position) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := p.runners[i].WaitFor(ctx, at); err != nil {
		p.Fatalf("runner %d: wait for %s: %v", i, at, err)
	}
}

func (p *pair) is(i int, standby bool) {
	p.Helper()
	if s := p.runners[i].Status(); s.Standby != standby || !s.Running || !s.Healthy || s.Err != nil {
		p.Errorf("runner %d: %+v, want standby %t, running and healthy", i, s, standby)
	}
}

func TestOneAppliesAndTheOtherFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.others(5)
		began := time.Now()
		p.reaches(1, 5)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("who reads its own logout from the standby waits %s", took)
		}
		p.is(0, false)
		p.is(1, true)
		time.Sleep(2 * time.Second)
		if s := p.runners[1].Status(); s.Position != 5 || s.Head != 5 || s.Lag != 0 {
			t.Errorf("standby: %+v", s)
		}
		if p.db.epoch != 1 {
			t.Errorf("acquired %d times", p.db.epoch)
		}
		p.end(0, 1)
	})
}

func TestTheStandbyTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.others(5)
		p.reaches(1, 5)
		p.end(0)
		synctest.Wait()
		p.others(3)
		p.reaches(1, 8)
		p.is(1, false)
		p.end(1)
	})
}

// A fenced runner goes on as a standby, however it was fenced: here its turn was taken away
// without its knowledge.
func TestWhoIsFencedStandsBy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.others(2)
		p.reaches(0, 2)
		p.db.set(func() { *p.db.held = false }) // as if its connection had been lost
		p.db.turn <- struct{}{}
		synctest.Wait()
		p.others(4)
		p.reaches(0, 6)
		p.reaches(1, 6)
		p.is(0, true)
		p.is(1, false)
		p.end(1, 0)
		if !strings.Contains(p.logs[0].String(), "lost its turn") {
			t.Errorf("log: %s", p.logs[0].String())
		}
	})
}

// A database that failed over to an older copy is followed from where it is.
func TestAReadModelThatMovedBackIsFilledAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.others(5)
		p.reaches(1, 5)
		older := p.store.Events()[2]
		p.db.set(func() { p.db.at = projections.Checkpoint{Position: 3, Last: projections.RefTo(&older)} })
		p.others(1)
		time.Sleep(time.Second)
		p.reaches(0, 6)
		p.reaches(1, 6)
		if p.db.at.Position != 6 {
			t.Errorf("the database is at %s", p.db.at.Position)
		}
		p.end(0, 1)
	})
}

func TestTheStandbyTellsItsTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		down := errors.New("connection refused")
		p.db.set(func() { p.db.down = down })
		time.Sleep(time.Second)
		if s := p.runners[1].Status(); !errors.Is(s.Err, down) || !s.Healthy || !s.Standby {
			t.Errorf("while the database is away: %+v", s)
		}
		p.db.set(func() { p.db.down = nil })
		time.Sleep(time.Second)
		p.is(1, true)
		p.end(0, 1)
	})
}

// A standby whose read model stays behind is as ill as the one that should move it.
func TestTheStandbyIsIllWhenNothingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.db.set(func() { p.db.fail = func(int) error { return errors.New("disk full") } })
		p.others(5)
		time.Sleep(time.Minute)
		for i, r := range p.runners {
			if s := r.Status(); s.Healthy || s.Lag != 5 {
				t.Errorf("runner %d: %+v", i, s)
			}
		}
		p.end(0, 1)
	})
}

func TestTheStandbyRefusesAReadModelOfAnotherStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &database{turn: make(chan struct{})} // nobody ever lets go
		db.at = projections.Checkpoint{Position: 7, Last: projections.EventRef{Stream: "elsewhere"}}
		r := newRig(t, projections.Config{Projection: &member{database: db}})
		if err := r.breaks(); !errors.Is(err, projections.ErrForeign) {
			t.Errorf("unusable: %v", err)
		}
	})
}

// What was empty when a standby looked may get its first events from another store.
func TestTheStandbyLooksAgainAtWhatWasEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &database{turn: make(chan struct{})} // nobody ever lets go
		r := newRig(t, projections.Config{Projection: &member{database: db}})
		r.start()
		if s := r.runner.Status(); s.Unusable != nil || !s.Standby {
			t.Errorf("status over an empty read model: %+v", s)
		}
		db.set(func() { db.at = projections.Checkpoint{Position: 7, Last: projections.EventRef{Stream: "elsewhere"}} })
		time.Sleep(time.Second)
		if s := r.runner.Status(); !errors.Is(s.Unusable, projections.ErrForeign) {
			t.Errorf("status over the read model of another store: %+v", s)
		}
		r.stop()
	})
}

// Who cannot go on lets go of the turn: another program may know what it stumbled over.
func TestWhoCannotGoOnLetsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.db.set(func() {
			p.db.fail = func(attempt int) error {
				if attempt == 1 {
					return projections.ErrCorrupt
				}
				return nil
			}
		})
		p.others(1)
		p.reaches(1, 1)
		p.is(1, false)
		time.Sleep(time.Second)
		p.is(0, true)
		p.end(0, 1)
		if !strings.Contains(p.logs[0].String(), "cannot be used") {
			t.Errorf("log: %s", p.logs[0].String())
		}
	})
}
