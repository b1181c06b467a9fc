package esdbapi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// rig is a server over the embedded store, on a socket.
type rig struct {
	address string
	store   *embedded.Store
	stop    func() // ends Run and waits for it
}

// serve starts a server that lets clients append, unless configure says otherwise.
func serve(t testing.TB, configure ...func(*esdbapi.Config)) *rig {
	t.Helper()
	store, err := embedded.Open(embedded.Config{Dir: t.TempDir(), CacheBytes: 16 << 20, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := esdbapi.Config{
		Listener: listener, Store: store, AllowAppend: true,
		Protected: []string{"refreshToken-"}, Log: zerolog.New(zerolog.NewTestWriter(t)), Grace: 2 * time.Second,
	}
	for _, c := range configure {
		c(&config)
	}
	server, err := esdbapi.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stopped := false
	r := &rig{address: listener.Addr().String(), store: store, stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}}
	t.Cleanup(r.stop)
	return r
}

// client is the official client. It is closed with the test.
func (r *rig) client(t testing.TB) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString("esdb://" + r.address + "?tls=false&maxDiscoverAttempts=1")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// dial opens a bare connection, for what the official client does not do.
func (r *rig) dial(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// within is a context for one test.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func event(eventType, data string) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: eventType, ContentType: esdb.ContentTypeJson,
		Data: []byte(data), Metadata: []byte(`{"m":1}`),
	}
}

// seed stores n events of a stream, behind the server's back.
func (r *rig) seed(t testing.TB, stream string, n int) {
	t.Helper()
	for n > 0 {
		a := eventstore.Append{Stream: stream, Expected: eventstore.Any}
		for range min(n, 500) {
			a.Events = append(a.Events, eventstore.Event{ID: eventstore.EventID(uuid.New()), Type: "Seeded", Data: []byte(`{}`)})
		}
		if _, err := r.store.Append(context.Background(), a); err != nil {
			t.Fatal(err)
		}
		n -= len(a.Events)
	}
}

// all takes what a read answers.
func all(t testing.TB, read *esdb.ReadStream, err error) []*esdb.ResolvedEvent {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	var events []*esdb.ResolvedEvent
	for {
		e, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
}

// grade is the code that the official client gives an error, -1 for none and -2 for an error of another kind.
func grade(err error) esdb.ErrorCode {
	if err == nil {
		return -1
	}
	var e *esdb.Error
	if !errors.As(err, &e) {
		return -2
	}
	return e.Code()
}
