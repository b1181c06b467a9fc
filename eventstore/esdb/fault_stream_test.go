package esdb_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

// The faults G9 to G15 of the client, which concern what it reads.

// followed reads a subscription of one stream up to a revision, and demands every revision once.
func followed(t *testing.T, store *esdb.Store, after eventstore.Position, from, to uint64) {
	t.Helper()
	want := from
	for r, err := range store.Subscribe(patience(t), after) {
		if err != nil || r.Revision != want {
			t.Errorf("the subscription yields revision %d where %d is next, %v", r.Revision, want, err)
			return
		}
		if want++; r.Revision == to {
			return
		}
	}
	t.Errorf("the subscription ends at revision %d", want)
}

func TestG09ADroppedSubscription(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 50))
	var drops atomic.Int64
	s.set(faults{frame: func(n int, subscription bool, _ readServer) error {
		if subscription && n == 7 && drops.Add(1) < 6 {
			return status.Error([]codes.Code{codes.Canceled, codes.Unavailable, codes.Internal}[drops.Load()%3], "dropped")
		}
		return nil
	}})
	followed(t, store, 0, 0, 49)
	if n := store.Stats().Resubscriptions; n < 5 {
		t.Errorf("%d resubscriptions after 5 drops", n)
	}
}

// A subscription waits for its server, however long, and loses nothing.
func TestG09ASubscriptionOutlivesItsServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	told := newNotes()
	cfg := config(s)
	cfg.Notify = told.add
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 3))
	var wg sync.WaitGroup
	wg.Go(func() { followed(t, store, 0, 0, 5) })
	s.stop()
	if err := <-told; err == nil {
		t.Error("the loss of the server was told as its return")
	}
	s.start()
	if err := <-told; err != nil {
		t.Errorf("the return of the server was told as %v", err)
	}
	must(t, store, batch("s", eventstore.AtRevision(2), 3))
	wg.Wait()
}

// A frame that the client does not know makes it panic in a read.
func TestG10AFrameThatNobodyKnows(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 20))
	unknown := &streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: 7}}
	var sent atomic.Int64
	s.set(faults{frame: func(n int, _ bool, stream readServer) error {
		if n == 5 && sent.Add(1) < 3 {
			return errors.Join(stream.Send(unknown), stream.Send(&streams.ReadResp{}))
		}
		return nil
	}})
	want := uint64(0)
	for r, err := range store.ReadStream(patience(t), "s", 0, eventstore.Forward) {
		if err != nil || r.Revision != want {
			t.Fatalf("the read yields revision %d where %d is next, %v", r.Revision, want, err)
		}
		want++
	}
	if want != 20 {
		t.Errorf("%d of 20 events were read", want)
	}
	sent.Store(0)
	followed(t, store, 0, 0, 19)
	if l, err := store.Load(t.Context(), "s"); err != nil || len(l.Events) != 20 {
		t.Errorf("a load has %d events, %v", len(l.Events), err)
	}
	s.set(faults{frame: func(_ int, _ bool, stream readServer) error { return stream.Send(unknown) }})
	if _, err := store.Load(t.Context(), "s"); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("a load of frames that nobody knows answers %v", err)
	}
}

// A read that is interrupted is not taken up again by the client.
func TestG11AReadThatIsInterrupted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := config(s)
	cfg.RetryMin, cfg.RetryMax = 20*time.Millisecond, time.Second // a busy machine takes its time to connect again
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 40))
	var drops atomic.Int64
	s.set(faults{frame: func(n int, _ bool, _ readServer) error {
		if n != 9 {
			return nil
		}
		switch k := drops.Add(1); {
		case k == 1:
			return status.Error(codes.Unavailable, "going away")
		case k%2 == 1:
			return status.Error(codes.Internal, "interrupted")
		default:
			return nil
		}
	}})
	for _, dir := range []eventstore.Direction{eventstore.Forward, eventstore.Backward} {
		for name, seq := range map[string]func(func(eventstore.Recorded, error) bool){
			"stream": store.ReadStream(patience(t), "s", uint64(dir)*eventstore.End, dir),
			"log":    store.ReadAll(patience(t), eventstore.Position(uint64(dir)*eventstore.End), dir),
		} {
			seen := map[uint64]int{}
			for r, err := range seq {
				if err != nil {
					t.Fatalf("%s, direction %d: %v, after %d events", name, dir, err, len(seen))
				}
				seen[r.Revision]++
			}
			for revision := range uint64(40) {
				if seen[revision] != 1 {
					t.Errorf("%s, direction %d: revision %d is read %d times", name, dir, revision, seen[revision])
				}
			}
		}
	}
	if store.Stats().Rereads == 0 {
		t.Error("no read was interrupted")
	}
}

