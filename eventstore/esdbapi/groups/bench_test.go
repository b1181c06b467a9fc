package groups_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// BenchmarkGroup is events from the embedded store, through a group, to consumers that acknowledge each by itself.
func BenchmarkGroup(b *testing.B) {
	for _, consumers := range []int{1, 3} {
		b.Run(fmt.Sprint("consumers=", consumers), func(b *testing.B) {
			m := benchManager(b, b.N)
			var done sync.WaitGroup
			b.ResetTimer()
			ctx, cancel := context.WithCancel(b.Context())
			left := make(chan struct{}, b.N)
			for range consumers {
				c, err := m.Connect(ctx, on("a"), groups.ConsumerInfo{Buffer: 100})
				if err != nil {
					b.Fatal(err)
				}
				done.Go(func() {
					for d, err := c.Next(ctx); err == nil; d, err = c.Next(ctx) {
						c.Ack(d.Original().ID)
						left <- struct{}{}
					}
				})
			}
			for range b.N {
				<-left
			}
			b.StopTimer()
			cancel()
			done.Wait()
		})
	}
}

// benchManager is a group over n events.
func benchManager(b *testing.B, n int) *groups.Manager {
	b.Helper()
	store, err := embedded.Open(embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, store, n)
	m, err := groups.New(groups.Config{Store: store, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := m.Create(b.Context(), definition("a", nil)); err != nil {
		b.Fatal(err)
	}
	return m
}

func fill(b *testing.B, store eventstore.Appender, n int) {
	b.Helper()
	const batch = 500
	for at := 0; at < n; at += batch {
		a := eventstore.Append{Stream: "a", Expected: eventstore.Any}
		for i := range min(batch, n-at) {
			id := eventstore.EventID{15: 1}
			copy(id[:], fmt.Sprint("event ", at+i))
			a.Events = append(a.Events, eventstore.Event{ID: id, Type: "happened", Data: make([]byte, 200)})
		}
		if _, err := store.Append(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
