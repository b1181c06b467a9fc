package esdbapi_test

import (
	"context"
	"iter"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// Ensure that a subscription on which nothing happens lives for hours while its client pings as the official ones
// do, every 10 s: gRPC's own policy would end it at the third.
func TestPingsOfAnIdleClientAreBorne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		server, err := esdbapi.New(esdbapi.Config{Listener: pipes, Store: emptyStore{}, Advertise: "127.0.0.1:2113"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx) }()
		conn, err := grpc.NewClient("passthrough:pipe", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(pipes.dial),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}))
		if err != nil {
			t.Fatal(err)
		}
		call, err := streams.NewStreamsClient(conn).Read(ctx, readReq("s", subscribing))
		if err != nil {
			t.Fatal(err)
		}
		if got := heard(t, call, 2); got != "confirmed caught-up" {
			t.Fatalf("heard %s", got)
		}
		over := make(chan error, 1)
		go func() {
			_, err := call.Recv()
			over <- err
		}()
		time.Sleep(3 * time.Hour)
		select {
		case err := <-over:
			t.Errorf("the subscription ended: %v", err)
		default:
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}

// emptyStore is a store in which nothing ever happens.
type emptyStore struct{ eventstore.Store }

func (emptyStore) Head(context.Context) (eventstore.Position, error) { return 0, nil }

func (emptyStore) ReadStream(context.Context, string, uint64, eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return yields(func() error { return eventstore.ErrStreamNotFound })
}

func (emptyStore) Subscribe(ctx context.Context, _ eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return yields(func() error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// pipes is a listener without a network.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "pipe"} }
