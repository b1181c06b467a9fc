package esdb_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	gossip "github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	features "github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// faults are what a server does wrong. A nil function does nothing wrong.
type faults struct {
	// features is asked when a client looks at what the server can do.
	features func(ctx context.Context) error
	// begin is asked before anything of an append is received.
	begin func() error
	// refuse is asked when all of an append is there, before it is stored.
	refuse func(ctx context.Context) error
	// lose is asked when an append is stored, before that is answered.
	lose func(ctx context.Context) error
	// answer replaces the answer to an append that was stored.
	answer func() *streams.AppendResp
	// read may take the place of a read or subscription.
	read func(req *streams.ReadReq, stream streams.Streams_ReadServer) (instead bool, err error)
	// frame is asked before each event of a read or subscription is sent, n from 0, and may send other frames.
	frame func(n int, subscription bool, stream streams.Streams_ReadServer) error
}

// server is EventStoreDB in memory, over real gRPC on the loopback, and misbehaves as it is told.
type server struct {
	*database
	streams.UnimplementedStreamsServer
	features.UnimplementedServerFeaturesServer

	tb      testing.TB
	creds   credentials.TransportCredentials
	addr    string
	members atomic.Pointer[[]*gossip.MemberInfo]
	headers sync.Map // of what was received: "name: value"
	opened  atomic.Int64
	conns   atomic.Int64 // open now

	mu     sync.Mutex
	faults faults
	grpc   *grpc.Server
}

func newServer(tb testing.TB) *server {
	return startServer(tb, newDatabase(), insecure.NewCredentials())
}

func startServer(tb testing.TB, db *database, creds credentials.TransportCredentials) *server {
	tb.Helper()
	s := &server{database: db, tb: tb, creds: creds, addr: "127.0.0.1:0"}
	s.start()
	tb.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.tb.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.addr = l.Addr().String()
	g := grpc.NewServer(grpc.Creds(s.creds), grpc.StatsHandler(s), grpc.MaxRecvMsgSize(16<<20), grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	streams.RegisterStreamsServer(g, s)
	gossip.RegisterGossipServer(g, gossiper{server: s})
	features.RegisterServerFeaturesServer(g, s)
	s.mu.Lock()
	s.grpc = g
	s.mu.Unlock()
	go func() { _ = g.Serve(l) }() // until stop
}

// stop cuts every connection.
func (s *server) stop() {
	s.mu.Lock()
	g := s.grpc
	s.mu.Unlock()
	g.Stop()
}

// set replaces what the server does wrong.
func (s *server) set(f faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (s *server) wrong() faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

func (s *server) port() uint32 {
	_, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint32(n)
}

func (s *server) GetSupportedMethods(ctx context.Context, _ *shared.Empty) (*features.SupportedMethods, error) {
	if f := s.wrong().features; f != nil {
		if err := f(ctx); err != nil {
			return nil, err
		}
	}
	return &features.SupportedMethods{EventStoreServerVersion: "24.10.14"}, nil
}

func (s *server) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	s.note(stream.Context())
	w := s.wrong()
	if w.read != nil {
		if instead, err := w.read(req, stream); instead {
			return err
		}
	}
	return s.serve(req, stream, w.frame)
}

func (s *server) Append(stream streams.Streams_AppendServer) error {
	s.note(stream.Context())
	w := s.wrong()
	if w.begin != nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	req, err := receiveAppend(stream)
	if err != nil {
		return err
	}
	if w.refuse != nil {
		if err := w.refuse(stream.Context()); err != nil {
			return err
		}
	}
	resp, err := s.append(req)
	if err != nil {
		return err
	}
	if w.lose != nil {
		if err := w.lose(stream.Context()); err != nil {
			return err
		}
	}
	if w.answer != nil {
		resp = w.answer()
	}
	return stream.SendAndClose(resp)
}

func (s *server) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	for name, values := range md {
		for _, v := range values {
			s.headers.Store(name+": "+v, true)
		}
	}
}

func (s *server) saw(header string) bool {
	_, ok := s.headers.Load(header)
	return ok
}

// TagConn, TagRPC, HandleConn and HandleRPC make the server its own grpc.StatsHandler, which counts connections.
func (s *server) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (s *server) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (s *server) HandleRPC(context.Context, stats.RPCStats)                         {}

func (s *server) HandleConn(_ context.Context, c stats.ConnStats) {
	switch c.(type) {
	case *stats.ConnBegin:
		s.opened.Add(1)
		s.conns.Add(1)
	case *stats.ConnEnd:
		s.conns.Add(-1)
	}
}
