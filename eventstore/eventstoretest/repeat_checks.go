package eventstoretest

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

func repeatClauses() []Clause {
	return []Clause{
		{"E6", "a repeated append adds nothing and answers the first result", repeatAtOnce},
		{"E6", "a repeated append is known wherever its stream is now", repeatLater},
		{"E6", "of appends repeated at the same time one is stored", repeatTogether},
		{"E7", "an id of another stream is refused and named", idOfAnotherStream},
		{"E7", "an id that was stored with other events is refused", idWithOthers},
	}
}

// repeated demands that an append is answered as the duplicate of its first result.
func (e *env) repeated(a eventstore.Append, first eventstore.Result) {
	e.Helper()
	first.Duplicate = true
	if res, err := e.store.Append(e.ctx, a); err != nil || res != first {
		e.Errorf("repeated append expecting %s answers %+v, %v; want %+v", a.Expected, res, err, first)
	}
}

func repeatAtOnce(e *env) {
	s := e.stream("again")
	for _, expected := range []eventstore.Expected{eventstore.NoStream, eventstore.AtRevision(1), eventstore.Any} {
		before := e.read(s)
		a := e.batch(s, expected, 2)
		first := e.must(a)
		for range 3 {
			e.repeated(a, first)
		}
		if n := len(e.read(s)) - len(before); n != len(a.Events) {
			e.Fatalf("%d events after an append of %d and its repetitions", n, len(a.Events))
		}
	}
}

func repeatLater(e *env) {
	s := e.stream("later")
	old := e.batch(s, eventstore.NoStream, 2)
	first := e.must(old)
	middle, second := e.grow(s, 3)
	for range 5 {
		e.grow(s, 1)
		e.grow(e.stream("other"), 1)
	}
	n, at := len(e.read(s)), e.head()
	e.repeated(old, first)
	e.repeated(middle, second)
	for _, expected := range []eventstore.Expected{eventstore.Any, eventstore.NoStream, eventstore.AtRevision(1), eventstore.AtRevision(99)} {
		old.Expected = expected
		e.repeated(old, first)
	}
	if added := len(e.read(s)) - n; added != 0 || len(e.mine(at)) != 0 {
		e.Errorf("repeated appends have added %d events", added)
	}
}

func repeatTogether(e *env) {
	const writers, rounds = 6, 8
	for range rounds {
		s := e.stream("together")
		a := e.batch(s, eventstore.Any, 2)
		var fresh atomic.Int64
		var results sync.Map
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				res, err := e.store.Append(e.ctx, a)
				if err != nil {
					e.Errorf("append: %v", err)
					return
				}
				if !res.Duplicate {
					fresh.Add(1)
				}
				res.Duplicate = false
				results.Store(res, true)
			})
		}
		wg.Wait()
		different := 0
		results.Range(func(any, any) bool { different++; return true })
		if fresh.Load() != 1 || different != 1 {
			e.Fatalf("one append sent %d times was stored %d times, with %d results", writers, fresh.Load(), different)
		}
	}
	if n := len(e.read(e.stream("together"))); n != rounds*2 {
		e.Errorf("%d events after %d appends of 2", n, rounds)
	}
}

// reused demands that an append is refused because of its first id.
func (e *env) reused(a eventstore.Append, stream string, first eventstore.Result) {
	e.Helper()
	_, err := e.store.Append(e.ctx, a)
	var known *eventstore.IDReusedError
	if !errors.As(err, &known) || !errors.Is(err, eventstore.ErrIDReused) {
		e.Errorf("an append that begins with a stored id answers %v", err)
		return
	}
	if known.ID != a.Events[0].ID || known.Stream != stream || known.First.Revision != first.Revision || known.First.Position != first.Position {
		e.Errorf("the error says %+v; the id is stored in %s at %+v", *known, stream, first)
	}
}

func idOfAnotherStream(e *env) {
	s, other := e.stream("owner"), e.stream("other")
	a, first := e.grow(s, 2)
	e.grow(other, 1)
	at := e.head()
	for _, stream := range []string{other, e.stream("new")} {
		for _, expected := range []eventstore.Expected{eventstore.Any, eventstore.NoStream, eventstore.AtRevision(0)} {
			b := e.batch(stream, expected, 2)
			b.Events[0].ID = a.Events[0].ID
			e.reused(b, s, first)
			b.Events = a.Events
			e.reused(b, s, first)
		}
	}
	if own := e.mine(at); len(own) != 0 {
		e.Errorf("refused appends have added %d events", len(own))
	}
}

func idWithOthers(e *env) {
	s := e.stream("owner")
	a, first := e.grow(s, 2)
	at := e.head()
	longer := e.batch(s, eventstore.Any, 3)
	copy(longer.Events, a.Events)
	shorter := e.batch(s, eventstore.Any, 1)
	copy(shorter.Events, a.Events)
	different := e.batch(s, eventstore.AtRevision(1), 2)
	different.Events[0].ID = a.Events[0].ID
	for _, b := range []eventstore.Append{longer, shorter, different} {
		e.reused(b, s, first)
	}
	if own := e.mine(at); len(own) != 0 {
		e.Errorf("refused appends have added %d events", len(own))
	}
}
