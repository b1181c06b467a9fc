package esdbapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// Server serves a store.
type Server struct {
	config   Config
	grpc     *grpc.Server
	feed     *feed
	pace     *pace
	memory   *budget
	locks    *locks
	instance eventstore.EventID
	groups   *groups.Manager
	stopping chan struct{}  // closed when calls must end
	workers  sync.WaitGroup // goroutines of calls
}

// streamsService is the service that gave the protocol its purpose.
type streamsService struct {
	streams.UnimplementedStreamsServer
	*Server
}

// New checks the configuration. It starts nothing.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		config:   config,
		memory:   newBudget(config.AppendMemory, nil),
		locks:    newLocks(),
		instance: newID(),
		stopping: make(chan struct{}),
	}
	s.pace = newPace(s.stopping)
	s.feed = newFeed(config.Store, config.CacheBytes, s.pace, s.recovered)
	var err error
	if s.groups, err = s.newGroups(); err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(s.transport()...)
	streams.RegisterStreamsServer(s.grpc, &streamsService{Server: s})
	persistent.RegisterPersistentSubscriptionsServer(s.grpc, &persistentService{Server: s})
	gossip.RegisterGossipServer(s.grpc, &gossipService{Server: s})
	serverfeatures.RegisterServerFeaturesServer(s.grpc, &featuresService{Server: s})
	return s, nil
}

// Run serves until the context ends. Then subscriptions end with UNAVAILABLE, appends under way are answered, and
// what has not ended after Config.Grace is broken off. It answers nil after that; any other end is an error.
// Nothing uses the store any more when it returns. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	groupsCtx, stopGroups := context.WithCancel(ctx)
	defer stopGroups()
	ended := make(chan error, 1)
	go func() { ended <- s.groups.Run(groupsCtx) }()
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(limit(s.config.Listener, s.config.MaxConnections)) }()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("esdb server on %s: %w", s.config.Listener.Addr(), err)
	case <-ctx.Done():
	}
	close(s.stopping)
	stopGroups()
	late := time.AfterFunc(s.config.Grace, s.grpc.Stop)
	s.grpc.GracefulStop()
	late.Stop()
	if err == nil {
		<-served
	}
	s.workers.Wait()
	s.feed.close()
	return errors.Join(err, <-ended)
}

// protected says whether a stream is logoutd's own.
func (s *Server) protected(stream string) bool {
	for _, prefix := range s.config.Protected {
		if strings.HasPrefix(stream, prefix) {
			return true
		}
	}
	return false
}
