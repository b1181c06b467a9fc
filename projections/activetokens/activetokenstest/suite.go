package activetokenstest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// Open opens a read model, and the same one again each time it is called. The suite
// closes what it opened.
type Open func(tb testing.TB) activetokens.ReadModel

// Clause is one rule and its proof.
type Clause struct {
	ID    string
	Name  string
	check func(tb testing.TB, fresh func(tb testing.TB) Open)
}

// Clauses are all clauses, in the order of their rules.
func Clauses() []Clause {
	return slices.Concat(rowClauses(), applyClauses(), readClauses(), rebuildClauses())
}

// Check runs one clause; fresh gives the opener of a read model that does not exist yet.
func (c Clause) Check(tb testing.TB, fresh func(tb testing.TB) Open) {
	tb.Helper()
	c.check(tb, fresh)
}

// Run proves every clause as a subtest.
func Run(t *testing.T, fresh func(tb testing.TB) Open) {
	t.Helper()
	for _, c := range Clauses() {
		t.Run(c.ID+" "+c.Name, func(t *testing.T) {
			t.Parallel()
			c.Check(t, fresh)
		})
	}
}

// subject is a read model under test with the history that goes into it.
type subject struct {
	testing.TB
	model activetokens.ReadModel
	store *memstoretest.Store
	*memstoretest.History
	at eventstore.Position
}

func newSubject(tb testing.TB, fresh func(testing.TB) Open) *subject {
	tb.Helper()
	s := newHistory(tb)
	s.model = acquired(tb, fresh(tb))
	return s
}

// newHistory is a subject that has no read model yet.
func newHistory(tb testing.TB) *subject {
	tb.Helper()
	store := memstoretest.New()
	return &subject{TB: tb, store: store, History: memstoretest.NewHistory(tb, store)}
}

// acquired opens a read model, takes it over and closes it at the end of the test.
func acquired(tb testing.TB, open Open) activetokens.ReadModel {
	tb.Helper()
	model := open(tb)
	tb.Cleanup(func() { shut(tb, model) })
	return takeOver(tb, model)
}

// pending are the events not applied yet.
func (s *subject) pending() []eventstore.Recorded { return s.store.Events()[s.at:] }

// sync applies the pending events in one batch.
func (s *subject) sync() {
	s.Helper()
	if err := s.apply(s.pending()); err != nil {
		s.Fatalf("apply: %v", err)
	}
}

func (s *subject) apply(events []eventstore.Recorded) error {
	if err := s.model.Apply(context.Background(), s.at, events); err != nil {
		return err //nolint:wrapcheck // the suite looks at it
	}
	if len(events) > 0 {
		s.at = events[len(events)-1].Position
	}
	return nil
}

// refuses applies events that must be refused and must change nothing (P1).
func (s *subject) refuses(from eventstore.Position, events []eventstore.Recorded) error {
	s.Helper()
	before := dump(s, s.model)
	err := s.model.Apply(context.Background(), from, events)
	if err == nil {
		s.Fatalf("applied %d events that it must refuse", len(events))
	}
	if after := dump(s, s.model); after != before {
		s.Errorf("a refused batch changed the read model\nbefore:\n%s\nafter:\n%s", before, after)
	}
	return err //nolint:wrapcheck // the suite looks at it
}

// takes applies events, one of which is unreadable, and then says what is counted.
func (s *subject) takes(events []eventstore.Recorded) activetokens.Damage {
	s.Helper()
	if err := s.apply(events); err != nil {
		s.Fatalf("apply: %v", err)
	}
	damage, err := s.model.Damage(context.Background())
	if err != nil {
		s.Fatalf("damage: %v", err)
	}
	return damage
}

func (s *subject) row(f *memstoretest.Family) activetokens.Row {
	s.Helper()
	row, at, err := s.model.Session(context.Background(), f.ID())
	if err != nil {
		s.Fatalf("session %s: %v", f.ID(), err)
	}
	if at != s.at {
		s.Errorf("session %s was answered at position %s, want %s", f.ID(), at, s.at)
	}
	return row
}

func dump(tb testing.TB, model activetokens.ReadModel) string {
	tb.Helper()
	var b strings.Builder
	if err := model.Dump(context.Background(), &b); err != nil {
		tb.Fatalf("dump: %v", err)
	}
	return b.String()
}
