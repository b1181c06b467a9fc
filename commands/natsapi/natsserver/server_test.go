package natsserver_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/commands/natsapi/natsserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustStart(t *testing.T, address string) *natsserver.Server {
	t.Helper()
	s, err := natsserver.Start(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestClientsConnectOnceStartHasReturned(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "localhost:0"} {
		s := mustStart(t, address)
		conn, err := nats.Connect(s.URL(), nats.NoReconnect())
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if conn.ConnectedServerName() != "logoutd" {
			t.Errorf("%s: server name %q", address, conn.ConnectedServerName())
		}
		if js, err := conn.Request("$JS.API.INFO", nil, nats.DefaultTimeout); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: JetStream answers: %v %v", address, js, err)
		}
		conn.Close()
	}
}

func TestATakenPortIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // only listened
	address := l.Addr().String()
	_, err = natsserver.Start(address)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "--nats-listen") {
		t.Error(err)
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ address, want string }{
		"every interface":           {"0.0.0.0:0", "loopback only"},
		"every interface, IPv6":     {"[::]:0", "loopback only"},
		"no host":                   {":4222", "loopback only"},
		"an address of the network": {"192.0.2.1:4222", "loopback only"},
		"a name":                    {"nats.example.com:4222", "loopback only"},
		"no port":                   {"127.0.0.1", "want host:port"},
		"nothing":                   {"", "want host:port"},
		"a URL":                     {"nats://127.0.0.1:4222", "want host:port"},
		"a port that is a name":     {"127.0.0.1:nats", "port must be 0 to 65535"},
		"a port out of range":       {"127.0.0.1:65536", "port must be 0 to 65535"},
		"a negative port":           {"127.0.0.1:-1", "port must be 0 to 65535"},
		"a mapped address":          {"[::ffff:192.0.2.1]:0", "loopback only"},
	} {
		s, err := natsserver.Start(c.address)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.address) {
			t.Errorf("%s: %v", name, err)
		}
		if s != nil {
			t.Errorf("%s: a server was started", name)
		}
	}
}

func TestCloseEndsTheServerAndItsClients(t *testing.T) {
	t.Parallel()
	s := mustStart(t, "127.0.0.1:0")
	gone := make(chan struct{})
	conn, err := nats.Connect(s.URL(), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-gone
	if _, err := nats.Connect(s.URL(), nats.NoReconnect()); err == nil {
		t.Error("the port still answers")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
