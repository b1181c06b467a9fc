package esdbapi_test

import (
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// put stores one event, behind the server's back.
func (r *rig) put(t testing.TB, stream, eventType, data string) eventstore.Result {
	t.Helper()
	a := eventstore.Append{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{{ID: newID(), Type: eventType, Data: []byte(data)}}}
	result, err := r.store.Append(within(t), a)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// untilCaughtUp takes what a new subscriber gets up to its first caught_up, that one excluded; the
// confirmation must come first.
func (r *rig) untilCaughtUp(t testing.TB, req *streams.ReadReq) (messages []*streams.ReadResp) {
	t.Helper()
	call := r.follow(t, within(t), req)
	confirmed(t, call)
	for {
		m := received(t, call)
		if m.GetCaughtUp() != nil {
			return messages
		}
		messages = append(messages, m)
	}
}

func confirmed(t testing.TB, call streams.Streams_ReadClient) {
	t.Helper()
	if m := received(t, call); len(m.GetConfirmation().GetSubscriptionId()) != 36 {
		t.Fatalf("first came %v, want a confirmation", m)
	}
}

// interval makes a filter's checkpoints come after window × multiplier events.
func interval(window, multiplier uint32) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) {
		o.GetFilter().Window = &streams.ReadReq_Options_FilterOptions_Max{Max: window}
		o.GetFilter().CheckpointIntervalMultiplier = multiplier
	}
}

// Ensure that a filtered subscriber is told how far the log was looked through, in history as often as by a real
// node, and at its end.
func TestCheckpointsOfHistory(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 384)
	for _, tt := range []struct {
		window, multiplier uint32
		filter             string
		least, most        int
	}{
		{32, 2, "s", 6, 7}, {32, 2, "nobody", 6, 7}, {32, 1, "nobody", 12, 13}, {1000, 1, "s", 1, 1}, {1, 1, "nobody", 12, 13},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			req := readReq("", ofAll, subscribing, filterBy(byStream, prefixes(tt.filter)), interval(tt.window, tt.multiplier))
			var marks []uint64
			for _, m := range r.untilCaughtUp(t, req) {
				c := m.GetCheckpoint()
				if c == nil {
					continue
				}
				if c.GetCommitPosition() != c.GetPreparePosition() || len(marks) > 0 && c.GetCommitPosition() <= marks[len(marks)-1] {
					t.Errorf("checkpoint %v after %v", c, marks)
				}
				marks = append(marks, c.GetCommitPosition())
			}
			if len(marks) < tt.least || len(marks) > tt.most || marks[len(marks)-1] != 384 {
				t.Errorf("checkpoints %v, want %d to %d", marks, tt.least, tt.most)
			}
		})
	}
}

// Ensure that live events count, wanted or not, and the one that completes the interval has the checkpoint.
func TestCheckpointsOfLiveEvents(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "old", 3)
	call := r.follow(t, within(t), readReq("", ofAll, subscribing, fromTheEnd, filterBy(byStream, prefixes("wanted")), interval(2, 2)))
	confirmed(t, call)
	if m := received(t, call); m.GetCaughtUp() == nil { // and no checkpoint: nothing was looked at
		t.Fatalf("got %v, want caught up", m)
	}
	for i := range 8 { // positions 4 to 11
		r.put(t, []string{"wanted", "not"}[i%2], "T", "{}")
	}
	want := "event 4, event 6, checkpoint 7, event 8, event 10, checkpoint 11"
	got := ""
	for range 6 {
		m := received(t, call)
		if m.GetCaughtUp() != nil {
			continue
		}
		if got != "" {
			got += ", "
		}
		if c := m.GetCheckpoint(); c != nil {
			got += fmt.Sprint("checkpoint ", c.GetCommitPosition())
		} else {
			got += fmt.Sprint("event ", m.GetEvent().GetCommitPosition())
		}
	}
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Ensure that a subscription without a filter has no checkpoints.
func TestNoCheckpointsWithoutAFilter(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 100)
	for i, m := range r.untilCaughtUp(t, readReq("", ofAll, subscribing)) {
		if m.GetEvent().GetCommitPosition() != uint64(i+1) {
			t.Fatalf("message %d is %v", i, m)
		}
	}
}
