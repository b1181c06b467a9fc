package embedded_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
						a.Stream = fmt.Sprintf("refreshToken-%036d", n)
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
