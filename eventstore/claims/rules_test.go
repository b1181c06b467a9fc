package claims_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// hooked is a store below whose appends and reads a test can look into.
type hooked struct {
	eventstore.Store
	before func(a eventstore.Append) error // instead of the append, if it answers an error
	read   func(stream string) error       // as above
}

func (h *hooked) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if h.before != nil {
		if err := h.before(a); err != nil {
			return eventstore.Result{}, err
		}
	}
	return h.Store.Append(ctx, a)
}

func (h *hooked) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if h.read != nil {
		if err := h.read(stream); err != nil {
			return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, err) }
		}
	}
	return h.Store.ReadStream(ctx, stream, from, dir)
}

func of(stream string, expected eventstore.Expected, data string, ids ...byte) eventstore.Append {
	a := eventstore.Append{Stream: stream, Expected: expected}
	for _, n := range ids {
		a.Events = append(a.Events, eventstore.Event{ID: eventstore.EventID{15: n}, Type: "T", Data: []byte(data)})
	}
	return a
}

func must(t *testing.T, s *claims.Store, a eventstore.Append) eventstore.Result {
	t.Helper()
	res, err := s.Append(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// errCrash ends a process at the append that it is given for.
var errCrash = errors.New("crash")

// onAppendTo calls f at the next append to a stream that is no claim stream.
func onAppendTo(stream string, f func() error) func(eventstore.Append) error {
	done := false
	return func(a eventstore.Append) error {
		if a.Stream != stream || done {
			return nil
		}
		done = true
		return f()
	}
}

// Ensure that a repeat after a crash between claim and append is stored at once, and says that it may be one.
func TestARepeatAfterACrashIsStored(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	crashing := over(t, &hooked{Store: store, before: onAppendTo("s", func() error { return errCrash })}, claims.Config{})
	a := of("s", eventstore.NoStream, "x", 1, 2)
	if _, err := crashing.Append(t.Context(), a); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	s := over(t, store, claims.Config{})
	if _, err := s.Append(t.Context(), of("other", eventstore.NoStream, "x", 1)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("another append under the same id answers %v", err)
	}
	if res := must(t, s, a); res.Revision != 1 || !res.Duplicate {
		t.Errorf("the repeat answers %+v", res)
	}
}

// Ensure that an id is free for another append when the first can no longer be stored: by time, or at once where
// its place is taken.
func TestAnIDIsFreeAgain(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	now := time.Now()
	crashing := over(t, &hooked{Store: store, before: func(a eventstore.Append) error {
		if a.Stream == "s" {
			return errCrash
		}
		return nil
	}}, claims.Config{})
	for _, id := range []byte{1, 2} {
		if _, err := crashing.Append(t.Context(), of("s", eventstore.NoStream, "x", id)); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	s := over(t, store, claims.Config{Now: func() time.Time { return now }})
	now = now.Add(55 * time.Second)
	if _, err := s.Append(t.Context(), of("other", eventstore.Any, "x", 1)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("before the grace is over: %v", err)
	}
	now = now.Add(10 * time.Second)
	if res := must(t, s, of("other", eventstore.Any, "x", 1)); res.Duplicate {
		t.Errorf("after the grace: %+v", res)
	}
	now = now.Add(-time.Hour)
	must(t, s, of("s", eventstore.NoStream, "x", 3)) // the place of 2
	if res := must(t, s, of("other", eventstore.Any, "x", 2)); res.Duplicate {
		t.Errorf("when its place is taken: %+v", res)
	}
}

// Ensure that of two runs of an append at the same time each is told what is stored: the one that claimed first
// and lost learns that it is a duplicate when the other's bytes are there, and that the id is used when other
// events are.
func TestARivalRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rival     eventstore.Append
		duplicate bool
		reused    bool
	}{
		"the same bytes": {rival: of("s", eventstore.NoStream, "x", 1, 2)},
		"other bytes":    {rival: of("s", eventstore.NoStream, "y", 1, 2), duplicate: true},
		"other ids":      {rival: of("s", eventstore.NoStream, "x", 1, 9), reused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := eventstoretest.NewPerStream()
			first := over(t, &hooked{Store: store, before: onAppendTo("s", func() error {
				if res := must(t, over(t, store, claims.Config{}), c.rival); !res.Duplicate {
					t.Errorf("the rival answers %+v", res)
				}
				return nil
			})}, claims.Config{})
			res, err := first.Append(t.Context(), of("s", eventstore.NoStream, "x", 1, 2))
			if c.reused {
				var reused *eventstore.IDReusedError
				if !errors.As(err, &reused) || reused.Stream != "s" || reused.First.Revision != 1 {
					t.Errorf("the first answers %+v, %v", res, err)
				}
				return
			}
			if err != nil || res.Duplicate != c.duplicate || res.Revision != 1 {
				t.Errorf("the first answers %+v, %v", res, err)
			}
		})
	}
}

