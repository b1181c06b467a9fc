package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// Store is the read model. Its methods may be called from any number of goroutines, but for those
// that the runner calls one after the other.
type Store struct {
	*target
	config  Config
	writer  *pgxpool.Pool // of one connection
	reader  *pgxpool.Pool
	epoch   int64 // of the last Acquire through this Store; -1 before
	reducer activetokens.Reducer

	prepared  atomic.Bool
	preparing sync.Mutex
}

var (
	_ activetokens.ReadModel = (*Store)(nil)
	_ projections.Shared     = (*Store)(nil)
)

// New reads the URL. The server is reached, and the tables are made, when they are needed (PG5).
func New(ctx context.Context, c Config) (*Store, error) {
	if c.Readers < 0 || c.Timeout < 0 || c.TurnEvery < 0 {
		return nil, errors.New("read model: readers and times are positive")
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.TurnEvery == 0 {
		c.TurnEvery = 500 * time.Millisecond
	}
	to, err := parse(c.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{target: to, config: c, epoch: -1}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect makes the pools, which reach the server when they are asked to.
func (s *Store) connect(ctx context.Context) (err error) {
	if s.readers.MaxConns = int32(s.config.Readers); s.config.Readers == 0 { //nolint:gosec // few
		s.readers.MaxConns = 4
	}
	writers := s.readers.Copy()
	writers.MaxConns, writers.MinConns, writers.MinIdleConns = 1, 0, 0
	if s.writer, err = pgxpool.NewWithConfig(ctx, writers); err != nil {
		return s.mapError(err)
	}
	s.reader, err = pgxpool.NewWithConfig(ctx, s.readers)
	return s.mapError(err)
}

// Describe names the read model, its server and its schema, and nobody's credentials.
func (s *Store) Describe() projections.Description {
	return projections.Description{Name: activetokens.Name, Version: activetokens.Version, Location: s.location}
}

// Close ends the connections.
func (s *Store) Close() error {
	for _, pool := range [...]*pgxpool.Pool{s.reader, s.writer} {
		if pool != nil {
			pool.Close()
		}
	}
	return nil
}

// sql puts the schema in front of the tables.
func (s *Store) sql(text string) string {
	return strings.ReplaceAll(text, "@", pgx.Identifier{s.schema}.Sanitize()+".")
}

// bounded gives a call its time (PG7).
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.config.Timeout)
}
