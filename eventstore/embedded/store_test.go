package embedded_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func newID() (id eventstore.EventID) {
	_, _ = rand.Read(id[:])
	return id
}

func event(data string) eventstore.Event {
	return eventstore.Event{ID: newID(), Type: "Tested", Data: []byte(data), Metadata: []byte(`{"by":"test"}`)}
}

func mustOpen(tb testing.TB, cfg embedded.Config) *embedded.Store {
	tb.Helper()
	s, err := embedded.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestAppendLoadRead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	s, err := embedded.Open(embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		a := eventstore.Append{Stream: fmt.Sprintf("s-%d", i%5), Expected: eventstore.Any,
			Events: []eventstore.Event{event("a"), event("b"), event("c")}}
		if i%5 == 0 {
			a.Snapshot = []byte("snap")
		}
		res, err := s.Append(ctx, a)
		if err != nil || res.Position != eventstore.Position(3*i+3) {
			t.Fatal(i, res, err)
		}
	}
	check := func(s *embedded.Store) {
		l, err := s.Load(ctx, "s-0")
		if err != nil || l.Revision != 29 || string(l.Snapshot) != "snap" || len(l.Events) != 0 {
			t.Fatalf("%+v %v", l, err)
		}
		l, err = s.Load(ctx, "s-1")
		if err != nil || l.Revision != 29 || l.Snapshot != nil || len(l.Events) != 30 {
			t.Fatalf("%+v %v", l, err)
		}
		for from := range eventstore.Position(152) {
			want := from
			for e, err := range s.ReadAll(ctx, from, eventstore.Forward) {
				want++
				if err != nil || e.Position != want {
					t.Fatal(from, e, err)
				}
			}
			if want != max(150, from) {
				t.Fatal(from, want)
			}
			want = from
			for e, err := range s.ReadAll(ctx, from, eventstore.Backward) {
				want--
				if err != nil || e.Position != want {
					t.Fatal(from, e, err)
				}
			}
			if want > 1 {
				t.Fatal(from, want)
			}
		}
		n := uint64(30)
		for e, err := range s.ReadStream(ctx, "s-3", eventstore.End, eventstore.Backward) {
			n--
			if err != nil || e.Revision != n {
				t.Fatal(n, e, err)
			}
		}
		if n != 0 {
			t.Fatal(n)
		}
		n = 7
		for e, err := range s.ReadStream(ctx, "s-3", 7, eventstore.Forward) {
			if err != nil || e.Revision != n || e.Stream != "s-3" || string(e.Data) != string('a'+byte(n%3)) {
				t.Fatal(n, e, err)
			}
			n++
		}
		if n != 30 {
			t.Fatal(n)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(mustOpen(t, embedded.Config{Dir: dir}))
}
