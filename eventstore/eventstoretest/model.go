package eventstoretest

import (
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/eventstore"
)

func modelClauses() []Clause {
	return []Clause{{"model", "any history of calls answers as a slice would", modelHistory}}
}

// model is a store of this run as a slice: the simplest thing that could be right.
type model struct {
	e       *env
	start   eventstore.Position
	streams []string
	log     []eventstore.Recorded
	appends []modelAppend
}

type modelAppend struct {
	a   eventstore.Append
	res eventstore.Result
}

func modelHistory(e *env) {
	rapid.Check(e.T, func(t *rapid.T) {
		m := &model{e: e, start: e.head()}
		run := newID().String() // every history has streams of its own
		for i := range 3 {
			m.streams = append(m.streams, e.stream(fmt.Sprint(run, "-", i)))
		}
		t.Repeat(map[string]func(*rapid.T){
			"append":     m.append,
			"repeat":     m.repeat,
			"reuse":      m.reuse,
			"load":       m.load,
			"readStream": m.readStream,
			"readAll":    m.readAll,
		})
	})
}

func (m *model) stream(t *rapid.T) string { return rapid.SampledFrom(m.streams).Draw(t, "stream") }

func (m *model) of(stream string) []eventstore.Recorded {
	var own []eventstore.Recorded
	for _, r := range m.log {
		if r.Stream == stream {
			own = append(own, r)
		}
	}
	return own
}

func (m *model) append(t *rapid.T) {
	s := m.stream(t)
	n := len(m.of(s))
	actual := eventstore.Expected(n - 1)
	a := m.e.batch(s, rapid.SampledFrom([]eventstore.Expected{
		eventstore.Any, eventstore.NoStream, actual, actual, actual, max(actual-1, 0), actual + 1,
	}).Draw(t, "expected"), rapid.IntRange(1, 4).Draw(t, "events"))
	if rapid.Bool().Draw(t, "snapshot") {
		a.Snapshot = fmt.Appendf(nil, "after %d", n+len(a.Events))
	}
	res, err := m.e.store.Append(m.e.ctx, a)
	if a.Expected != eventstore.Any && a.Expected != actual {
		var conflict *eventstore.ConflictError
		if !errors.As(err, &conflict) || conflict.Actual != actual || conflict.Expected != a.Expected || conflict.Stream != s {
			t.Fatalf("append expecting %s at %s answers %+v, %v", a.Expected, actual, res, err)
		}
		return
	}
	if err != nil || res.Duplicate || res.Revision != uint64(n+len(a.Events)-1) {
		t.Fatalf("append of %d expecting %s at %s answers %+v, %v", len(a.Events), a.Expected, actual, res, err)
	}
	for i, ev := range a.Events {
		m.log = append(m.log, eventstore.Recorded{Event: ev, Stream: s, Revision: uint64(n + i)})
	}
	m.appends = append(m.appends, modelAppend{a, res})
}

func (m *model) earlier(t *rapid.T) modelAppend {
	if len(m.appends) == 0 {
		t.Skip("nothing was appended yet")
	}
	return rapid.SampledFrom(m.appends).Draw(t, "earlier")
}

func (m *model) repeat(t *rapid.T) {
	was := m.earlier(t)
	was.res.Duplicate = true
	if res, err := m.e.store.Append(m.e.ctx, was.a); err != nil || res != was.res {
		t.Fatalf("repeated append answers %+v, %v; want %+v", res, err, was.res)
	}
}

// reuse is only of interest to a store that keeps E7.
func (m *model) reuse(t *rapid.T) {
	if _, skipped := m.e.opts.skipped(Clause{ID: "E7"}); skipped {
		t.Skip("E7 is skipped")
	}
	was := m.earlier(t)
	s := m.stream(t)
	if s == was.a.Stream {
		t.Skip("the same stream")
	}
	b := m.e.batch(s, eventstore.Any, 1)
	b.Events[0].ID = was.a.Events[0].ID
	var known *eventstore.IDReusedError
	if _, err := m.e.store.Append(m.e.ctx, b); !errors.As(err, &known) || known.Stream != was.a.Stream || known.First.Position != was.res.Position {
		t.Fatalf("an id of %s in %s answers %v", was.a.Stream, s, err)
	}
}

func (m *model) load(t *rapid.T) {
	s := m.stream(t)
	own := m.of(s)
	l, err := m.e.store.Load(m.e.ctx, s)
	if err != nil || l.Revision != eventstore.Expected(len(own)-1) {
		t.Fatalf("load answers %+v, %v; the stream has %d events", l, err, len(own))
	}
	if len(own) == 0 {
		return
	}
	var last modelAppend
	for _, was := range m.appends {
		if was.a.Stream == s {
			last = was
		}
	}
	if l.Position != last.res.Position {
		t.Fatalf("load answers position %s, the last append %s", l.Position, last.res.Position)
	}
	if l.Snapshot != nil {
		if string(l.Snapshot) != string(last.a.Snapshot) || len(l.Events) != 0 {
			t.Fatalf("load answers the snapshot %q and %d events; the last append carried %q", l.Snapshot, len(l.Events), last.a.Snapshot)
		}
		return
	}
	m.compare(t, "load", l.Events, own)
}

func (m *model) readStream(t *rapid.T) {
	s := m.stream(t)
	own := m.of(s)
	from := rapid.Uint64Range(0, uint64(len(own)+1)).Draw(t, "from")
	dir := rapid.SampledFrom([]eventstore.Direction{eventstore.Forward, eventstore.Backward}).Draw(t, "direction")
	want := own[min(from, uint64(len(own))):]
	if dir == eventstore.Backward {
		if from >= uint64(len(own)) {
			from = eventstore.End
		}
		want = slices.Clone(own[:min(from, uint64(len(own))-1)+1])
		if len(own) == 0 {
			want = nil
		}
		slices.Reverse(want)
	}
	var got []eventstore.Recorded
	for r, err := range m.e.store.ReadStream(m.e.ctx, s, from, dir) {
		if len(own) == 0 && errors.Is(err, eventstore.ErrStreamNotFound) {
			return
		}
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		got = append(got, r)
	}
	if len(own) == 0 {
		t.Fatalf("a stream that does not exist reads as %d events", len(got))
	}
	m.compare(t, fmt.Sprintf("read from %d, direction %d", from, dir), got, want)
}

func (m *model) readAll(t *rapid.T) {
	ours := func(r eventstore.Recorded) bool { return slices.Contains(m.streams, r.Stream) }
	var got []eventstore.Recorded
	for r, err := range m.e.store.ReadAll(m.e.ctx, m.start, eventstore.Forward) {
		if err != nil {
			t.Fatalf("read all: %v", err)
		}
		if ours(r) {
			got = append(got, r)
		}
	}
	m.compare(t, "read all", got, m.log)
}

func (m *model) compare(t *rapid.T, what string, got, want []eventstore.Recorded) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !same(got[i], want[i].Event) || got[i].Stream != want[i].Stream || got[i].Revision != want[i].Revision {
			t.Fatalf("%s: event %d is %+v, want %+v", what, i, got[i], want[i])
		}
	}
}
