package eventstoretest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

func orderClauses() []Clause {
	return []Clause{
		{"E4", "positions rise with every append, revisions by one", positionsRise},
		{"E4", "nothing becomes visible below a position already seen", noLateArrival},
		{"E5", "positions start at 1 and have no holes", noHoles},
	}
}

func positionsRise(e *env) {
	start := e.head()
	last := start
	var want []eventstore.Event
	for i := range 20 {
		a, res := e.grow(e.stream(fmt.Sprint(i%3)), 1+i%3)
		want = append(want, a.Events...)
		if res.Position <= last {
			e.Fatalf("append %d got position %s, the one before %s", i, res.Position, last)
		}
		if p := e.head(); p < res.Position {
			e.Fatalf("head is %s after position %s was acknowledged", p, res.Position)
		}
		last = res.Position
	}
	own := e.mine(start)
	e.compare("global order", own, want)
	e.rising(own)
}

// rising demands rising positions, and revisions that rise by one in their stream.
func (e *env) rising(all []eventstore.Recorded) {
	e.Helper()
	next := map[string]uint64{}
	for i, r := range all {
		if i > 0 && r.Position <= all[i-1].Position {
			e.Fatalf("position %s comes after %s", r.Position, all[i-1].Position)
		}
		if r.Revision != next[r.Stream] {
			e.Fatalf("stream %s has revision %d where %d is next", r.Stream, r.Revision, next[r.Stream])
		}
		next[r.Stream]++
	}
}

// noLateArrival reads on from the last position seen while others write. Whoever follows the log like this must
// have seen, in the end, what it holds.
func noLateArrival(e *env) {
	const writers, rounds = 6, 30
	start := e.head()
	var writing atomic.Int64
	writing.Store(writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			defer writing.Add(-1)
			for i := range rounds {
				if _, err := e.store.Append(e.ctx, e.batch(e.stream(fmt.Sprint(w, "-", i%4)), eventstore.Any, 1+i%3)); err != nil {
					e.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	var seen []eventstore.Recorded
	at := start
	for done := false; !done; {
		done = writing.Load() == 0 // one more look after the last writer
		for r, err := range e.store.ReadAll(e.ctx, at, eventstore.Forward) {
			if err != nil {
				e.Errorf("read all after %s: %v", at, err)
				done = true
				break
			}
			at = r.Position
			if e.owns(r) {
				seen = append(seen, r)
			}
		}
	}
	wg.Wait()
	own := e.mine(start)
	e.rising(own)
	if len(seen) != len(own) {
		e.Fatalf("a reader who followed the log saw %d events, it holds %d", len(seen), len(own))
	}
	for i := range seen {
		if seen[i].Position != own[i].Position || seen[i].ID != own[i].ID {
			e.Fatalf("a reader who followed the log saw %s at %s, it holds %s at %s", seen[i].ID, seen[i].Position, own[i].ID, own[i].Position)
		}
	}
}

func noHoles(e *env) {
	start := e.head()
	for i := range 12 {
		s := e.stream(fmt.Sprint(i % 2))
		e.grow(s, 1+i%4)
		if _, err := e.store.Append(e.ctx, e.batch(s, eventstore.NoStream, 2)); err == nil {
			e.Fatalf("a wrong expectation was accepted")
		}
	}
	all := e.collect("read all", e.store.ReadAll(e.ctx, start, eventstore.Forward))
	if len(all) == 0 {
		e.Fatalf("nothing was stored")
	}
	for i, r := range all {
		if want := start + eventstore.Position(i+1); r.Position != want { //nolint:gosec // small
			e.Fatalf("event %d after position %s has position %s", i+1, start, r.Position)
		}
	}
	first := e.collect("read all", e.store.ReadAll(e.ctx, 0, eventstore.Forward))
	if first[0].Position != 1 {
		e.Errorf("the first event has position %s", first[0].Position)
	}
}