// Ensure that an append that cannot be read back is a success that claims not to be the first.
func TestAnAppendThatCannotBeReadBack(t *testing.T) {
	t.Parallel()
	s := over(t, &hooked{Store: eventstoretest.NewPerStream(), read: func(string) error { return eventstore.ErrUnavailable }}, claims.Config{})
	if res := must(t, s, of("s", eventstore.NoStream, "x", 1)); !res.Duplicate {
		t.Errorf("answers %+v", res)
	}
}

// Ensure that a node of the store below which is a little behind is asked again.
func TestAClaimThatIsNotReadableYet(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	a := of("s", eventstore.NoStream, "x", 1)
	first := must(t, over(t, store, claims.Config{}), a)
	behind := 3
	s := over(t, &hooked{Store: store, read: func(stream string) error {
		if behind--; strings.HasPrefix(stream, claims.StreamPrefix) && behind >= 0 {
			return eventstore.ErrStreamNotFound
		}
		return nil
	}}, claims.Config{})
	if res := must(t, s, a); !res.Duplicate || res.Position != first.Position {
		t.Errorf("a repeat answers %+v", res)
	}
}

// Ensure that an expectation that lies in the future blocks nobody, unless another run of it may be under way.
func TestAReleasedClaim(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	s := over(t, store, claims.Config{})
	ahead := of("s", eventstore.AtRevision(7), "x", 1)
	if _, err := s.Append(t.Context(), ahead); !errors.Is(err, eventstore.ErrConflict) {
		t.Fatal(err)
	}
	if res := must(t, s, of("s", eventstore.NoStream, "x", 1)); res.Duplicate {
		t.Errorf("the repeat that is right answers %+v", res)
	}

	ahead = of("s", eventstore.AtRevision(7), "x", 2)
	first := over(t, &hooked{Store: store, before: onAppendTo("s", func() error {
		// While the first is under way, a second run is refused.
		if _, err := s.Append(t.Context(), ahead); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("the second run answers %v", err)
		}
		if _, err := s.Append(t.Context(), of("other", eventstore.NoStream, "x", 2)); !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("while the first run is under way, another append answers %v", err)
		}
		return nil
	})}, claims.Config{})
	if _, err := first.Append(t.Context(), ahead); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("the first run answers %v", err)
	}
}

// Ensure that a process that slept between claim and append does not append: others may think that it never will.
func TestAClaimRunsOut(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	now := time.Now()
	s := over(t, &hooked{Store: store, before: func(eventstore.Append) error {
		now = now.Add(11 * time.Second)
		return nil
	}}, claims.Config{Now: func() time.Time { return now }})
	if _, err := s.Append(t.Context(), of("s", eventstore.NoStream, "x", 1)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("append answers %v", err)
	}
	if l, err := s.Load(t.Context(), "s"); err != nil || l.Revision != eventstore.NoStream {
		t.Errorf("load answers %+v, %v", l, err)
	}
}

