package activetokenstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func applyClauses() []Clause {
	return []Clause{
		{"A2", "a missing event stops it, whichever it is", checkMissing},
		{"A2", "a repeated event stops it", checkRepeated},
		{"A3", "a refusal begins at revision 0", checkRefusalGap},
		{"A3", "a refusal may be cut into two batches", checkRefusalCut},
		{"A5", "an event that nobody knows stops it", checkUnknown},
		{"A5", "an event of another session stops it", checkStranger},
		{"P1", "no events change nothing", checkNothing},
		{"P2", "a wrong position is refused", checkMoved},
		{"P3", "who was followed by another is fenced", checkFenced},
		{"P6", "it remembers the last event, across a restart", checkCheckpoint},
	}
}

func containsText(s, part string) bool { return strings.Contains(s, part) }

// checkMissing leaves out every event in turn that is not its stream's last, both with the
// stream's beginning in the same batch and in one before.
func checkMissing(tb testing.TB, fresh func(testing.TB) Open) {
	for _, missing := range []int{0, 1, 2, 3} {
		for _, applied := range []int{0, missing} {
			s := newSubject(tb, fresh)
			f := s.Issue("ada", "")
			s.Rotate(f)
			s.LogOut(f, "ada")
			all := s.store.Events()
			if err := s.apply(all[:applied]); err != nil {
				s.Fatalf("apply: %v", err)
			}
			err := s.refuses(slices.Delete(slices.Clone(all[applied:]), missing-applied, missing-applied+1))
			var gap *projections.GapError
			want := projections.GapError{
				Stream: f.ID().Stream(), Expected: uint64(missing), Got: uint64(missing + 1), //nolint:gosec // not negative
				Position: eventstore.Position(missing + 2), //nolint:gosec // not negative
			}
			if !errors.As(err, &gap) || gap.Stream != want.Stream || gap.Expected != want.Expected || gap.Got != want.Got {
				s.Errorf("without event %d after %d: %v, want %v", missing, applied, err, &want)
			}
		}
	}
}

func checkRepeated(tb testing.TB, fresh func(testing.TB) Open) {
	for _, repeated := range []int{0, 1, 2} {
		s := newSubject(tb, fresh)
		f := s.Issue("ada", "")
		s.Rotate(f)
		s.Rotate(f)
		s.sync()
		again := s.store.Events()[repeated]
		again.Position = 4
		var gap *projections.GapError
		if err := s.refuses([]eventstore.Recorded{again}); !errors.As(err, &gap) ||
			gap.Stream != f.ID().Stream() || gap.Expected != 3 || gap.Got != uint64(repeated) { //nolint:gosec // not negative
			s.Errorf("event %d again: %v", repeated, err)
		}
	}
}

func checkRefusalGap(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f := s.Issue("ada", "")
	s.sync()
	s.LogOut(f, "mallory")
	if err := s.refuses(s.pending()[1:]); !errors.Is(err, projections.ErrGap) {
		s.Errorf("a refusal without its first event: %v", err)
	}
}

func checkRefusalCut(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	s.LogOut(s.Issue("ada", ""), "mallory")
	for _, e := range s.store.Events() {
		if err := s.apply([]eventstore.Recorded{e}); err != nil {
			s.Fatalf("event %s: %v", e.Position, err)
		}
	}
}

func checkUnknown(tb testing.TB, fresh func(testing.TB) Open) {
	for name, damage := range map[string]func(e *eventstore.Recorded){
		"type":     func(e *eventstore.Recorded) { e.Type = "RefreshTokenPainted" },
		"data":     func(e *eventstore.Recorded) { e.Data = []byte(`{"session_id":1}`) },
		"schema":   func(e *eventstore.Recorded) { e.Metadata = []byte(`{"x":1,"schema":99}`) },
		"metadata": func(e *eventstore.Recorded) { e.Metadata = []byte(`{`) },
		"stream":   func(e *eventstore.Recorded) { e.Stream, e.Revision = "refreshToken-ada", 0 },
	} {
		s := newSubject(tb, fresh)
		f := s.Issue("ada", "")
		s.sync()
		s.Rotate(f)
		event := s.pending()[0]
		damage(&event)
		var undecodable *codec.DecodeError
		if err := s.refuses([]eventstore.Recorded{event}); !errors.As(err, &undecodable) || undecodable.Stream != event.Stream ||
			undecodable.Revision != event.Revision {
			s.Errorf("unknown %s: %v", name, err)
		}
	}
}

// checkStranger puts the events of one session into the stream of another.
func checkStranger(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f := s.Issue("ada", "")
	s.sync()
	g := s.Issue("bob", "")
	s.Rotate(g)
	s.LogOut(g, "bob")
	issued, rotated, revoked := s.pending()[0], s.pending()[1], s.pending()[3]
	issued.Stream = memstoretest.SessionID(9).Stream()
	rotated.Stream, revoked.Stream, revoked.Revision = f.ID().Stream(), f.ID().Stream(), 1
	for _, e := range []eventstore.Recorded{issued, rotated, revoked} {
		var undecodable *codec.DecodeError
		if err := s.refuses([]eventstore.Recorded{e}); !errors.As(err, &undecodable) {
			s.Errorf("%s of another session: %v", e.Type, err)
		}
	}
}

func checkNothing(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	if err := s.apply(nil); err != nil {
		s.Errorf("apply of nothing: %v", err)
	}
}

func checkMoved(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	s.Issue("ada", "")
	s.sync()
	s.Issue("bob", "")
	for _, from := range []eventstore.Position{0, 2} {
		err := s.model.Apply(context.Background(), from, s.pending())
		var moved *projections.MovedError
		if !errors.As(err, &moved) || *moved != (projections.MovedError{Expected: from, Actual: 1}) {
			s.Errorf("apply from %s at 1: %v", from, err)
		}
	}
	s.sync()
}

func checkFenced(tb testing.TB, fresh func(testing.TB) Open) {
	open := fresh(tb)
	older, newer := acquired(tb, open), acquired(tb, open)
	s := newSubject(tb, fresh)
	s.Issue("ada", "")
	if err := older.Apply(context.Background(), 0, s.pending()); !errors.Is(err, projections.ErrFenced) {
		s.Errorf("apply by the older holder: %v", err)
	}
	if err := newer.Apply(context.Background(), 0, s.pending()); err != nil {
		s.Errorf("apply by the newer holder: %v", err)
	}
}

func checkCheckpoint(tb testing.TB, fresh func(testing.TB) Open) {
	open := fresh(tb)
	s := newSubject(tb, func(testing.TB) Open { return open })
	s.Issue("ada", "")
	s.Other("something-else")
	s.sync()
	last := s.store.Events()[1]
	want := projections.Checkpoint{Position: 2, Last: projections.RefTo(&last)}
	for _, model := range []projections.Projection{s.model, acquired(tb, open)} {
		if got, err := model.Checkpoint(context.Background()); err != nil || got != want {
			s.Errorf("checkpoint %+v, %v; want %+v", got, err, want)
		}
	}
}
