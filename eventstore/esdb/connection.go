package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// connection is one client, from its first answer until it is retired.
type connection struct {
	client *sdk.Client
	opened time.Time

	// gate lets one call at a time look for its way into the client, which takes a microsecond when all is well.
	// The client has one goroutine to show the way. When that finds no server it ends, and whoever stands in line
	// then stands there for ever (G2): so there is no line. dead closes the gate for good.
	gate chan struct{}
	dead atomic.Bool

	// Guarded by the mutex of the supervisor.
	calls   int
	retired bool
	drained chan struct{} // closed when retired and without calls

	checking atomic.Bool
	timeouts atomic.Int32 // in a row
}

// leave makes way for the next call.
func (c *connection) leave() { <-c.gate }

// maxTimeouts in a row, and a connection is given up, though it may answer pings.
const maxTimeouts = 5

func (c *connection) drainedLocked() {
	if c.retired && c.calls == 0 {
		select {
		case <-c.drained:
		default:
			close(c.drained)
		}
	}
}

// close never blocks.
func (c *connection) close() { _ = c.client.Close() }

// connect makes a client and waits for its first answer. A client that does not answer closes itself when it is
// done with its search, which nothing can end.
func (v *supervisor) connect() (*connection, error) {
	c := &connection{opened: time.Now(), gate: make(chan struct{}, 1), drained: make(chan struct{})}
	conf := *v.conf
	conf.Logger = func(level sdk.LogLevel, _ string, args ...any) { v.hear(c, level, args) }
	client, err := sdk.NewClient(&conf)
	if err != nil {
		return nil, err
	}
	c.client = client
	var given atomic.Bool
	err = v.bounded(func(ctx context.Context) error {
		err := probe(ctx, client)
		if err != nil || !given.CompareAndSwap(false, true) {
			c.close()
		}
		return err
	})
	if err == nil || !given.CompareAndSwap(false, true) {
		return c, nil
	}
	return nil, err
}

// hear listens to what the client logs, for one thing. Right before it forgets a connection because of an Unavailable,
// without closing it (G3), it logs that error. From here on no call may look for its way in: the next to do so
// would make the client connect anew, and only a client that has not done so closes the old connection.
func (v *supervisor) hear(c *connection, level sdk.LogLevel, args []any) {
	if level != sdk.LogError {
		return
	}
	for _, arg := range args {
		err, ok := arg.(error)
		if !ok || classOf(err) != lost {
			continue
		}
		c.dead.Store(true)
		// Until the one that is on its way in is in. It may wait for this very goroutine: not for ever, then.
		const in = 100 * time.Millisecond
		late := time.NewTimer(in)
		defer late.Stop()
		select {
		case c.gate <- struct{}{}:
			c.leave()
		case <-late.C:
		}
		v.retire(c, err)
	}
}

// bounded runs a call of the client that may hang.
func (v *supervisor) bounded(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), v.connectTimeout, errTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }() // ends with the client's search; closing waits for no search
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-v.closing:
		return errClosed
	}
}

// probe finds a node and sees that it reads. Who may not read still has a server that answers.
func probe(ctx context.Context, client *sdk.Client) (err error) {
	defer guard(&err)
	if _, err := client.GetServerVersion(); err != nil {
		return err
	}
	stream, err := client.ReadAll(ctx, sdk.ReadAllOptions{Direction: sdk.Backwards, From: sdk.End{}}, 1)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) && !classOf(err).permanent() {
		return fmt.Errorf("the server does not read: %w", err)
	}
	return nil
}

// suspect looks whether a client still answers, and retires it if not.
func (v *supervisor) suspect(c *connection) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.current != c || !c.checking.CompareAndSwap(false, true) {
		return
	}
	c.calls++ // a check is a call, too: the client is not closed while it is on its way in
	v.workers.Go(func() {
		defer c.checking.Store(false)
		err := v.bounded(func(ctx context.Context) error {
			defer v.release(c)
			return v.check(ctx, c)
		})
		if err != nil {
			v.retire(c, err)
		}
	})
}

func (v *supervisor) check(ctx context.Context, c *connection) (err error) {
	defer guard(&err)
	select {
	case c.gate <- struct{}{}:
		defer c.leave()
	case <-ctx.Done():
		return errNotTaken
	}
	if c.dead.Load() {
		return nil
	}
	_, err = c.client.GetServerVersion()
	return err
}

// observe draws the consequences of an answer for the connection that gave it.
func (v *supervisor) observe(c *connection, err error) {
	if err == nil {
		if c.timeouts.Load() != 0 {
			c.timeouts.Store(0)
		}
		return
	}
	var broken *brokenError
	switch class := classOf(err); {
	case class == lost:
		v.retire(c, err)
	case class == moved, errors.As(err, &broken), errors.Is(err, errNotTaken):
		v.suspect(c)
	case timedOut(err) && c.timeouts.Add(1) >= maxTimeouts:
		v.retire(c, err)
	}
}

func timedOut(err error) bool {
	return errors.Is(err, errTimeout) || status.Code(err) == codes.DeadlineExceeded
}
