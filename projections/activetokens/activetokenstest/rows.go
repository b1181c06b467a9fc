package activetokenstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func rowClauses() []Clause {
	return []Clause{
		{"A1", "a session appears when it is issued", checkIssued},
		{"A6", "rotation and revocation fill the row", checkLife},
		{"A6", "the same in one batch", checkLifeInOneBatch},
		{"A7", "refused logouts are found under their session", checkRefused},
		{"A8", "other streams move the position only", checkOther},
		{"A11", "no fingerprint is kept", checkFingerprint},
	}
}

func checkIssued(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	if _, at, err := s.model.Session(context.Background(), memstoretest.SessionID(0)); !errors.Is(err, activetokens.ErrNotFound) || at != 0 {
		s.Errorf("before the first event: position %s, error %v", at, err)
	}
	f := s.Issue("ada", "web")
	s.sync()
	want := activetokens.Row{
		SessionID: f.ID(), UserID: memstoretest.User(s, "ada"), ClientID: memstoretest.Client(s, "web"),
		Kind:              refreshtoken.Registered,
		IssuedAt:          activetokens.NanosOf(memstoretest.Epoch),
		ExpiresAt:         activetokens.NanosOf(memstoretest.Epoch.Add(time.Hour)),
		AbsoluteExpiresAt: activetokens.NanosOf(memstoretest.Epoch.Add(24 * time.Hour)),
		Status:            activetokens.Active, Position: 1,
	}
	if got := s.row(f); got != want {
		s.Errorf("row\n%+v, want\n%+v", got, want)
	}
}

func checkLife(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f := s.Issue("ada", "")
	s.sync()
	s.Rotate(f)
	s.sync()
	if row := s.row(f); row.Generation != 1 || row.Revision != 1 || row.ExpiresAt != activetokens.NanosOf(f.State.ExpiresAt) {
		s.Errorf("after rotation: %+v", row)
	}
	s.LogOut(f, "ada")
	s.sync()
	s.ended(f)
}

func checkLifeInOneBatch(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f, g := s.Issue("ada", ""), s.Issue("bob", "")
	s.Rotate(f)
	s.LogOut(f, "ada")
	s.sync()
	s.ended(f)
	s.Rotate(g)
	s.Rotate(g)
	s.LogOut(g, "bob")
	s.sync()
	if row := s.row(g); row.Generation != 2 || row.Status != activetokens.Revoked || row.Revision != 5 {
		s.Errorf("after two rotations and a logout in one batch: %+v", row)
	}
}

// ended looks at a session of ada that was issued, rotated once and logged out.
func (s *subject) ended(f *memstoretest.Family) {
	s.Helper()
	row := s.row(f)
	// The second event before the last one, UserLogoutSucceeded, is what ended it.
	revoked := s.store.Events()[row.Position-2]
	want := activetokens.Revocation{
		At: activetokens.NanosOf(revoked.RecordedAt), Reason: refreshtoken.ReasonLogout, By: "ada",
	}
	if row.Status != activetokens.Revoked || row.Revocation != want || row.Revision != 4 || row.Generation != 1 {
		s.Errorf("after logout: %+v, want revocation %+v", row, want)
	}
	if row.UserID != f.State.UserID || row.IssuedAt != activetokens.NanosOf(f.State.IssuedAt) {
		s.Errorf("after logout the row forgot who and when: %+v", row)
	}
}

func checkRefused(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	f, g := s.Issue("ada", ""), s.Issue("bob", "")
	s.LogOut(f, "mallory") // events 3 and 4
	s.LogOutUnknown("mallory")
	s.LogOut(f, "ada")
	s.LogOut(f, "ada") // already revoked: events 10 and 11
	s.LogOut(g, "mallory")
	s.sync()
	refused, err := s.model.Refused(context.Background(), f.ID(), 0, 10)
	if err != nil || len(refused) != 2 {
		s.Fatalf("refused: %+v, %v", refused, err)
	}
	for i, at := range []eventstore.Position{4, 11} {
		want := activetokens.Refused{SessionID: f.ID(), Position: at, Stream: s.store.Events()[at-1].Stream}
		if refused[i] != want {
			s.Errorf("refused %d: %+v, want %+v", i, refused[i], want)
		}
	}
	if some, err := s.model.Refused(context.Background(), f.ID(), 4, 10); err != nil || len(some) != 1 || some[0] != refused[1] {
		s.Errorf("refused after 4: %+v, %v", some, err)
	}
	if some, err := s.model.Refused(context.Background(), f.ID(), 0, 1); err != nil || len(some) != 1 || some[0] != refused[0] {
		s.Errorf("the first refused: %+v, %v", some, err)
	}
	if row := s.row(g); row.Revision != 0 || row.Status != activetokens.Active {
		s.Errorf("a refused logout changed the row: %+v", row)
	}
}

func checkOther(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	s.Other("something-else")
	s.Other("tokenFingerprint-00")
	s.Other("refreshToken") // no family: the dash is missing
	s.sync()
	page, err := s.model.List(context.Background(), activetokens.Query{Filter: activetokens.All, Limit: 10})
	if err != nil || len(page.Rows) != 0 || page.Position != 3 {
		s.Errorf("page %+v, %v", page, err)
	}
}

func checkFingerprint(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	s.Issue("ada", "")
	s.sync()
	const fingerprint = "0000000000000000000000000000000000000000000000000000000000000000"
	if containsText(dump(s, s.model), fingerprint) {
		s.Error("the dump shows the fingerprint")
	}
}
