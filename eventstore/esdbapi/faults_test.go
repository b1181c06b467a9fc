package esdbapi_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// failing is a store whose calls fail once fail is called.
type failing struct {
	eventstore.Store
	mu  sync.Mutex
	err error
}

func (f *failing) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil && f.err.Error() == "panic" {
		panic("secret data")
	}
	return f.err
}

func (f *failing) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := f.failure(); err != nil {
		return eventstore.Result{}, err
	}
	return f.Store.Append(ctx, a)
}

func (f *failing) Head(ctx context.Context) (eventstore.Position, error) {
	if err := f.failure(); err != nil {
		return 0, err
	}
	return f.Store.Head(ctx)
}

func (f *failing) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if err := f.failure(); err != nil {
		return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, err) }
	}
	return f.Store.ReadAll(ctx, from, dir)
}

// readOne reads the first event of the stream s.
func readOne(ctx context.Context, c *esdb.Client) error {
	read, err := c.ReadStream(ctx, "s", esdb.ReadStreamOptions{}, 1)
	if err != nil {
		return err
	}
	defer read.Close()
	_, err = read.Recv()
	return err
}

func TestEveryErrorOfAStoreHasItsStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		code codes.Code
	}{
		{eventstore.ErrUnavailable, codes.Unavailable},
		{eventstore.ErrOutcomeUnknown, codes.Aborted},
		{eventstore.ErrCorrupt, codes.Internal},
		{eventstore.ErrInvalid, codes.InvalidArgument},
		{eventstore.ErrTooLarge, codes.InvalidArgument},
		{eventstore.ErrIDReused, codes.AlreadyExists},
		{&eventstore.IDReusedError{Stream: "elsewhere"}, codes.AlreadyExists},
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{errors.New("of /secret/folder"), codes.Internal},
		{errors.New("panic"), codes.Internal},
	}
	var store failing
	r := serve(t, func(c *esdbapi.Config) {
		store.Store = c.Store
		c.Store, c.Log = &store, zerolog.New(noSecret{t})
		c.Protected = []string{"mine-"}
	})
	for _, tt := range tests {
		store.fail(fmt.Errorf("wrapped: %w", tt.err))
		if tt.err.Error() == "panic" {
			store.fail(tt.err)
		}
		_, _, appended := rawAppend(t, r, appendTo("mine-1"), proposal(nil))
		_, read := rawRead(t, r, follow(func(o *streams.ReadReq_Options) {
			fromTheStart(o)
			o.CountOption = &streams.ReadReq_Options_Count{Count: 1}
		}))
		_, subscribed := rawRead(t, r, follow(nil))
		for what, err := range map[string]error{"append": appended, "read": read, "subscription": subscribed} {
			if status.Code(err) != tt.code || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v answers %v, want %s", what, tt.err, err, tt.code)
			}
		}
		c := r.batch(t, within(t))
		if err := c.Send(batchOf("mine-1", 1)); err != nil {
			t.Fatal(err)
		}
		if a, err := c.Recv(); err != nil || a.GetError() == nil {
			t.Errorf("batch: %v answers %v, %v", tt.err, a, err)
		}
	}
	store.fail(nil)
	if _, _, err := rawAppend(t, r, appendTo("mine-1"), proposal(nil)); err != nil {
		t.Errorf("healed: %v", err)
	}
}

// noSecret is a log that fails the test when it is told a value of a panic.
type noSecret struct{ t *testing.T }

func (n noSecret) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "secret data") {
		n.t.Errorf("logged: %s", p)
	}
	return len(p), nil
}

func TestASubscriptionEndsWhenTheStoreIsGone(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := subscribed(t, within(t), r, nil)
	if m := received(t, c); m.GetCaughtUp() == nil {
		t.Fatalf("got %v", m)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := drained(c); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestGarbageIsRefusedAndTheConnectionLives(t *testing.T) {
	t.Parallel()
	r := serve(t)
	conn := r.dial(t)
	garbage := &wrapperspb.BytesValue{Value: []byte("\xff\xff\xff\xff")}
	if err := conn.Invoke(within(t), streams.Streams_Delete_FullMethodName, garbage, &streams.DeleteResp{}); status.Code(err) == codes.OK {
		t.Error("garbage was taken for a deletion")
	}
	badText := &wrapperspb.StringValue{Value: "x"}
	for _, method := range []string{streams.Streams_Read_FullMethodName, streams.Streams_Append_FullMethodName, streams.Streams_BatchAppend_FullMethodName} {
		s, err := conn.NewStream(within(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.SendMsg(badText), s.CloseSend()); err != nil {
			t.Fatal(err)
		}
		if err := s.RecvMsg(&shared.Empty{}); status.Code(err) != codes.Internal && status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", method, err)
		}
	}
	if err := notUTF8(t, conn); status.Code(err) == codes.OK {
		t.Error("a type that is not UTF-8 was taken")
	}
	if _, _, err := rawAppend(t, r, appendTo("s"), proposal(nil)); err != nil {
		t.Errorf("after the garbage: %v", err)
	}
	if err := conn.Invoke(within(t), "/event_store.client.users.Users/Create", &shared.Empty{}, &shared.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a service that is not here: %v", err)
	}
	plain, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close() //nolint:errcheck // it was broken off anyway
	if _, err := plain.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := plain.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	for {
		if _, err := plain.Read(buf); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a client of HTTP/1.1 was left waiting")
			}
			break
		}
	}
}

