package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

func TestOpenNeedsNoServer(t *testing.T) {
	t.Parallel()
	for s, address := range map[string]string{
		"esdb://h":                          "esdb://h:2113",
		"esdb://ada:pw@a:1,b,c:3?tls=false": "esdb://a:1,b:2113,c:3",
		"esdb+discover://ada:p%2Fw@h:9/?gossipTimeout=1&keepAliveInterval=-1&nodePreference=follower": "esdb+discover://h:9",
	} {
		store := open(t, esdb.Config{ConnectionString: s})
		if store.Address() != address || esdb.Redact(s) != address {
			t.Errorf("the address of %s is %s, redacted %s", s, store.Address(), esdb.Redact(s))
		}
	}
}

func TestOpenRefusesAConfigThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := esdb.Open(esdb.Config{CallTimeout: -1, ConnectTimeout: -1, MaxCalls: -1, Password: "hunter2"})
	for _, want := range []string{"no connection string", "CallTimeout", "ConnectTimeout", "MaxCalls", "username"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestNoVerbPrintsTheConnectionString(t *testing.T) {
	t.Parallel()
	cfg := esdb.Config{ConnectionString: "esdb://ada:hunter2@h", Password: "hunter2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{cfg, &cfg, []esdb.Config{cfg}, struct{ C esdb.Config }{cfg}} {
			if s := fmt.Sprintf(verb, value); strings.Contains(s, "hunter2") || strings.Contains(s, "68756e74657232") {
				t.Errorf("%s of %T prints %s", verb, value, s)
			}
		}
	}
}

// Ensure that pauses grow to their bound, and stay between half of it and all.
func TestPausesGrowToTheirBound(t *testing.T) {
	t.Parallel()
	cfg := esdb.Config{RetryMin: 10 * time.Millisecond, RetryMax: 80 * time.Millisecond}
	for n, most := range map[int]time.Duration{1: 10, 2: 20, 3: 40, 4: 80, 5: 80, 1000: 80} {
		for range 100 {
			if d := time.Duration(cfg.Pause(n)); d < most*time.Millisecond/2 || d > most*time.Millisecond {
				t.Fatalf("the pause after %d failures is %s", n, d)
			}
		}
	}
}

// Ensure that what was taken out of a stream is noticed: what is left folds into something that never was.
func TestALoadOfATruncatedStreamIsCorrupt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 5))
	for _, missing := range [][]int{{0}, {2}, {0, 1, 2, 3, 4}} {
		s.set(faults{read: func(req *readReq, stream readServer) (bool, error) {
			if req.Options.GetStream() == nil {
				return false, nil
			}
			s.database.mu.Lock()
			own := s.streams["s"]
			s.database.mu.Unlock()
			var err error
			for i, e := range own {
				if !slices.Contains(missing, i) {
					err = errors.Join(err, stream.Send(frameOf(e)))
				}
			}
			return true, err
		}})
		if _, err := store.Load(t.Context(), "s"); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("a stream without %v loads with %v", missing, err)
		}
	}
}

// Ensure that what the server writes for itself is not in the log, and is there by name.
func TestEventsOfTheServerAreHidden(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	ctx := context.WithoutCancel(t.Context())
	if head, err := store.Head(ctx); err != nil || head != 0 {
		t.Errorf("the head of a store without events of ours is %s, %v", head, err)
	}
	last := must(t, store, batch("s", eventstore.NoStream, 1))
	for range 3000 { // more than one look back
		s.own("$stats")
	}
	for range 2 {
		if head, err := store.Head(ctx); err != nil || head != last.Position {
			t.Errorf("the head is %s, %v; the last event is at %s", head, err, last.Position)
		}
	}
	n := 0
	for r, err := range store.ReadAll(ctx, 0, eventstore.Forward) {
		if n++; err != nil || r.Stream != "s" {
			t.Errorf("the log shows %s, %v", r.Stream, err)
		}
	}
	for r, err := range store.ReadStream(ctx, "$users", 0, eventstore.Forward) {
		if n++; err != nil || r.Stream != "$users" {
			t.Errorf("$users reads as %s, %v", r.Stream, err)
		}
	}
	if n != 2 {
		t.Errorf("%d events were read, want one of ours and one of the server", n)
	}
	last = must(t, store, batch("s", eventstore.AtRevision(0), 1))
	if head, err := store.Head(ctx); err != nil || head != last.Position {
		t.Errorf("the head is %s, %v; the last event is at %s", head, err, last.Position)
	}
	restored := newDatabase() // from a backup that is older
	restored.own("$stats")
	s.set(faults{read: func(req *streams.ReadReq, stream readServer) (bool, error) {
		return true, restored.serve(req, stream, nil)
	}})
	if head, err := store.Head(ctx); err != nil || head != 0 {
		t.Errorf("the head after a restore is %s, %v", head, err)
	}
}
