package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	gossip "github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"

	"github.com/logoutd/logoutd/eventstore"
)

// The faults G1 to G8 of the client that concern its connection. Each test provokes one.

func TestG01OneFailedDiscovery(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	told := newNotes()
	cfg := config(s)
	cfg.Notify = told.add
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 1))
	s.stop()
	eventually(t, "an outage", func() error {
		if _, err := store.Load(patience(t), "s"); !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("without a server a load answers %v", err)
		}
		if n := store.Stats().Failures; n < 12 { // more than the attempts after which a client is dead
			return fmt.Errorf("the server was looked for %d times", n)
		}
		return nil
	})
	if !store.Stats().Down {
		t.Error("the server is away, and not told to be")
	}
	if err := <-told; err == nil {
		t.Error("the loss of the server was told as its return")
	}
	s.start()
	if err := <-told; err != nil {
		t.Errorf("the return of the server was told as %v", err)
	}
	must(t, store, batch("s", eventstore.AtRevision(0), 1))
	if n := store.Stats().Connects; n < 2 {
		t.Errorf("%d connections after a loss", n)
	}
}

func TestG02CallsThatIgnoreTheirContext(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.set(faults{features: func(ctx context.Context) error { // a server that takes connections and says nothing
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}})
	store := open(t, config(s))
	cause := errors.New("the caller has gone")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			stop := time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
			defer stop.Stop()
			_, err := store.Append(ctx, batch("s", eventstore.NoStream, 1))
			// Once the search has failed it is ErrUnavailable at once; the cause before.
			if !errors.Is(err, cause) && !errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrOutcomeUnknown) {
				t.Errorf("an append that never left answers %v", err)
			}
		})
	}
	wg.Wait()
	if n := s.count("s"); n != 0 {
		t.Errorf("%d events of appends that never left are stored", n)
	}
	s.set(faults{})
	eventually(t, "an append after the server has woken up", func() error {
		_, err := store.Append(t.Context(), batch("s", eventstore.NoStream, 1))
		return err
	})
}

// While a client changes to a leader that does not answer, it answers nobody.
func TestG02NobodyWaitsForAClientThatIsBusy(t *testing.T) {
	t.Parallel()
	db := newDatabase()
	s, leader := newServer(t), newServer(t)
	s.database, leader.database = db, db
	asked, release := make(chan struct{}), make(chan struct{})
	leader.set(faults{features: func(context.Context) error {
		close(asked)
		<-release
		return nil
	}})
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 1))
	s.set(faults{refuse: func(ctx context.Context) error { return notLeader(ctx, leader) }})
	cause := errors.New("the caller has gone")
	var wg sync.WaitGroup
	try := func(ctx context.Context, cancel context.CancelCauseFunc, stream string) {
		wg.Go(func() {
			_, err := store.Append(ctx, batch(stream, eventstore.NoStream, 1))
			if !errors.Is(err, cause) {
				t.Errorf("an append during the change answers %v", err)
			}
			cancel(nil)
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	try(ctx, cancel, "first")
	<-asked
	for i := range 8 {
		try(ctx, cancel, fmt.Sprint("later", i))
	}
	eventually(t, "calls that wait", func() error {
		if n := store.Stats().Calls; n < 1 {
			return fmt.Errorf("%d calls are under way", n)
		}
		return nil
	})
	cancel(cause)
	wg.Wait()
	close(release)
	must(t, store, batch("s", eventstore.AtRevision(0), 1))
	for i := range 8 {
		if n := s.count(fmt.Sprint("later", i)); n != 0 {
			t.Errorf("an append that never left is stored")
		}
	}
}

func TestG03UnavailableLeaksConnections(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 1))
	var answered atomic.Int64
	s.set(faults{refuse: func(context.Context) error {
		answered.Add(1)
		return status.Error(codes.Unavailable, "server is not ready")
	}})
	for answered.Load() < 300 {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				if _, err := store.Append(ctx, batch("s", eventstore.AtRevision(0), 1)); err == nil {
					t.Error("an append that was refused is stored")
				}
			})
		}
		wg.Wait()
	}
	s.set(faults{})
	eventually(t, "connections after so many times Unavailable", func() error {
		if _, err := store.Load(t.Context(), "s"); err != nil {
			return err
		}
		if n := s.conns.Load(); n != 1 {
			return fmt.Errorf("%d connections are open", n)
		}
		return nil
	})
	if opened, answered := s.opened.Load(), answered.Load(); opened > answered {
		t.Errorf("%d connections for %d answers", opened, answered)
	}
}

