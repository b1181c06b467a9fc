package activetokenstest

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func rebuildClauses() []Clause {
	return []Clause{
		{"P7", "rebuilt from nothing it equals the live one", checkRebuild},
	}
}

// checkRebuild feeds random histories in random batches, with restarts, and compares with
// the same history in one batch, byte for byte, and with what the aggregate says.
func checkRebuild(tb testing.TB, fresh func(testing.TB) Open) {
	rapid.Check(tb, func(t *rapid.T) {
		open := fresh(tb)
		live := newHistory(tb)
		live.model = takeOver(t, open(tb))
		defer func() { shut(t, live.model) }()
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			for range rapid.IntRange(0, 12).Draw(t, "commands") {
				command(t, live)
			}
			feed(t, live)
			if rapid.Bool().Draw(t, "restart") {
				shut(t, live.model)
				live.model = takeOver(t, open(tb))
			}
		}
		rebuilt := takeOver(t, fresh(tb)(tb))
		defer func() { shut(t, rebuilt) }()
		if err := rebuilt.Apply(context.Background(), 0, live.store.Events()); err != nil {
			t.Fatalf("rebuild: %v", err)
		}
		if a, b := dump(tb, live.model), dump(tb, rebuilt); a != b {
			t.Fatalf("live:\n%s\nrebuilt:\n%s", a, b)
		}
		for _, f := range live.Families {
			agree(t, live.model, f)
		}
	})
}

// failer is a test or one round of rapid.
type failer interface {
	Fatalf(format string, args ...any)
}

func takeOver(t failer, model activetokens.ReadModel) activetokens.ReadModel {
	if _, err := model.Acquire(context.Background()); err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return model
}

func shut(t failer, model activetokens.ReadModel) {
	if err := model.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// command lets one random thing happen.
func command(t *rapid.T, s *subject) {
	users := []string{"ada", "bob", "zoë <&>\""}
	user := rapid.SampledFrom(users).Draw(t, "user")
	kind := rapid.IntRange(0, 8).Draw(t, "kind")
	if kind == 0 || len(s.Families) == 0 {
		s.Issue(user, rapid.SampledFrom([]string{"", "web", "app"}).Draw(t, "client"))
		return
	}
	f := rapid.SampledFrom(s.Families).Draw(t, "family")
	switch kind {
	case 1, 2:
		s.Rotate(f)
	case 3:
		s.LogOut(f, user)
	case 4:
		s.LogOut(f, f.State.UserID.String())
	case 5:
		s.LogOutUnknown(user)
	case 6:
		s.Other("something-else")
	case 7:
		s.Spoil(f)
	case 8:
		s.Garbage(rapid.SampledFrom([]string{"userLogout-1", "refreshToken-ada", memstoretest.SessionID(99).Stream()}).Draw(t, "stream"))
	}
}

// feed applies what is pending in batches cut at random.
func feed(t *rapid.T, s *subject) {
	for pending := s.pending(); len(pending) > 0; pending = s.pending() {
		n := rapid.IntRange(1, len(pending)).Draw(t, "cut")
		if err := s.apply(slices.Clone(pending[:n])); err != nil {
			t.Fatalf("apply of %d events after %s: %v", n, s.at, err)
		}
	}
}

// agree compares a row with the state that the aggregate folds from the same events.
func agree(t *rapid.T, model activetokens.ReadModel, f *memstoretest.Family) {
	row, _, err := model.Session(context.Background(), f.ID())
	if err != nil {
		t.Fatalf("session %s: %v", f.ID(), err)
	}
	s := &f.State
	status := activetokens.Active
	switch {
	case f.Parked != nil:
		s, status = f.Parked, activetokens.Parked
	case s.Status == refreshtoken.Ended:
		status = activetokens.Revoked
	}
	want := activetokens.Row{
		SessionID: s.SessionID, UserID: s.UserID, ClientID: s.ClientID, Kind: s.Kind, Generation: s.Generation,
		IssuedAt: activetokens.NanosOf(s.IssuedAt), ExpiresAt: activetokens.NanosOf(s.ExpiresAt),
		AbsoluteExpiresAt: activetokens.NanosOf(s.AbsoluteExpiresAt), Status: status,
		Revocation: activetokens.Revocation{At: row.Revocation.At, Reason: s.EndReason, By: row.Revocation.By},
		Revision:   f.Revision(), Position: row.Position,
	}
	if row != want || (status == activetokens.Revoked) != (row.Revocation.At != 0) || row.Position == eventstore.Position(0) {
		t.Fatalf("row\n%+v, the aggregate says\n%+v", row, want)
	}
}
