package esdb_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

// BenchmarkAppend stores three events in a new stream through the bare client, through the adapter, and through claims
// over it: by turns, against one server, so that whatever else the machine does hits all of them. It reports appends per
// second of each, and the share of the bare client's that is left. One iteration is one append through each.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) { compare(b, writers) })
	}
}

func compare(b *testing.B, writers int) {
	b.Helper()
	address := served(b)
	store := open(b, esdb.Config{ConnectionString: address})
	claimed, err := claims.New(store, claims.Config{})
	if err != nil {
		b.Fatal(err)
	}
	ways := []func(context.Context, string) error{bare(b, address), through(store), through(claimed)}
	took := make([]time.Duration, len(ways))
	for range 2 {
		for _, way := range ways {
			_, err := write(b.Context(), way, writers, writers) // connections, caches
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	const turn = 500
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		for i := range ways {
			d, err := write(b.Context(), ways[i], writers, min(turn, left))
			if err != nil {
				b.Fatal(err)
			}
			took[i] += d
		}
	}
	rate := func(i int) float64 { return float64(b.N) / took[i].Seconds() }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate(0), "bare/s")
	b.ReportMetric(rate(1), "adapter/s")
	b.ReportMetric(rate(2), "claimed/s")
	b.ReportMetric(rate(1)/rate(0), "adapter/bare")
	b.ReportMetric(rate(2)/rate(0), "claimed/bare")
}

// write makes n appends with so many writers, and says how long that took.
func write(ctx context.Context, way func(context.Context, string) error, writers, n int) (time.Duration, error) {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	for range writers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && failed.Load() == nil {
				if err := way(ctx, uuid.NewString()); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return time.Since(start), nil
}

func bare(b *testing.B, address string) func(context.Context, string) error {
	b.Helper()
	conf, err := sdk.ParseConnectionString(address)
	if err != nil {
		b.Fatal(err)
	}
	conf.Logger = nil
	client, err := sdk.NewClient(conf)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	return func(ctx context.Context, stream string) error {
		events := make([]sdk.EventData, 3)
		for i := range events {
			events[i] = sdk.EventData{
				EventID: uuid.New(), EventType: "Tested", ContentType: sdk.ContentTypeJson, Data: payload(), Metadata: payload(),
			}
		}
		_, err := client.AppendToStream(ctx, stream, sdk.AppendToStreamOptions{ExpectedRevision: sdk.NoStream{}}, events...)
		return err
	}
}

func through(store eventstore.Appender) func(context.Context, string) error {
	return func(ctx context.Context, stream string) error {
		a := batch(stream, eventstore.NoStream, 3)
		for i := range a.Events {
			a.Events[i].Data, a.Events[i].Metadata = payload(), payload()
		}
		_, err := store.Append(ctx, a)
		return err
	}
}

// payload is as long as those of logoutd's events.
func payload() []byte {
	return []byte(`{"session_id":"0190f2c4-5e6a-7d3b-9c1e-2f3a4b5c6d7e","user_id":"user-0123456789","generation":3,"reason":"logout","revoked_by":"user","ip_address":"203.0.113.9"}`)
}
