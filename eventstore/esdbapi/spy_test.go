package esdbapi_test

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// storeSpy is a store that counts who follows it, and answers otherwise than the one behind it where it is told to.
type storeSpy struct {
	eventstore.Store
	following atomic.Int64

	append    func(context.Context, eventstore.Append) (eventstore.Result, error)
	read      func() error // of every kind
	subscribe func() error
}

// in puts the spy between a server and its store.
func (s *storeSpy) in(c *esdbapi.Config) { s.Store, c.Store = c.Store, s }

func (s *storeSpy) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if s.append != nil {
		return s.append(ctx, a)
	}
	return s.Store.Append(ctx, a)
}

func (s *storeSpy) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if s.read != nil && !strings.HasPrefix(stream, "$persistentSubscription") { // of the groups
		return yields(s.read)
	}
	return s.Store.ReadStream(ctx, stream, from, dir)
}

func (s *storeSpy) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if s.read != nil {
		return yields(s.read)
	}
	return s.Store.ReadAll(ctx, from, dir)
}

func (s *storeSpy) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		s.following.Add(1)
		defer s.following.Add(-1)
		if s.subscribe != nil {
			yield(eventstore.Recorded{}, s.subscribe())
			return
		}
		for e, err := range s.Store.Subscribe(ctx, after) {
			if !yield(e, err) {
				return
			}
		}
	}
}

func yields(fail func() error) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, fail()) }
}

// quiet waits until nobody follows the store.
func (s *storeSpy) quiet(t testing.TB) {
	t.Helper()
	ctx, tick := within(t), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.following.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the store is still followed")
		}
	}
}
