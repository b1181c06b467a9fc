package esdbapi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// Ensure that subscribers of every kind, who come at any moment while others append, get each event once and in
// order, with a cache so small that they fall behind it all the time.
func TestSubscribersMissAndRepeatNothing(t *testing.T) {
	t.Parallel()
	const appends, subscribers, streamCount = 100, 12, 4
	r := serve(t, func(c *esdbapi.Config) { c.CacheBytes = 4 << 10 })
	ctx := within(t)
	var all sync.WaitGroup
	defer all.Wait()
	for w := range streamCount {
		all.Go(func() {
			for i := range appends {
				a := eventstore.Append{Stream: fmt.Sprint("s-", w), Expected: eventstore.Any}
				for range i%3 + 1 {
					a.Events = append(a.Events, eventstore.Event{ID: newID(), Type: "T", Data: make([]byte, 300)})
				}
				if _, err := r.store.Append(ctx, a); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const perStream = appends/3*6 + 1 // 1, 2, 3, 1, …: 100 = 33 × 3 + 1
	for n := range subscribers {
		all.Go(func() {
			wait := eventstore.Position(rand.IntN(perStream * streamCount)) //nolint:gosec // no secret
			for _, err := range r.store.Subscribe(ctx, 0) {
				if err != nil {
					t.Error(err)
					return
				}
				if wait--; wait == 0 || wait > perStream*streamCount {
					break
				}
			}
			switch n % 4 {
			case 0:
				followAll(t, ctx, r, perStream*streamCount)
			case 1:
				followAll(t, ctx, r, perStream*streamCount, filterBy(byStream, prefixes("s-1", "s-2")))
			default:
				followStream(t, ctx, r, fmt.Sprint("s-", n%streamCount), perStream)
			}
		})
	}
}

// followAll takes everything and demands that the revisions of every stream rise by one, up to the last position.
func followAll(t *testing.T, ctx context.Context, r *rig, last uint64, filter ...func(*streams.ReadReq_Options)) {
	call := r.follow(t, ctx, readReq("", append(options{ofAll, subscribing}, filter...)...))
	next, mark := map[string]uint64{}, uint64(0)
	for at := uint64(0); at < last; {
		m, err := call.Recv()
		if err != nil {
			t.Error(err)
			return
		}
		if c := m.GetCheckpoint().GetCommitPosition(); c > 0 {
			if c <= mark || c < at {
				t.Errorf("checkpoint %d after %d, at %d", c, mark, at)
			}
			at, mark = c, c
		}
		e := m.GetEvent().GetEvent()
		if e == nil {
			continue
		}
		stream := string(e.GetStreamIdentifier().GetStreamName())
		if e.GetCommitPosition() <= at || e.GetStreamRevision() != next[stream] {
			t.Errorf("%s@%d at %d after %d, want revision %d", stream, e.GetStreamRevision(), e.GetCommitPosition(), at, next[stream])
			return
		}
		at = e.GetCommitPosition()
		next[stream]++
		if len(filter) > 0 && next["s-1"]+next["s-2"] == last/2 {
			return
		}
	}
}

func followStream(t *testing.T, ctx context.Context, r *rig, stream string, events uint64) {
	call := r.follow(t, ctx, readReq(stream, subscribing))
	for want := uint64(0); want < events; {
		m, err := call.Recv()
		if err != nil {
			t.Error(err)
			return
		}
		e := m.GetEvent().GetEvent()
		if e == nil {
			continue
		}
		if e.GetStreamRevision() != want {
			t.Errorf("%s@%d, want %d", stream, e.GetStreamRevision(), want)
			return
		}
		want++
	}
}
