package httpapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// stoppingKey carries the channel that Stopping gives.
type stoppingKey struct{}

// Stopping is closed when the server of a request begins to stop: a handler that would go on
// for ever ends its answer then. It is nil, which blocks for ever, under any other server.
func Stopping(ctx context.Context) <-chan struct{} {
	stopping, _ := ctx.Value(stoppingKey{}).(chan struct{})
	return stopping
}

// follow writes live events until the client leaves, the server stops or the limit is reached. One
// goroutine reads, so that the other can send empty lines while there is nothing to read.
func (h *Handler) follow(parent context.Context, s *selection, out *lines) error {
	ctx, cancel := context.WithCancel(parent)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	if err := out.flush(); err != nil { // the client sees that it is connected
		return err
	}
	// When it is full the reader waits, which the store does not feel (E11).
	events := make(chan eventstore.Recorded, 256)
	var ended error // read after events is closed
	group.Go(func() {
		defer close(events)
		ended = h.subscribe(ctx, s, events)
	})
	alive := time.NewTicker(h.config.KeepAlive)
	defer alive.Stop()
	for {
		select {
		case e, open := <-events:
			if !open {
				return ended
			}
			if done, err := drain(&e, s, events, out); done || err != nil {
				return err
			}
		case <-alive.C:
			if err := out.keepAlive(); err != nil {
				return err
			}
		case <-Stopping(parent):
			return nil
		case <-parent.Done():
			return nil // nobody is there to see how it ends
		}
	}
}

// drain writes one event and all that wait behind it, and sends them together.
func drain(e *eventstore.Recorded, s *selection, events <-chan eventstore.Recorded, out *lines) (done bool, err error) {
	for {
		if err := out.write(e); err != nil {
			return false, err
		}
		if s.limit--; s.limit == 0 {
			return true, out.flush()
		}
		select {
		case next, open := <-events:
			if !open {
				return false, out.flush()
			}
			e = &next
		default:
			return false, out.flush()
		}
	}
}

// subscribe sends the events that are wanted. A subscription that ends while the client is there
// is an error: the client goes on from the last position it saw.
func (h *Handler) subscribe(ctx context.Context, s *selection, events chan<- eventstore.Recorded) error {
	wanted := *s // the limit is counted by who writes
	for e, err := range h.config.Events.Subscribe(ctx, s.from) {
		if err != nil {
			return err //nolint:wrapcheck // it only breaks the body off
		}
		if !wanted.wants(&e) {
			continue
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return nil
		}
	}
	return errors.New("the subscription ended")
}