// notUTF8 appends an event whose type no Go client can be made to send.
func notUTF8(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	entry := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("type"))
	entry = protowire.AppendBytes(protowire.AppendTag(entry, 2, protowire.BytesType), []byte("\xff"))
	message := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), entry)
	var raw shared.Empty
	raw.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), message))
	s, err := conn.NewStream(within(t), &grpc.StreamDesc{ClientStreams: true}, streams.Streams_Append_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SendMsg(appendTo("s")), s.SendMsg(&raw), s.CloseSend()); err != nil {
		t.Fatal(err)
	}
	return s.RecvMsg(&shared.Empty{})
}

func TestAnybodyIsToldWhatIsServedAndWhere(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.Advertise = "logoutd.example:2113" })
	conn := r.dial(t)
	info, err := gossip.NewGossipClient(conn).Read(within(t), &shared.Empty{})
	if err != nil || len(info.GetMembers()) != 1 {
		t.Fatalf("%v, %v", info, err)
	}
	m := info.GetMembers()[0]
	if m.GetState() != gossip.MemberInfo_Leader || !m.GetIsAlive() || m.GetHttpEndPoint().GetAddress() != "logoutd.example" || m.GetHttpEndPoint().GetPort() != 2113 {
		t.Errorf("member %v", m)
	}
	features, err := serverfeatures.NewServerFeaturesClient(conn).GetSupportedMethods(within(t), &shared.Empty{})
	if err != nil || !strings.HasPrefix(features.GetEventStoreServerVersion(), "24.10.") {
		t.Fatalf("%v, %v", features, err)
	}
	found := map[string]bool{}
	for _, f := range features.GetMethods() {
		found[f.GetServiceName()+"/"+f.GetMethodName()] = true
		for _, name := range []string{f.GetServiceName(), f.GetMethodName()} {
			if name == "" || name != strings.ToLower(name) {
				t.Errorf("name %q", name)
			}
		}
	}
	for _, want := range []string{"read", "append", "delete", "tombstone", "batchappend"} {
		if !found["event_store.client.streams.streams/"+want] {
			t.Errorf("%s is not listed", want)
		}
	}
}

func TestAClientThatDiscoversAClusterFindsTheServer(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 1)
	config, err := esdb.ParseConnectionString("esdb://" + r.address + "," + r.address + "?tls=false&maxDiscoverAttempts=1")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // what counts is below
	if err := readOne(within(t), c); err != nil {
		t.Error(err)
	}
}

func TestConnectionsBeyondTheLimitWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.MaxConnections = 1 })
	first, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gossip.NewGossipClient(first).Read(within(t), &shared.Empty{}); err != nil {
		t.Fatal(err)
	}
	second := gossip.NewGossipClient(r.dial(t))
	short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := second.Read(short, &shared.Empty{}); err == nil {
		t.Error("the second connection was served beside the first")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Read(within(t), &shared.Empty{}, grpc.WaitForReady(true)); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

// Everything that clients can begin and not finish, over and over, and then nothing is left of it. This test is not parallel: it counts.
func TestNothingIsLeftOfClientsThatVanish(t *testing.T) {
	r := serve(t)
	r.seed(t, "s", 300)
	vanish := func() {
		ctx, cancel := context.WithCancel(context.Background())
		conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // this is the vanishing
		defer cancel()
		c := streams.NewStreamsClient(conn)
		sub, err := c.Read(ctx, follow(fromTheStart))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sub.Recv(); err != nil {
			t.Fatal(err)
		}
		half, err := c.Append(ctx)
		if err != nil {
			t.Fatal(err)
		}
		batch, err2 := c.BatchAppend(ctx)
		if err := errors.Join(err2, half.Send(appendTo("s"))); err != nil {
			t.Fatal(err)
		}
		open := batchOf("s", 10)
		open.IsFinal = false
		if err := errors.Join(batch.Send(open), batch.Send(batchOf("t", 1))); err != nil {
			t.Fatal(err)
		}
		if _, err := batch.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	vanish()
	goroutines, files := settled(t, 0), openFiles(t)
	for range 20 {
		vanish()
	}
	if got := settled(t, goroutines); got > goroutines {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", got, goroutines, buf[:runtime.Stack(buf, true)])
	}
	if got := openFiles(t); got > files {
		t.Errorf("%d open files, %d before", got, files)
	}
}

// settled waits until no more goroutines end, or there are as few as wanted.
func settled(t *testing.T, want int) int {
	t.Helper()
	n, calm := runtime.NumGoroutine(), 0
	for end := time.Now().Add(patience); time.Now().Before(end) && calm < 20 && n > want; {
		<-time.After(20 * time.Millisecond)
		now := runtime.NumGoroutine()
		if calm++; now != n {
			n, calm = now, 0
		}
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here to count open files in")
	}
	return len(entries)
}
