package activetokenstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func applyClauses() []Clause {
	return []Clause{
		{"A2", "a missing event parks its family, whichever it is", checkMissing},
		{"A2", "a repeated event parks its family", checkRepeated},
		{"A3", "a refusal that does not begin at revision 0 is skipped", checkRefusalGap},
		{"A3", "a refusal may be cut into two batches", checkRefusalCut},
		{"A3", "an unreadable refusal is skipped, and nothing else", checkRefusalUnread},
		{"A5", "an unreadable event parks its family, and nothing else", checkUnknown},
		{"A5", "an event of another session parks the family it is in", checkStranger},
		{"A5", "a family that was never issued is parked", checkNeverIssued},
		{"A5", "what was revoked stays revoked", checkRevokedStays},
		{"A5", "a parked family stays parked", checkParkedStays},
		{"P1", "no events change nothing", checkNothing},
		{"P2", "a wrong position is refused", checkMoved},
		{"P3", "who was followed by another is fenced", checkFenced},
		{"P6", "it remembers the last event, across a restart", checkCheckpoint},
	}
}

func containsText(s, part string) bool { return strings.Contains(s, part) }

// parked looks at a family that is parked, and at how it is listed.
func (s *subject) parked(id refreshtoken.SessionID, damage activetokens.Damage) {
	s.Helper()
	row, _, err := s.model.Session(context.Background(), id)
	if err != nil || row.Status != activetokens.Parked {
		s.Errorf("session %s: %+v, %v; want it parked", id, row, err)
	}
	if damage.Families != 1 || !slices.Equal(damage.First, []refreshtoken.SessionID{id}) || damage.Skipped != 0 {
		s.Errorf("damage %+v, want one family, %s", damage, id)
	}
	for _, c := range []struct {
		filter activetokens.Filter
		shown  bool
	}{
		{activetokens.OnlyActive, false},
		{activetokens.OnlyExpired, false},
		{activetokens.OnlyRevoked, false},
		{activetokens.OnlyParked, true},
		{activetokens.All, true},
	} {
		got := s.all(activetokens.Query{Filter: c.filter, Now: memstoretest.Epoch, Limit: 10})
		if slices.Contains(got, id) != c.shown {
			s.Errorf("among the %s sessions: %v, the parked one is %s", c.filter, got, id)
		}
	}
}

