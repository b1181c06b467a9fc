package natsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// maxPending is how many bytes the server holds for a client that reads slowly before it
// disconnects it. Bursts of replies need more than the default.
const maxPending = 256 << 20

// Server is a running NATS server.
type Server struct{ nats *server.Server }

// Start listens on an address like 127.0.0.1:4222 (port 0 picks a free one) and returns when clients
// can connect. The error names the address and what to do.
func Start(address string) (*Server, error) {
	host, port, err := loopback(address)
	if err != nil {
		return nil, err
	}
	// The library's own error on a taken port ends in a log line and a wait; ask the kernel first.
	probe, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("nats: cannot listen on %s: %w; stop what uses it or choose another --nats-listen", address, err)
	}
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "logoutd", Host: host, Port: port,
		NoLog: true, NoSigs: true, MaxPending: maxPending, MaxPayload: server.MAX_PAYLOAD_SIZE,
	})
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("nats: server on %s is not ready after 10 s", address)
	}
	return &Server{nats: s}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Close disconnects every client and returns when the server is gone, or ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.nats.Shutdown()
	done := make(chan struct{})
	go func() { // ends with the server
		s.nats.WaitForShutdown()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("nats: the embedded server did not stop in time")
	}
}

func loopback(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("nats: listen address %q: want host:port, like 127.0.0.1:4222", address)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("nats: listen address %q: port must be 0 to 65535", address)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("nats: listen address %q: the embedded server has no users, so it listens on loopback only; "+
			"run a NATS server and name it with --nats-url", address)
	}
	return host, port, nil
}
