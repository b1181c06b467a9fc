package esdb

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/metadata"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

var _ eventstore.Store = (*Store)(nil)

// Store is an event store on a server. Its methods may be called from any goroutine.
type Store struct {
	*supervisor

	cfg     Config
	address string
	leader  metadata.MD // sent with every call; nil when another node is preferred
	slots   chan struct{}
	last    lastEvent
	stats   *counters
}

// Open checks a configuration. It needs no server: the first call looks for it, and a server that is
// away is an ErrUnavailable of that call. Its errors never repeat the connection string.
func Open(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("eventstoredb: %w", err)
	}
	conf, address, err := configuration(cfg)
	if err != nil {
		return nil, fmt.Errorf("eventstoredb: %w", err)
	}
	if cfg.CallTimeout == 0 && conf.DefaultDeadline != nil {
		cfg.CallTimeout = *conf.DefaultDeadline
	}
	cfg = cfg.withDefaults()
	cfg.Password, cfg.ConnectionString = "", "" // nobody asks again
	retry := backoff{cfg.RetryMin, cfg.RetryMax}
	stats := new(counters)
	s := &Store{
		supervisor: &supervisor{
			conf: conf, connectTimeout: cfg.ConnectTimeout, drainTimeout: cfg.CallTimeout, retry: retry,
			notify: cfg.Notify, stats: stats, closing: make(chan struct{}),
		},
		cfg: cfg, address: address, slots: make(chan struct{}, cfg.MaxCalls), stats: stats,
	}
	if conf.NodePreference == sdk.NodePreferenceLeader {
		s.leader = metadata.Pairs("requires-leader", "true")
	}
	return s, nil
}

// Close ends every call and subscription. Appends under way answer ErrOutcomeUnknown, everything else, and every
// later call, ErrUnavailable. It returns nil.
func (s *Store) Close() error {
	s.close()
	return nil
}

// Address is the connection string without credentials and settings.
func (s *Store) Address() string { return s.address }

// failed turns a call that has not succeeded, and has stored nothing, into an error of the port.
func (s *Store) failed(ctx context.Context, what string, err error, ended bool) error {
	switch {
	case errors.Is(err, errClosed):
		return s.unavailable(errClosed)
	case ended && ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return s.answer(what, err)
	}
}