// Ensure that nobody meets a claim, and nobody can make one.
func TestClaimsAreHidden(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	s := over(t, store, claims.Config{})
	a := of("s", eventstore.NoStream, "x", 1)
	last := must(t, s, a)
	if _, err := s.Append(t.Context(), of("s", 9, "x", 2)); !errors.Is(err, eventstore.ErrConflict) { // leaves two claims at the end
		t.Fatal(err)
	}
	if head, err := s.Head(t.Context()); err != nil || head != last.Position {
		t.Errorf("head is %s, %v; the last event is at %s", head, err, last.Position)
	}
	stream := claims.StreamPrefix + a.Events[0].ID.String()
	if l, err := store.Load(t.Context(), stream); err != nil || len(l.Events) != 1 {
		t.Fatalf("the store below has %+v, %v in %s", l, err, stream)
	}
	if l, err := s.Load(t.Context(), stream); err != nil || l.Revision != eventstore.NoStream {
		t.Errorf("load of a claim stream answers %+v, %v", l, err)
	}
	for _, err := range s.ReadStream(t.Context(), stream, 0, eventstore.Forward) {
		if !errors.Is(err, eventstore.ErrStreamNotFound) {
			t.Errorf("reading a claim stream answers %v", err)
		}
	}
	if _, err := s.Append(t.Context(), of(stream, eventstore.Any, "x", 3)); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("an append to a claim stream answers %v", err)
	}
	for _, dir := range []eventstore.Direction{eventstore.Forward, eventstore.Backward} {
		from := map[eventstore.Direction]eventstore.Position{eventstore.Backward: eventstore.Position(eventstore.End)}[dir]
		count := 0
		for r, err := range s.ReadAll(t.Context(), from, dir) {
			if count++; err != nil || r.Stream != "s" {
				t.Errorf("the log shows %+v, %v", r, err)
			}
		}
		if count != 1 {
			t.Errorf("the log shows %d events", count)
		}
	}
	must(t, s, of("s", 0, "x", 4))
	seen := 0
	for r, err := range s.Subscribe(t.Context(), 0) {
		if seen++; err != nil || r.Stream != "s" {
			t.Errorf("a subscription shows %+v, %v", r, err)
		}
		if seen == 2 {
			break
		}
	}
}

// Ensure that a claim stream that somebody else has written to is not guessed about.
func TestACorruptClaim(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]eventstore.Event{
		"another type":       {Type: "Other", Data: []byte(`{"stream":"s","expected":-1,"count":1}`)},
		"no JSON":            {Type: "EventIdClaimed", Data: []byte(`{"stream":`)},
		"no stream":          {Type: "EventIdClaimed", Data: []byte(`{"expected":-1,"count":1}`)},
		"no count":           {Type: "EventIdClaimed", Data: []byte(`{"stream":"s","expected":-1}`)},
		"an expectation":     {Type: "EventIdClaimed", Data: []byte(`{"stream":"s","expected":-2,"count":1}`)},
		"more than is there": {Type: "EventIdClaimed", Data: []byte(`{"stream":"s","expected":-1,"count":2}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := eventstoretest.NewPerStream()
			a := of("s", eventstore.NoStream, "x", 1)
			spoil.ID = eventstore.EventID{1}
			for _, below := range []eventstore.Append{a, {Stream: claims.StreamPrefix + a.Events[0].ID.String(), Expected: eventstore.Any, Events: []eventstore.Event{spoil}}} {
				if _, err := store.Append(t.Context(), below); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := over(t, store, claims.Config{}).Append(t.Context(), a); !errors.Is(err, eventstore.ErrCorrupt) {
				t.Errorf("append answers %v", err)
			}
		})
	}
}

// Ensure that a configuration that is not safe is refused.
func TestNew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inner eventstore.Store
		cfg   claims.Config
		ok    bool
	}{
		"the zero value":     {eventstoretest.NewPerStream(), claims.Config{}, true},
		"no store":           {nil, claims.Config{}, false},
		"no grace":           {eventstoretest.NewPerStream(), claims.Config{Grace: 19 * time.Second}, false},
		"a negative time":    {eventstoretest.NewPerStream(), claims.Config{Deadline: -1}, false},
		"times that are far": {eventstoretest.NewPerStream(), claims.Config{Grace: time.Hour, Deadline: time.Second}, true},
	} {
		if _, err := claims.New(c.inner, c.cfg); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
