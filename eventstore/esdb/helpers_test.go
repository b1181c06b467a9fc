package esdb_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is for a server that is near and, if it is away, soon back.
func config(s *server) esdb.Config {
	return esdb.Config{
		ConnectionString: "esdb://" + s.addr + "?tls=false&gossipTimeout=1",
		RetryMin:         time.Millisecond, RetryMax: 20 * time.Millisecond,
	}
}

func open(tb testing.TB, cfg esdb.Config) *esdb.Store {
	tb.Helper()
	store, err := esdb.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	return store
}

func newID() (id eventstore.EventID) {
	_, _ = rand.Read(id[:])
	return id
}

func batch(stream string, expected eventstore.Expected, n int) eventstore.Append {
	a := eventstore.Append{Stream: stream, Expected: expected}
	for i := range n {
		a.Events = append(a.Events, eventstore.Event{ID: newID(), Type: "Tested", Data: fmt.Appendf(nil, `{"n":%d}`, i), Metadata: []byte(`{}`)})
	}
	return a
}

func must(tb testing.TB, store eventstore.Appender, a eventstore.Append) eventstore.Result {
	tb.Helper()
	res, err := store.Append(tb.Context(), a)
	if err != nil {
		tb.Fatalf("append to %s: %v", a.Stream, err)
	}
	return res
}

// patience is the context of everything that a healthy adapter does at once.
func patience(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), 20*time.Second, errors.New("the adapter did not answer in time"))
	tb.Cleanup(cancel)
	return ctx
}

// eventually calls until there is no error.
func eventually(tb testing.TB, what string, f func() error) {
	tb.Helper()
	ctx := patience(tb)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// notes is a channel of what a store tells of its server, longer than any test.
type notes chan error

func newNotes() notes { return make(notes, 1000) }

func (n notes) add(err error) { n <- err }
