package esdbapi_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// BenchmarkAppendsBesideSubscribers appends three events at a time, from 8 writers, through the official client, first
// alone and then beside 100 subscribers to everything, 10 of which never read. The metric ratio is the second rate
// by the first, the median of the rounds; delivered/s is what the subscribers get meanwhile. Writers, server and
// subscribers share the machine.
//
//	go test -run '^$' -bench AppendsBesideSubscribers -benchtime 5x ./eventstore/esdbapi
func BenchmarkAppendsBesideSubscribers(b *testing.B) {
	const subscribers, stalled, window = 100, 10, 2 * time.Second
	r := serve(b)
	writer := r.client(b)
	appendFor(b, writer, window/2) // whatever is made at first use
	var alone, beside, ratios, delivered []float64
	for b.Loop() {
		before := appendFor(b, writer, window)
		count, leave := subscribeMany(b, r, subscribers, stalled)
		start := time.Now()
		with := appendFor(b, writer, window)
		delivered = append(delivered, float64(count.Load())/time.Since(start).Seconds())
		leave()
		alone, beside, ratios = append(alone, before), append(beside, with), append(ratios, with/before)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(alone), "alone/s")
	b.ReportMetric(median(beside), "beside/s")
	b.ReportMetric(median(delivered), "delivered/s")
	b.ReportMetric(median(ratios), "ratio")
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// appendFor answers how many appends a second were stored.
func appendFor(b *testing.B, c *esdb.Client, d time.Duration) float64 {
	b.Helper()
	const writers = 8
	var stored atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range writers {
		all.Go(func() {
			for time.Since(start) < d {
				_, err := c.AppendToStream(context.Background(), "refreshToken-"+uuid.NewString(),
					esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
					event("UserLogoutAttempted", `{"user_id":"alice"}`), event("TokenRevoked", `{"user_id":"alice","reason":"logout"}`),
					event("UserLogoutSucceeded", `{"user_id":"alice"}`))
				if err != nil {
					b.Error(err)
					return
				}
				stored.Add(1)
			}
		})
	}
	all.Wait()
	return float64(stored.Load()) / time.Since(start).Seconds()
}

// subscribeMany follows everything from now on, over several connections.
func subscribeMany(b *testing.B, r *rig, n, stalled int) (count *atomic.Int64, leave func()) {
	b.Helper()
	const connections = 5
	ctx, cancel := context.WithCancel(context.Background())
	count = new(atomic.Int64)
	var clients []*esdb.Client
	for range connections {
		clients = append(clients, r.client(b))
	}
	var reading sync.WaitGroup
	for i := range n {
		sub, err := clients[i%connections].SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.End{}})
		if err != nil {
			b.Fatal(err)
		}
		if i < stalled {
			continue
		}
		reading.Go(func() {
			for e := sub.Recv(); e.SubscriptionDropped == nil; e = sub.Recv() {
				if e.EventAppeared != nil {
					count.Add(1)
				}
			}
		})
	}
	return count, func() { cancel(); reading.Wait() }
}
