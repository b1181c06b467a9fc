package claims_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// fate is what becomes of one call of the store below.
type fate uint8

const (
	works       fate = iota
	losesAnswer      // carried out, and the outcome unknown
	losesCall        // not carried out, and the outcome unknown
	arrivesLate      // the outcome unknown, and carried out some time later
	unavailable      // not carried out
	crashBefore      // the process dies, and nothing was carried out
	crashAfter       // the process dies, and it was carried out
)

// What the simulation promises about time: see C5.
const (
	lateness = 20 * time.Second // of an append after it was handed over
	skew     = 10 * time.Second // of the clock of a process, either way
)

// request is a call of the store below that waits for its fate.
type request struct {
	append *eventstore.Append // nil is a read
	at     time.Time
	fate   chan fate
}

// late is an append that is still on its way.
type late struct {
	append eventstore.Append
	until  time.Time
}

// world is a store, some processes over it and the one scheduler that decides who goes on.
// Everything happens in a synctest bubble: time passes only where the scheduler lets it.
type world struct {
	t       *testing.T
	random  *rand.Rand
	store   *eventstoretest.PerStream
	arrived chan *request
	pending []*request
	late    []late
	calm    bool // no more faults
	ids     int  // first ids in use
	streams int
	calls   []*call
	drafts  []draft
}

// gate is the store below as one process sees it.
type gate struct {
	eventstore.Store
	w *world
}

func (w *world) newProcess() *claims.Store {
	off := time.Duration(w.random.Int64N(int64(2*skew))) - skew
	s, err := claims.New(gate{w.store, w}, claims.Config{Now: func() time.Time { return time.Now().Add(off) }})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (g gate) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	unknown := fmt.Errorf("%w: by plan", eventstore.ErrOutcomeUnknown)
	r := &request{append: &a, at: time.Now(), fate: make(chan fate)}
	g.w.arrived <- r
	select {
	case f := <-r.fate:
		switch f {
		case works:
			return g.Store.Append(context.WithoutCancel(ctx), a)
		case losesAnswer:
			_, _ = g.Store.Append(context.WithoutCancel(ctx), a)
			return eventstore.Result{}, unknown
		case arrivesLate, losesCall:
			return eventstore.Result{}, unknown
		case unavailable:
			return eventstore.Result{}, fmt.Errorf("%w: by plan", eventstore.ErrUnavailable)
		case crashAfter:
			_, _ = g.Store.Append(context.WithoutCancel(ctx), a)
			runtime.Goexit()
		case crashBefore:
			runtime.Goexit()
		}
		panic("unreachable")
	case <-ctx.Done():
		return eventstore.Result{}, unknown // and the request may still be granted
	}
}

func (g gate) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := &request{fate: make(chan fate)}
		g.w.arrived <- r
		f := works
		select {
		case f = <-r.fate:
		case <-ctx.Done():
			yield(eventstore.Recorded{}, context.Cause(ctx))
			return
		}
		switch f {
		case crashBefore, crashAfter:
			runtime.Goexit()
		case unavailable:
			yield(eventstore.Recorded{}, fmt.Errorf("%w: by plan", eventstore.ErrUnavailable))
		case works, losesAnswer, losesCall, arrivesLate:
			g.Store.ReadStream(ctx, stream, from, dir)(yield)
		}
	}
}

// settle lets everybody run until all wait.
func (w *world) settle() {
	for {
		synctest.Wait()
		select {
		case r := <-w.arrived:
			w.pending = append(w.pending, r)
		default:
			return
		}
	}
}

// grant lets one call of the store go on.
func (w *world) grant() {
	i := w.random.IntN(len(w.pending))
	r := w.pending[i]
	w.pending = append(w.pending[:i], w.pending[i+1:]...)
	f := w.draw(r)
	select {
	case r.fate <- f:
	default: // its context has ended: it waits no more, and may have been sent
		f = arrivesLate
	}
	if f == arrivesLate && r.append != nil {
		w.late = append(w.late, late{*r.append, r.at.Add(lateness)})
	}
}

func (w *world) draw(r *request) fate {
	if w.calm || w.random.IntN(3) > 0 {
		return works
	}
	if r.append == nil {
		return []fate{unavailable, crashBefore}[w.random.IntN(2)]
	}
	return fate(w.random.IntN(int(crashAfter) + 1)) //nolint:gosec // small
}

// arrive carries out an append that is late, unless it is too late for that.
func (w *world) arrive() {
	i := w.random.IntN(len(w.late))
	l := w.late[i]
	w.late = append(w.late[:i], w.late[i+1:]...)
	if time.Now().Before(l.until) {
		_, _ = w.store.Append(context.Background(), l.append)
	}
}

// step does one thing. Nobody runs before or after it.
func (w *world) step() {
	switch n := w.random.IntN(20); {
	case n < 12 && len(w.pending) > 0:
		w.grant()
	case n < 14 && len(w.late) > 0:
		w.arrive()
	case n < 15:
		time.Sleep(time.Duration(w.random.Int64N(int64(5 * time.Second))))
	case n < 16 && w.random.IntN(3) == 0:
		time.Sleep(time.Duration(w.random.Int64N(int64(90 * time.Second))))
	case n < 17:
		w.grow()
	case len(w.pending) < 6:
		w.begin()
	}
	w.settle()
}

// TestSimulation lets processes append the same and different things under few ids, with every fault, and demands
// after every step that no id is stored twice, and in the end that every answer was true. A run is its
// seed; LOGOUTD_SIMULATION_ROUNDS makes more of them.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds, err := strconv.Atoi(os.Getenv("LOGOUTD_SIMULATION_ROUNDS"))
	if err != nil {
		seeds = 600
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &world{
					t: t, random: rand.New(rand.NewPCG(uint64(seed), 1)), //nolint:gosec // repeatable
					store: eventstoretest.NewPerStream(), arrived: make(chan *request, 64),
				}
				w.run()
			})
		})
	}
}

func (w *world) run() {
	const steps = 250
	w.ids, w.streams = 1+w.random.IntN(3), 1+w.random.IntN(3)
	for range steps {
		w.step()
		w.once()
	}
	w.drain()
	w.truthful()
	time.Sleep(2 * time.Minute) // any grace
	w.alive()
	w.once()
}

// drain ends all calls and lets what is late arrive or not.
func (w *world) drain() {
	w.calm = true
	for _, c := range w.calls {
		w.finish(c)
	}
	for len(w.pending) > 0 {
		w.grant() // nobody waits any more
	}
	for len(w.late) > 0 {
		w.arrive()
		w.once()
	}
}

// finish lets everybody go on until a call has ended.
func (w *world) finish(c *call) {
	for w.settle(); !c.ended; w.settle() {
		if len(w.pending) > 0 {
			w.grant()
		} else {
			time.Sleep(10 * time.Millisecond) // it pauses
		}
		w.once()
	}
}