func TestG04TheLeaderIsNeverAskedFor(t *testing.T) {
	t.Parallel()
	leader, follower := newServer(t), newServer(t)
	members := []*gossip.MemberInfo{follower.member(gossip.MemberInfo_Follower), leader.member(gossip.MemberInfo_Leader)}
	leader.members.Store(&members)
	follower.members.Store(&members)
	cfg := config(leader)
	cfg.ConnectionString = "esdb://" + follower.addr + "," + leader.addr + "?tls=false"
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 1))
	if leader.count("s") != 1 {
		t.Error("the append went to a follower")
	}
	if !leader.saw("requires-leader: true") {
		t.Error("no call asks for the leader")
	}

	cfg.ConnectionString += "&nodePreference=follower"
	must(t, open(t, cfg), batch("f", eventstore.NoStream, 1))
	if follower.count("f") != 1 || follower.saw("requires-leader: true") {
		t.Error("with a follower preferred the leader is asked for")
	}
}

func TestG05AnErrorBeforeTheEndOfAnAppend(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 1))
	var refusals atomic.Int64
	s.set(faults{begin: func() error { // while the client still sends: it sees EOF, and no reason
		if refusals.Add(1)%2 == 1 {
			return status.Error(codes.Internal, "broken")
		}
		return nil
	}})
	for i := range 20 {
		must(t, store, batch("s", eventstore.AtRevision(uint64(i*10)), 10)) //nolint:gosec // small
	}
	if n := s.count("s"); n != 201 {
		t.Errorf("%d events are stored, want 201", n)
	}
	s.set(faults{begin: func() error { return status.Error(codes.PermissionDenied, "no") }})
	cfg := config(s)
	cfg.ResolveTimeout = 50 * time.Millisecond
	_, err := open(t, cfg).Append(t.Context(), batch("s", eventstore.AtRevision(200), 50))
	if !errors.Is(err, eventstore.ErrOutcomeUnknown) && !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("an append that is denied answers %v", err)
	}
	if n := s.count("s"); n != 201 {
		t.Errorf("%d events are stored, want 201", n)
	}
}

func TestG07AConflictNamesTheRevision(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 3))
	for expected, actual := range map[eventstore.Expected]eventstore.Expected{eventstore.NoStream: 2, 0: 2, 1: 2, 3: 2, 99: 2} {
		_, err := store.Append(t.Context(), batch("s", expected, 2))
		var conflict *eventstore.ConflictError
		if !errors.As(err, &conflict) || conflict.Expected != expected || conflict.Actual != actual || conflict.Stream != "s" {
			t.Errorf("expecting %s: %v", expected, err)
		}
	}
}

// notLeader answers as a follower does that knows its leader.
func notLeader(ctx context.Context, leader *server) error {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("exception", "not-leader",
		"leader-endpoint-host", "127.0.0.1", "leader-endpoint-port", fmt.Sprint(leader.port())))
	return status.Error(codes.NotFound, "Leader info available")
}

func TestG08NotLeaderEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	db := newDatabase()
	follower := newServer(t)
	follower.database = db
	leader := startServer(t, db, follower.creds)
	store := open(t, config(follower))
	must(t, store, batch("s", eventstore.NoStream, 100))
	ctx := patience(t)

	// A read and a subscription are in the middle when the client changes to the leader.
	next := make(chan eventstore.Recorded)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(next)
		for r, err := range store.Subscribe(ctx, 0) {
			if err != nil {
				t.Errorf("subscription: %v", err)
				return
			}
			next <- r
			if r.Revision == 200 {
				return
			}
		}
	})
	read := 0
	for r, err := range store.ReadStream(ctx, "s", 0, eventstore.Forward) {
		if err != nil || r.Revision != uint64(read) { //nolint:gosec // small
			t.Fatalf("read: revision %d where %d is next, %v", r.Revision, read, err)
		}
		if read++; read == 1 {
			follower.set(faults{refuse: func(ctx context.Context) error { return notLeader(ctx, leader) }})
			must(t, store, batch("s", eventstore.AtRevision(99), 100))
		}
	}
	if read < 100 {
		t.Errorf("%d of 100 events were read", read)
	}
	must(t, store, batch("s", eventstore.AtRevision(199), 1))
	want := uint64(0)
	for r := range next {
		if r.Revision != want {
			t.Fatalf("the subscription yields revision %d where %d is next", r.Revision, want)
		}
		want++
	}
	wg.Wait()
	if leader.opened.Load() == 0 || want != 201 {
		t.Errorf("%d events came, over %d connections to the leader", want, leader.opened.Load())
	}
}
