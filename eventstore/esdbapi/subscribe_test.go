package esdbapi_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// subscribed is a raw subscription; the confirmation was received.
func subscribed(t testing.TB, ctx context.Context, r *rig, change func(*streams.ReadReq_Options)) streams.Streams_ReadClient {
	t.Helper()
	c, err := streams.NewStreamsClient(r.dial(t)).Read(ctx, follow(change))
	if err != nil {
		t.Fatal(err)
	}
	if m := received(t, c); len(m.GetConfirmation().GetSubscriptionId()) != 36 {
		t.Fatalf("got %v, want a confirmation", m)
	}
	return c
}

func received(t testing.TB, c streams.Streams_ReadClient) *streams.ReadResp {
	t.Helper()
	m, err := c.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func fromTheStart(o *streams.ReadReq_Options) {
	o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
}

// positions takes n events and fails at anything but them and caught_up, which it counts.
func positions(t testing.TB, c streams.Streams_ReadClient, n int) (got []uint64, caughtUp int) {
	t.Helper()
	for len(got) < n {
		m := received(t, c)
		switch {
		case m.GetEvent() != nil:
			got = append(got, m.GetEvent().GetEvent().GetCommitPosition())
		case m.GetCaughtUp() != nil:
			caughtUp++
		default:
			t.Fatalf("got %v", m)
		}
	}
	return got, caughtUp
}

func checkConsecutive(t testing.TB, got []uint64, first uint64) {
	t.Helper()
	for i, p := range got {
		if p != first+uint64(i) {
			t.Fatalf("event %d is at %d, want %d", i, p, first+uint64(i))
		}
	}
}

func TestWhereASubscriptionStarts(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 10)
	ctx := within(t)
	at := func(p uint64) func(*streams.ReadReq_Options) {
		return func(o *streams.ReadReq_Options) {
			o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: p, PreparePosition: p}}
		}
	}
	revision := func(n uint64) func(*streams.ReadReq_Options) {
		return func(o *streams.ReadReq_Options) {
			subscription := o.CountOption
			ofStream("s")(o)
			o.CountOption = subscription
			o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: n}
		}
	}
	tests := []struct {
		name     string
		change   func(*streams.ReadReq_Options)
		history  int
		position uint64 // of the first event
	}{
		{"start", fromTheStart, 10, 1},
		{"end", nil, 0, 11},
		{"position 0", at(0), 10, 1},
		{"after a position", at(4), 6, 5},
		{"the last position", at(10), 0, 11},
		{"past the end", at(12), 0, 13},
		{"the highest position", at(math.MaxUint64), 0, 11},
		{"after a revision", revision(3), 6, 5},
		{"a revision past the end", revision(11), 0, 13},
		{"the end of a stream", revision(math.MaxUint64), 0, 11},
	}
	var subs []streams.Streams_ReadClient
	for _, tt := range tests {
		c := subscribed(t, ctx, r, tt.change)
		got, _ := positions(t, c, tt.history)
		checkConsecutive(t, got, tt.position)
		if m := received(t, c); m.GetCaughtUp() == nil {
			t.Errorf("%s: got %v, want caught_up", tt.name, m)
		}
		subs = append(subs, c)
	}
	r.seed(t, "s", 5)
	for i, tt := range tests {
		got, again := positions(t, subs[i], 15-int(max(tt.position, 11))+1)
		if checkConsecutive(t, got, max(tt.position, 11)); again != 0 {
			t.Errorf("%s: caught up again", tt.name)
		}
	}
}

