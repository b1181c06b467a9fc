package esdb

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// handOver is the context of one call of the client. The client looks for a connection first, which
// may take for ever and ignores the context (G2), and asks for the deadline when it has one. So that
// question is the moment in which the call is handed over, or, if it was given up before, does not
// happen: whatever was given up earlier is never sent (S2).
type handOver struct {
	context.Context //nolint:containedctx // it is one

	conn  *connection
	state *atomic.Int32
}

const (
	waiting int32 = iota
	handedOver
	givenUp
)

func (h handOver) Deadline() (time.Time, bool) {
	switch {
	case h.state.CompareAndSwap(waiting, handedOver):
		h.conn.leave()
	case h.state.Load() == givenUp:
		panic(errGivenUp) // caught by guard
	}
	return h.Context.Deadline()
}

// giveUp reports whether the call will never be handed over.
func (h handOver) giveUp() bool { return h.state.CompareAndSwap(waiting, givenUp) }

func (h handOver) happened() bool { return h.state.Load() == handedOver }

// done makes way for the next call if this one has ended without being handed over.
func (h handOver) done() {
	if !h.happened() {
		h.conn.leave()
	}
}

// handOver prepares a context for the client. With the leader preferred, every call asks for the leader:
// the client means to, and puts the header where it is not sent (G4).
func (s *Store) handOver(ctx context.Context, c *connection) handOver {
	if s.leader != nil {
		ctx = metadata.NewOutgoingContext(ctx, s.leader)
	}
	return handOver{ctx, c, new(atomic.Int32)}
}

// backstop is a deadline for the client that is later than the one in its context, and so never used. Without
// it the client has one of its own.
func (s *Store) backstop() *time.Duration {
	d := 2 * s.cfg.CallTimeout
	return &d
}

// reply is how a call of the client has ended.
type reply[T any] struct {
	value T
	err   error
	// sent says that the client had the request: the server may have it, too.
	sent bool
	// ended says that the context of the caller, or the store, was what ended the call. err is the cause.
	ended bool
}

// call runs one exchange with the server in a goroutine of its own, and returns when it has ended, or
// ctx, or the store, or CallTimeout.
func call[T any](ctx context.Context, s *Store, f func(context.Context, *sdk.Client) (T, error)) reply[T] {
	if ctx.Err() != nil {
		return reply[T]{err: context.Cause(ctx), ended: true}
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return reply[T]{err: context.Cause(ctx), ended: true}
	case <-s.closing:
		return reply[T]{err: errClosed, ended: true}
	}
	bounded, cancel := context.WithTimeoutCause(ctx, s.cfg.CallTimeout, errNotTaken)
	defer cancel()
	c, err := s.acquire(bounded)
	if err != nil {
		<-s.slots
		return reply[T]{err: err, ended: ctx.Err() != nil || errors.Is(err, errClosed)}
	}
	h := s.handOver(bounded, c)
	done := make(chan reply[T], 1)
	s.stats.calls.Add(1)
	go func() { // a connection is closed when its calls have ended
		defer func() {
			s.stats.calls.Add(-1)
			<-s.slots
			s.release(c)
		}()
		done <- run(h, f)
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil && classOf(r.err) == passing {
			r.err, r.ended = context.Cause(ctx), true
			return r
		}
		s.observe(c, r.err)
		return r
	case <-bounded.Done():
		if ctx.Err() != nil {
			return abandon[T](s, h, context.Cause(ctx), true)
		}
		return abandon[T](s, h, errTimeout, false)
	case <-s.closing:
		return abandon[T](s, h, errClosed, true)
	}
}

func run[T any](h handOver, f func(context.Context, *sdk.Client) (T, error)) (r reply[T]) {
	defer func() { r.sent = h.happened() }()
	defer h.done()
	defer guard(&r.err)
	r.value, r.err = f(h, h.conn.client)
	return r
}

// abandon leaves a call alone that is still under way in the client.
func abandon[T any](s *Store, h handOver, cause error, ended bool) reply[T] {
	s.stats.abandoned.Add(1)
	if !h.giveUp() {
		if !ended {
			s.observe(h.conn, cause)
		}
		return reply[T]{err: cause, sent: true, ended: ended}
	}
	s.observe(h.conn, errNotTaken)
	if !ended {
		cause = errNotTaken
	}
	return reply[T]{err: cause, ended: ended}
}
