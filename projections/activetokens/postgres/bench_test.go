package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens/postgres"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// BenchmarkApply measures what following costs, in the cases of the benchmark of SQLite: sessions
// issued, and logouts of three events each, in the order of issue and in random order. The
// server runs on the same machine and does not sync.
//
//	go test -run '^$' -bench Apply -benchtime 1x ./projections/activetokens/postgres
func BenchmarkApply(b *testing.B) {
	const sessions = 200_000
	for _, order := range []string{"in order", "at random"} {
		issues, logouts := benchEvents(b, sessions, order == "at random")
		for _, batch := range []int{600, 4096, 16384} {
			b.Run(fmt.Sprintf("%s/batch %d", order, batch), func(b *testing.B) {
				for range b.N {
					s := opened(b, newURL(b))
					if _, err := s.Acquire(context.Background()); err != nil {
						b.Fatal(err)
					}
					applyAll(b, s, 0, issues, batch, sessions, "issues")
					applyAll(b, s, sessions, logouts, batch, sessions, "logouts")
				}
			})
		}
	}
}

// benchEvents gives the events of n sessions issued and then all logged out.
func benchEvents(b *testing.B, n int, shuffle bool) (issues, logouts []eventstore.Recorded) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same figures every time
	store := memstoretest.New()
	h := memstoretest.NewHistory(b, store)
	for range n {
		h.Issue(fmt.Sprintf("user-%d", random.IntN(n/2)), "web")
	}
	if shuffle {
		random.Shuffle(n, func(i, j int) { h.Families[i], h.Families[j] = h.Families[j], h.Families[i] })
	}
	for _, f := range h.Families {
		h.LogOut(f, f.State.UserID.String())
	}
	all := store.Events()
	return all[:n], all[n:]
}

func applyAll(b *testing.B, s *postgres.Store, at eventstore.Position, events []eventstore.Recorded, batch, n int, what string) {
	b.Helper()
	began := time.Now()
	for len(events) > 0 {
		next := events[:min(batch, len(events))]
		if err := s.Apply(context.Background(), at, next); err != nil {
			b.Fatalf("apply: %v", err)
		}
		at, events = next[len(next)-1].Position, events[len(next):]
	}
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), what+"/s")
}