// checkMissing leaves out every event in turn that is not its stream's last, both with the
// stream's beginning in the same batch and in one before.
func checkMissing(tb testing.TB, fresh func(testing.TB) Open) {
	for _, missing := range []int{0, 1, 2} { // the next one would leave out what follows the revocation
		for _, applied := range []int{0, missing} {
			s := newSubject(tb, fresh)
			f := s.Issue("ada", "")
			s.Rotate(f)
			s.LogOut(f, "ada")
			g := s.Issue("bob", "")
			all := s.store.Events()
			if err := s.apply(all[:applied]); err != nil {
				s.Fatalf("apply: %v", err)
			}
			damage := s.takes(slices.Delete(slices.Clone(all[applied:]), missing-applied, missing-applied+1))
			s.parked(f.ID(), damage)
			if row := s.row(g); row.Status != activetokens.Active {
				s.Errorf("without event %d after %d another session is %+v", missing, applied, row)
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
		s.parked(f.ID(), s.takes([]eventstore.Recorded{again}))
		if row := s.row(f); row.Revision != uint64(repeated) || row.Generation != 2 { //nolint:gosec // not negative
			s.Errorf("event %d again: %+v", repeated, row)
		}
	}
}

func checkRefusalGap(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f := s.Issue("ada", "")
	s.sync()
	s.LogOut(f, "mallory")
	if damage := s.takes(s.pending()[1:]); damage.Skipped != 1 || damage.Families != 0 {
		s.Errorf("a refusal without its first event: %+v", damage)
	}
	if refused, err := s.model.Refused(context.Background(), f.ID(), 0, 10); err != nil || len(refused) != 0 {
		s.Errorf("it is shown: %+v, %v", refused, err)
	}
}

func checkRefusalUnread(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f := s.Issue("ada", "")
	s.LogOut(f, "mallory")
	s.Garbage(s.store.Events()[2].Stream)
	s.Garbage("refreshToken-ada")
	s.LogOut(f, "mallory")
	s.LogOut(f, "ada")
	if damage := s.takes(s.pending()); damage.Skipped != 2 || damage.Families != 0 {
		s.Errorf("damage %+v", damage)
	}
	if refused, err := s.model.Refused(context.Background(), f.ID(), 0, 10); err != nil || len(refused) != 2 {
		s.Errorf("refused: %+v, %v", refused, err)
	}
	if row := s.row(f); row.Status != activetokens.Revoked {
		s.Errorf("row %+v", row)
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
	} {
		for _, applied := range []int{0, 1, 2} {
			s := newSubject(tb, fresh)
			f, g := s.Issue("ada", ""), s.Issue("bob", "")
			s.Rotate(f)
			s.LogOut(g, "bob")
			all := s.store.Events()
			damage(&all[2])
			if err := s.apply(all[:applied]); err != nil {
				s.Fatalf("apply: %v", err)
			}
			s.parked(f.ID(), s.takes(all[applied:]))
			if row := s.row(g); row.Status != activetokens.Revoked {
				s.Errorf("unknown %s: another session, logged out later, is %+v", name, row)
			}
		}
	}
}

// checkStranger puts the events of one session into the stream of another.
func checkStranger(tb testing.TB, fresh func(testing.TB) Open) {
	for _, n := range []int{0, 1, 3} {
		s := newSubject(tb, fresh)
		f := s.Issue("ada", "")
		s.sync()
		g := s.Issue("bob", "")
		s.Rotate(g)
		s.LogOut(g, "bob")
		e := s.pending()[n] // issued, rotated, revoked
		e.Stream, e.Revision = f.ID().Stream(), 1
		if n == 0 {
			e.Stream, e.Revision = memstoretest.SessionID(9).Stream(), 0
		}
		id, _ := refreshtoken.ParseStream(e.Stream)
		s.parked(id, s.takes([]eventstore.Recorded{e}))
	}
}

// checkNeverIssued begins a stream with garbage, and goes on with what would have been its first event.
func checkNeverIssued(tb testing.TB, fresh func(testing.TB) Open) {
	for _, cut := range []int{0, 1} {
		s := newSubject(tb, fresh)
		s.Garbage(memstoretest.SessionID(0).Stream())
		first := s.pending()[0]
		s.Other("something-else")
		events := append(s.pending()[:1:1], s.pending()[1])
		issued := newHistory(tb)
		issued.Issue("ada", "")
		events[1] = issued.pending()[0]
		events[1].Revision, events[1].Position = 1, first.Position+1
		if err := s.apply(events[:cut]); err != nil {
			s.Fatalf("apply: %v", err)
		}
		s.parked(memstoretest.SessionID(0), s.takes(events[cut:]))
		row, _, err := s.model.Session(context.Background(), memstoretest.SessionID(0))
		want := activetokens.Row{SessionID: memstoretest.SessionID(0), Status: activetokens.Parked, Revision: 1, Position: 2}
		if err != nil || row != want {
			s.Errorf("row %+v, %v; want %+v", row, err, want)
		}
	}
}

func checkRevokedStays(tb testing.TB, fresh func(testing.TB) Open) {
	for _, applied := range []int{0, 1, 4} {
		s := newSubject(tb, fresh)
		f := s.Issue("ada", "")
		s.LogOut(f, "ada")
		s.Spoil(f)
		all := s.store.Events()
		if err := s.apply(all[:applied]); err != nil {
			s.Fatalf("apply: %v", err)
		}
		damage := s.takes(all[applied:])
		if row := s.row(f); row.Status != activetokens.Revoked || row.Revision != 4 || row.Revocation.By != "ada" || damage.Families != 1 {
			s.Errorf("row %+v, damage %+v", row, damage)
		}
	}
}

// checkParkedStays lets a parked family go on as if nothing had happened.
func checkParkedStays(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f := s.Issue("ada", "")
	s.Spoil(f)
	s.sync()
	s.Rotate(f)
	s.sync()
	s.LogOut(f, "ada")
	s.parked(f.ID(), s.takes(s.pending()))
	if row := s.row(f); row.Generation != 0 || row.Revision != 5 || row.Position != 6 || row.Revocation != (activetokens.Revocation{}) {
		s.Errorf("row %+v", row)
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
		err := s.refuses(from, s.pending())
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