// An event without an id gets a random one from the client, a new one each time: a repetition would be stored twice.
func TestG12ARepetitionIsNotStoredTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	for i := range 10 {
		var lost atomic.Bool
		s.set(faults{lose: func(context.Context) error {
			if lost.CompareAndSwap(false, true) {
				return status.Error(codes.Unknown, "the answer is lost")
			}
			return nil
		}})
		a := batch("s", eventstore.Expected(3*i-1), 3)
		first := must(t, store, a)
		if again := must(t, store, a); again != first {
			t.Errorf("a repetition answers %+v, the first %+v", again, first)
		}
	}
	if n := s.count("s"); n != 30 {
		t.Errorf("%d events are stored, want 30", n)
	}
	a := batch("s", eventstore.AtRevision(29), 2)
	a.Events[1].ID = eventstore.EventID{}
	if _, err := store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("an event without an id is answered with %v", err)
	}
}

func TestG13ACheckpointAheadOfAnEvent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 20))
	log, _ := s.snapshot()
	ahead := checkpoint(log[len(log)-1].CommitPosition)
	var drops atomic.Int64
	s.set(faults{frame: func(n int, subscription bool, stream readServer) error {
		if !subscription || n != 5 || drops.Add(1) > 2 {
			return nil
		}
		if err := stream.Send(ahead); err != nil {
			return err
		}
		return status.Error(codes.Aborted, "dropped right after a checkpoint")
	}})
	followed(t, store, 0, 0, 19)
}

// A subscription that says nothing any more, on a connection that answers pings.
func TestG14ASilentSubscription(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := config(s)
	cfg.IdleTimeout = 20 * time.Millisecond
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 20))
	var stalls atomic.Int64
	s.set(faults{frame: func(n int, subscription bool, stream readServer) error {
		if subscription && n == 5 && stalls.Add(1) < 3 {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		return nil
	}})
	followed(t, store, 0, 0, 19)
	if n := store.Stats().Resubscriptions; n < 2 {
		t.Errorf("%d resubscriptions after 2 silences", n)
	}
}

// Nor is one ever told that it was not even confirmed.
func TestG14ASubscriptionThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := config(s)
	cfg.CallTimeout = 200 * time.Millisecond
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 3))
	var stalls atomic.Int64
	s.set(faults{read: func(req *readReq, stream readServer) (bool, error) {
		if req.Options.GetSubscription() == nil || stalls.Add(1) > 2 {
			return false, nil
		}
		<-stream.Context().Done()
		return true, stream.Context().Err()
	}})
	followed(t, store, 0, 0, 2)
}

// A link whose target is gone has no event, an empty frame has nothing.
func TestG15EventsThatAreNil(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 10))
	var sent atomic.Int64
	s.set(faults{frame: func(n int, _ bool, stream readServer) error {
		if n == 4 && sent.Add(1) < 3 {
			return stream.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{}}})
		}
		return nil
	}})
	followed(t, store, 0, 0, 9)
	sent.Store(0)
	if l, err := store.Load(t.Context(), "s"); err != nil || len(l.Events) != 10 {
		t.Errorf("a load has %d events, %v", len(l.Events), err)
	}
	link := func(e event) *streams.ReadResp {
		return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{Link: e}}}
	}
	s.set(faults{read: func(req *readReq, stream readServer) (bool, error) {
		s.database.mu.Lock()
		defer s.database.mu.Unlock()
		return true, stream.Send(link(s.streams["s"][9]))
	}})
	for r, err := range store.ReadStream(t.Context(), "s", 9, eventstore.Forward) {
		if err != nil || r.Revision != 9 || r.Stream != "s" {
			t.Errorf("a link without its target reads as %+v, %v", r, err)
		}
	}
}

func TestASubscriptionRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 10))
	log, _ := s.snapshot()
	s.set(faults{frame: func(n int, _ bool, stream readServer) error {
		if n == 0 {
			return nil
		}
		return stream.Send(frameOf(log[2])) // the first of ours, again and again
	}})
	followed(t, store, 0, 0, 9)
}
