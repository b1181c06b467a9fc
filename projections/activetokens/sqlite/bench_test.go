package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// BenchmarkApply measures what following costs, decoding included: sessions issued, and logouts
// of three events each, in the order of issue and in random order. Each result is per second
// of CPU, all of the process counted, and per second of the clock.
//
//	go test -run '^$' -bench Apply -benchtime 1x ./projections/activetokens/sqlite
func BenchmarkApply(b *testing.B) {
	const sessions = 200_000
	for _, order := range []string{"in order", "at random"} {
		issues, logouts := benchEvents(b, sessions, order == "at random")
		for _, batch := range []int{600, 4096} {
			b.Run(fmt.Sprintf("%s/batch %d", order, batch), func(b *testing.B) {
				for range b.N {
					s := open(b, filepath.Join(b.TempDir(), "bench.db"))
					at, err := s.Acquire(context.Background())
					if err != nil {
						b.Fatalf("acquire: %v", err)
					}
					applyAll(b, s, at.Position, issues, batch, sessions, "issues")
					applyAll(b, s, sessions, logouts, batch, sessions, "logouts")
					if err := s.Close(); err != nil {
						b.Fatalf("close: %v", err)
					}
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

func applyAll(b *testing.B, s *sqlite.Store, at eventstore.Position, events []eventstore.Recorded, batch, n int, what string) {
	b.Helper()
	began, cpu := time.Now(), cpuTime(b)
	for len(events) > 0 {
		next := events[:min(batch, len(events))]
		if err := s.Apply(context.Background(), at, next); err != nil {
			b.Fatalf("apply: %v", err)
		}
		at, events = next[len(next)-1].Position, events[len(next):]
	}
	b.ReportMetric(float64(n)/(cpuTime(b)-cpu).Seconds(), what+"/cpu-s")
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), what+"/s")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatalf("getrusage: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