func TestASubscriptionToAStreamThatIsNotThereWaits(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	sub, err := c.SubscribeToStream(ctx, "later", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if e := sub.Recv(); e.CaughtUp == nil {
		t.Fatalf("got %+v", e)
	}
	r.seed(t, "other", 5)
	r.seed(t, "later", 1)
	if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.StreamID != "later" {
		t.Fatalf("got %+v", e)
	}
}

func TestAFilteredSubscriptionTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for i := range 384 {
		r.seed(t, fmt.Sprintf("s-%d", i%2), 1)
	}
	change := func(o *streams.ReadReq_Options) {
		fromTheStart(o)
		o.FilterOption = filtered(&streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"s-1"}})
		o.GetFilter().CheckpointIntervalMultiplier = 2
	}
	c := subscribed(t, within(t), r, change)
	events, checkpoints, last := 0, 0, uint64(0)
	for m := received(t, c); m.GetCaughtUp() == nil; m = received(t, c) {
		if m.GetEvent() != nil {
			events++
			continue
		}
		p := m.GetCheckpoint().GetCommitPosition()
		if p <= last {
			t.Errorf("checkpoint %d after %d", p, last)
		}
		checkpoints, last = checkpoints+1, p
	}
	if events != 192 || checkpoints < 6 || checkpoints > 7 || last != 384 {
		t.Errorf("%d events, %d checkpoints, the last at %d", events, checkpoints, last)
	}
	r.seed(t, "unwanted", 64) // live, every event counts
	if m := received(t, c); m.GetCheckpoint().GetCommitPosition() != 384+64 {
		t.Errorf("got %v", m)
	}
	end := subscribed(t, within(t), r, func(o *streams.ReadReq_Options) {
		change(o)
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	})
	if m := received(t, end); m.GetCaughtUp() == nil {
		t.Errorf("from the end: got %v", m)
	}
}

// Stalled subscribers hold nothing up, and have missed nothing when they read again; whoever falls behind what
// is kept in memory reads the store.
func TestASubscriberThatStopsReadingMissesNothing(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.CacheBytes = 64 << 10 })
	ctx := within(t)
	const n = 2000
	var stalled []streams.Streams_ReadClient
	for i := range 10 {
		change := fromTheStart
		if i%2 == 1 {
			change = func(o *streams.ReadReq_Options) {
				fromTheStart(o)
				o.GetUuidOption().Content = &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}
			}
		}
		c := subscribed(t, ctx, r, change)
		if m := received(t, c); m.GetCaughtUp() == nil {
			t.Fatalf("got %v", m)
		}
		stalled = append(stalled, c)
	}
	ofOne := subscribed(t, ctx, r, func(o *streams.ReadReq_Options) {
		subscription := o.CountOption
		ofStream("s")(o)
		o.CountOption = subscription
	})
	r.seed(t, "s", n)
	var readers sync.WaitGroup
	for _, c := range append(stalled, ofOne) {
		readers.Go(func() {
			var again int
			for want := uint64(1); want <= n; {
				m, err := c.Recv()
				if err != nil {
					t.Error(err)
					return
				}
				if m.GetCaughtUp() != nil {
					again++
					continue
				}
				if got := m.GetEvent().GetEvent().GetCommitPosition(); got != want {
					t.Errorf("got %d, want %d", got, want)
					return
				}
				want++
			}
			if m, err := c.Recv(); again == 0 && (err != nil || m.GetCaughtUp() == nil) {
				t.Errorf("who had fallen behind got %v, %v; want caught_up again", m, err)
			}
		})
	}
	readers.Wait()
}

func TestShutdownEndsEverything(t *testing.T) {
	t.Parallel()
	r := serve(t)
	ctx := within(t)
	sub := subscribed(t, ctx, r, nil)
	ofOne := subscribed(t, ctx, r, func(o *streams.ReadReq_Options) {
		subscription := o.CountOption
		ofStream("s")(o)
		o.CountOption = subscription
	})
	_ = subscribed(t, ctx, r, fromTheStart) // reads no more
	batch := r.batch(t, ctx)
	if err := batch.Send(batchOf("s", 1)); err != nil {
		t.Fatal(err)
	}
	if a, err := batch.Recv(); err != nil || a.GetSuccess() == nil {
		t.Fatalf("%v, %v", a, err)
	}
	half, err := streams.NewStreamsClient(r.dial(t)).Append(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := half.Send(appendTo("half")); err != nil {
		t.Fatal(err)
	}
	r.stop()
	for name, recv := range map[string]func() error{
		"subscription":   func() error { return drained(sub) },
		"of a stream":    func() error { return drained(ofOne) },
		"batches":        func() error { _, err := batch.Recv(); return err },
		"half an append": func() error { return half.RecvMsg(&streams.AppendResp{}) },
	} {
		if err := recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func drained(c streams.Streams_ReadClient) error {
	for {
		if _, err := c.Recv(); err != nil {
			return err
		}
	}
}
