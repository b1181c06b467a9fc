package activetokenstest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func readClauses() []Clause {
	return []Clause{
		{"A4", "expired is what the reader's clock says", checkFilters},
		{"A9", "pages follow each other without loss or repetition", checkPages},
		{"A9", "by user, by client and by both", checkSelection},
		{"A9", "a query examines a bounded number of rows", checkExamined},
	}
}

func (s *subject) list(q activetokens.Query) activetokens.Page {
	s.Helper()
	page, err := s.model.List(context.Background(), q)
	if err != nil {
		s.Fatalf("list %+v: %v", q, err)
	}
	if page.Position != s.at {
		s.Errorf("list was answered at position %s, want %s", page.Position, s.at)
	}
	return page
}

// all follows the pages to the end.
func (s *subject) all(q activetokens.Query) []refreshtoken.SessionID {
	s.Helper()
	var ids []refreshtoken.SessionID
	for {
		page := s.list(q)
		if len(page.Rows) > q.Limit {
			s.Fatalf("page of %d rows, limit %d", len(page.Rows), q.Limit)
		}
		for _, row := range page.Rows {
			ids = append(ids, row.SessionID)
		}
		if page.Next.IsZero() {
			return ids
		}
		q.Before = page.Next
	}
}

func sessions(numbers ...int) []refreshtoken.SessionID {
	var ids []refreshtoken.SessionID
	for _, n := range numbers {
		ids = append(ids, memstoretest.SessionID(n))
	}
	return ids
}

func checkFilters(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	s.Issue("ada", "")           // 0: expires in an hour
	s.Rotate(s.Issue("ada", "")) // 1: in two hours
	s.LogOut(s.Issue("ada", ""), "ada")
	s.sync()
	expiry := s.Families[0].State.ExpiresAt
	for _, c := range []struct {
		filter activetokens.Filter
		now    time.Time
		want   []refreshtoken.SessionID
	}{
		{activetokens.OnlyActive, expiry.Add(-1), sessions(1, 0)},
		{activetokens.OnlyActive, expiry, sessions(1)},
		{activetokens.OnlyExpired, expiry.Add(-1), nil},
		{activetokens.OnlyExpired, expiry, sessions(0)},
		{activetokens.OnlyRevoked, expiry, sessions(2)},
		{activetokens.All, expiry, sessions(2, 1, 0)},
	} {
		if got := s.all(activetokens.Query{Filter: c.filter, Now: c.now, Limit: 10}); !slices.Equal(got, c.want) {
			s.Errorf("%s at %s: %v, want %v", c.filter, c.now, got, c.want)
		}
	}
}

func checkPages(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	var want []refreshtoken.SessionID
	for i := range 10 {
		f := s.Issue("ada", "")
		if i%3 == 0 {
			s.LogOut(f, "ada")
		} else {
			want = append(want, f.ID())
		}
	}
	s.sync()
	slices.Reverse(want)
	for _, limit := range []int{1, 2, 3, len(want), 1000} {
		q := activetokens.Query{Limit: limit, Now: memstoretest.Epoch}
		if got := s.all(q); !slices.Equal(got, want) {
			s.Errorf("in pages of %d: %v, want %v", limit, got, want)
		}
	}
}

func checkSelection(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	for _, of := range []struct{ user, client string }{
		{"ada", "web"}, {"bob", "web"}, {"ada", ""}, {"ada", "app"}, {"Ada", "web"}, {"ada", "web"}, {"ad", "we"},
	} {
		s.Issue(of.user, of.client)
	}
	s.sync()
	for _, c := range []struct {
		user, client string
		want         []refreshtoken.SessionID
	}{
		{"ada", "", sessions(5, 3, 2, 0)},
		{"", "web", sessions(5, 4, 1, 0)},
		{"ada", "web", sessions(5, 0)},
		{"", "", sessions(6, 5, 4, 3, 2, 1, 0)},
		{"eve", "", nil},
	} {
		q := activetokens.Query{Limit: 2, Now: memstoretest.Epoch, ClientID: memstoretest.Client(s, c.client)}
		if c.user != "" {
			q.UserID = memstoretest.User(s, c.user)
		}
		if got := s.all(q); !slices.Equal(got, c.want) {
			s.Errorf("user %q client %q: %v, want %v", c.user, c.client, got, c.want)
		}
	}
}

// checkExamined hides one session below as many as a query examines: all are ada's, one is
// of the client that is asked for.
func checkExamined(tb testing.TB, fresh func(testing.TB) Open) {
	s := newSubject(tb, fresh)
	s.Issue("ada", "app")
	for range activetokens.MaxExamined {
		s.Issue("ada", "web")
	}
	s.sync()
	q := activetokens.Query{
		UserID: memstoretest.User(s, "ada"), ClientID: memstoretest.Client(s, "app"), Filter: activetokens.All, Limit: 10,
	}
	first := s.list(q)
	if len(first.Rows) != 0 || first.Next.IsZero() {
		s.Errorf("first page: %d rows, next %s; want none yet, and a next page", len(first.Rows), first.Next)
	}
	if got := s.all(q); !slices.Equal(got, sessions(0)) {
		s.Errorf("following the pages: %v", got)
	}
}
