package eventstoretest

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

func appendClauses() []Clause {
	return []Clause{
		{"E1", "a batch is stored together and in order", batchTogether},
		{"E1", "a batch that is refused stores none of its events", batchRefused},
		{"E1", "nobody sees a part of a batch", batchNeverInPart},
		{"E2", "an expectation that holds is accepted", expectationHolds},
		{"E2", "an expectation that does not hold changes nothing and names both revisions", expectationFails},
		{"E2", "of many who expect the same revision one wins", oneWins},
		{"E3", "what was acknowledged survives a crash", survivesCrash},
	}
}

func batchTogether(e *env) {
	s := e.stream("batch")
	var want []eventstore.Event
	for n := 1; n <= 5; n++ {
		a, res := e.grow(s, n)
		want = append(want, a.Events...)
		if res.Revision != uint64(len(want)-1) || res.Duplicate {
			e.Fatalf("append up to revision %d answers %+v", len(want)-1, res)
		}
		all := e.read(s)
		e.compare("stream after the append", all, want)
		last := all[len(all)-1]
		if last.Position != res.Position || last.Revision != res.Revision {
			e.Fatalf("last event is at revision %d, position %s; the append said %+v", last.Revision, last.Position, res)
		}
		for i, r := range all {
			if r.Stream != s || r.Revision != uint64(i) {
				e.Fatalf("event %d is revision %d of %s", i, r.Revision, r.Stream)
			}
		}
	}
}

func batchRefused(e *env) {
	s := e.stream("refused")
	a, _ := e.grow(s, 2)
	before := e.head()
	bad := e.batch(s, eventstore.Any, 3)
	bad.Events[2].ID = bad.Events[0].ID
	if _, err := e.store.Append(e.ctx, bad); err == nil {
		e.Errorf("a batch with the same id twice was accepted")
	}
	if _, err := e.store.Append(e.ctx, e.batch(s, eventstore.NoStream, 3)); err == nil {
		e.Errorf("a batch with a wrong expectation was accepted")
	}
	e.equals(s, a.Events)
	if own := e.mine(before); len(own) != 0 {
		e.Errorf("%d events of refused batches are in the global order", len(own))
	}
}

// batchNeverInPart has several writers, so that a store which puts batches together from single
// events mixes them up, and readers who look all the time.
func batchNeverInPart(e *env) {
	const writers, rounds, size = 4, 25, 3
	start := e.head()
	var writing atomic.Int64
	var wg sync.WaitGroup
	writing.Store(writers)
	for w := range writers {
		s := e.stream(string(rune('a' + w)))
		wg.Go(func() {
			defer writing.Add(-1)
			for range rounds {
				if _, err := e.store.Append(e.ctx, e.batch(s, eventstore.Any, size)); err != nil {
					e.Errorf("append: %v", err)
					return
				}
			}
		})
		wg.Go(func() {
			for writing.Load() > 0 {
				l, err := e.store.Load(e.ctx, s)
				if err != nil {
					e.Errorf("load: %v", err)
					return
				}
				if l.Revision != eventstore.NoStream && (l.Revision+1)%size != 0 {
					e.Errorf("a load sees %d of the %d events of a batch", (l.Revision+1)%size, size)
					return
				}
			}
		})
	}
	wg.Wait()
	own := e.mine(start)
	if len(own) != writers*rounds*size {
		e.Fatalf("%d events in the global order, want %d", len(own), writers*rounds*size)
	}
	for i := 0; i < len(own); i += size {
		for j := 1; j < size; j++ {
			if own[i+j].Stream != own[i].Stream || own[i+j].Revision != own[i].Revision+uint64(j) {
				e.Fatalf("the batch at position %s is interrupted by %s", own[i].Position, own[i+j].Stream)
			}
		}
	}
}

func expectationHolds(e *env) {
	s := e.stream("holds")
	a := e.batch(s, eventstore.NoStream, 2)
	first := e.must(a)
	b := e.batch(s, eventstore.AtRevision(first.Revision), 1)
	second := e.must(b)
	c := e.batch(s, eventstore.Any, 1)
	e.must(c)
	if second.Revision != 2 {
		e.Errorf("the third event has revision %d", second.Revision)
	}
	d := e.batch(e.stream("new"), eventstore.Any, 1)
	e.must(d)
	e.equals(s, append(append(a.Events, b.Events...), c.Events...))
}

func expectationFails(e *env) {
	s := e.stream("fails")
	a, _ := e.grow(s, 3)
	before := e.head()
	for _, c := range []struct {
		stream           string
		expected, actual eventstore.Expected
	}{
		{s, eventstore.NoStream, 2},
		{s, eventstore.AtRevision(0), 2},
		{s, eventstore.AtRevision(1), 2},
		{s, eventstore.AtRevision(3), 2},
		{s, eventstore.AtRevision(1 << 40), 2},
		{e.stream("none"), eventstore.AtRevision(0), eventstore.NoStream},
	} {
		_, err := e.store.Append(e.ctx, e.batch(c.stream, c.expected, 1))
		var conflict *eventstore.ConflictError
		if !errors.As(err, &conflict) || !errors.Is(err, eventstore.ErrConflict) {
			e.Errorf("expecting %s, actual %s: append answers %v", c.expected, c.actual, err)
			continue
		}
		if conflict.Stream != c.stream || conflict.Expected != c.expected || conflict.Actual != c.actual {
			e.Errorf("expecting %s, actual %s: the conflict says %+v", c.expected, c.actual, *conflict)
		}
	}
	e.equals(s, a.Events)
	if own := e.mine(before); len(own) != 0 {
		e.Errorf("%d refused events are in the global order", len(own))
	}
}

func oneWins(e *env) {
	const writers, rounds = 8, 10
	s := e.stream("race")
	for round := range rounds {
		expected := eventstore.Expected(round - 1) // NoStream at first
		var wins atomic.Int64
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				_, err := e.store.Append(e.ctx, e.batch(s, expected, 1))
				switch {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, eventstore.ErrConflict):
					e.Errorf("append: %v", err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			e.Fatalf("%d writers won revision %d", wins.Load(), round)
		}
	}
	if n := len(e.read(s)); n != rounds {
		e.Errorf("%d events after %d rounds", n, rounds)
	}
}

func survivesCrash(e *env) {
	const writers, each = 8, 10
	var mu sync.Mutex
	acked := map[string][]eventstore.Event{}
	var wg sync.WaitGroup
	for w := range writers {
		s := e.stream(string(rune('a' + w)))
		wg.Go(func() {
			for range each {
				a := e.batch(s, eventstore.Any, 2)
				if _, err := e.store.Append(e.ctx, a); err != nil {
					e.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				acked[s] = append(acked[s], a.Events...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	e.store = e.opts.crash(e.T, e.store)
	for s, want := range acked {
		e.equals(s, want)
	}
	e.grow(e.stream("a"), 1)
}
