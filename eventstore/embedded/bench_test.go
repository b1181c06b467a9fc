package embedded_test

import (
	"fmt"
	mrand "math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// logout is the append of one logout: three events, about 1.2 KB with their metadata.
func logout(stream string) eventstore.Append {
	data := []byte(strings.Repeat("d", 190))
	meta := []byte(strings.Repeat("m", 420))
	a := eventstore.Append{Stream: stream, Expected: eventstore.Any, Snapshot: []byte(strings.Repeat("s", 150))}
	for _, typ := range []string{"UserLogoutAttempted", "TokenRevoked", "UserLogoutSucceeded"} {
		a.Events = append(a.Events, eventstore.Event{ID: newID(), Type: typ, Data: data, Metadata: meta})
	}
	return a
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := mustOpen(b, embedded.Config{Dir: b.TempDir()})
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					a := logout("refreshToken-0190e2d5-0000-7000-8000-000000000000")
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						a.Stream = tokenStream(n)
						for i := range a.Events {
							a.Events[i].ID = newID()
						}
						if _, err := s.Append(b.Context(), a); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			st := s.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(st.Appends)/float64(max(st.Groups, 1)), "appends/group")
		})
	}
}

// filled is a store with n live streams, one logout each, and the time that reopening it takes.
func filled(b *testing.B, n int) *embedded.Store {
	b.Helper()
	dir := b.TempDir()
	s, err := embedded.Open(embedded.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 128 {
		wg.Go(func() {
			for {
				k := next.Add(1)
				if k > int64(n) {
					return
				}
				a := logout(tokenStream(k))
				a.Events = a.Events[:1]
				if _, err := s.Append(b.Context(), a); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	s = mustOpen(b, embedded.Config{Dir: dir})
	b.Logf("%d streams open in %s, resident %d MiB", n, time.Since(start).Round(time.Millisecond), resident())
	return s
}

func tokenStream(k int64) string { return fmt.Sprintf("refreshToken-%036d", k) }

// resident is the memory of this process that is in use, in MiB, where the kernel tells.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	var total, pages int
	if _, scan := fmt.Sscan(string(text), &total, &pages); err != nil || scan != nil {
		return 0
	}
	return pages * os.Getpagesize() >> 20
}

// BenchmarkLoad loads streams at random. Its cost must be of the same order however many there are.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("streams=%d", n), func(b *testing.B) {
			s := filled(b, n)
			rng := mrand.New(mrand.NewPCG(1, 2)) //nolint:gosec // a benchmark
			load := func() {
				l, err := s.Load(b.Context(), tokenStream(1+rng.Int64N(int64(n))))
				if err != nil || l.Revision != 0 || l.Snapshot == nil {
					b.Fatalf("%+v, %v", l, err)
				}
			}
			for range n { // warm
				load()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				load()
			}
			b.StopTimer()
			b.ReportMetric(float64(resident()), "MiB")
		})
	}
}

// BenchmarkLogOut does what a command does to the store: it loads one of a million streams and appends to it.
func BenchmarkLogOut(b *testing.B) {
	const streams, writers = 1_000_000, 256
	s := filled(b, streams)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for k := next.Add(1); k <= int64(b.N); k = next.Add(1) {
				const step = 7_368_787 // a prime: every stream once, in no order
				a := logout(tokenStream(1 + k*step%streams))
				l, err := s.Load(b.Context(), a.Stream)
				if a.Expected = l.Revision; err == nil {
					_, err = s.Append(b.Context(), a)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logouts/s")
	b.ReportMetric(float64(resident()), "MiB")
}

// BenchmarkSubscribe reads history, then follows 64 writers.
func BenchmarkSubscribe(b *testing.B) {
	b.Run("history", func(b *testing.B) {
		s := filled(b, 200_000)
		b.ReportAllocs()
		b.ResetTimer()
		for n := 0; n < b.N; {
			for _, err := range s.Subscribe(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
				if n++; n%200_000 == 0 || n == b.N {
					break
				}
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for _, subscribers := range []int{0, 1, 4} {
		b.Run(fmt.Sprintf("tail/subscribers=%d", subscribers), func(b *testing.B) { tail(b, subscribers) })
	}
}

// tail measures appends of three events, with subscribers that must see all of them.
func tail(b *testing.B, subscribers int) {
	s := mustOpen(b, embedded.Config{Dir: b.TempDir()})
	var following, writing sync.WaitGroup
	for range subscribers {
		following.Go(func() {
			want := eventstore.Position(3 * b.N) //nolint:gosec // not negative
			for e, err := range s.Subscribe(b.Context(), 0) {
				if err != nil {
					b.Error(err)
				}
				if err != nil || e.Position == want {
					return
				}
			}
		})
	}
	var next atomic.Int64
	b.ResetTimer()
	for range 64 {
		writing.Go(func() {
			for k := next.Add(1); k <= int64(b.N); k = next.Add(1) {
				if _, err := s.Append(b.Context(), logout(tokenStream(k))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	following.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
