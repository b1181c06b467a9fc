package claims

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// Config of a Store. The zero value is usable. Every process over one store has the same.
type Config struct {
	// Grace is the age at which a claim that led to nothing may be replaced by one of another
	// place (C5); 0 is 1 min. It must be at least twice Deadline.
	Grace time.Duration
	// Deadline bounds an append, from before its claim until it is handed over (C6); 0 is 10 s.
	Deadline time.Duration
	// Now is the clock that the age of a claim is judged by; nil is time.Now.
	Now func() time.Time
}

// Store is a store that keeps E6 and E7 over one that does not. See the rules of the package.
type Store struct {
	inner eventstore.Store
	cfg   Config
}

var _ eventstore.Store = (*Store)(nil)

// New decorates a store. The inner store must keep E1 to E4 and E8 to E16.
func New(inner eventstore.Store, cfg Config) (*Store, error) {
	if cfg.Grace == 0 {
		cfg.Grace = time.Minute
	}
	if cfg.Deadline == 0 {
		cfg.Deadline = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case inner == nil:
		return nil, errors.New("claims: a store is required")
	case cfg.Deadline < 0 || cfg.Grace < 2*cfg.Deadline:
		return nil, fmt.Errorf("claims: grace %s must be at least twice the deadline %s, and both positive", cfg.Grace, cfg.Deadline)
	}
	return &Store{inner: inner, cfg: cfg}, nil
}

// Close closes the inner store, if it can be closed.
func (s *Store) Close() error {
	if c, ok := s.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Load loads a stream. A claim stream does not exist (C9).
func (s *Store) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	if hidden(stream) {
		return eventstore.Loaded{Revision: eventstore.NoStream}, nil
	}
	return s.inner.Load(ctx, stream)
}

// ReadStream reads a stream. A claim stream is ErrStreamNotFound (C9).
func (s *Store) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if hidden(stream) {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, fmt.Errorf("stream %s: %w", stream, eventstore.ErrStreamNotFound))
		}
	}
	return s.inner.ReadStream(ctx, stream, from, dir)
}

// ReadAll reads the global order without the claims.
func (s *Store) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return visible(s.inner.ReadAll(ctx, from, dir))
}

// Subscribe follows the global order without the claims.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return visible(s.inner.Subscribe(ctx, after))
}

// Head is the position of the last event that is no claim: the one a reader who has read
// everything is at.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	for r, err := range s.ReadAll(ctx, eventstore.Position(eventstore.End), eventstore.Backward) {
		return r.Position, err
	}
	return 0, nil
}

func visible(events iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range events {
			if err == nil && hidden(r.Stream) {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
