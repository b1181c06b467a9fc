package esdb

import (
	"context"
	"fmt"
	"sync"
	"time"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// supervisor owns the client: there is one connection in use, or none and a search for one.
type supervisor struct {
	conf           *sdk.Configuration
	connectTimeout time.Duration
	drainTimeout   time.Duration
	retry          backoff
	notify         func(error)
	stats          *counters

	mu        sync.Mutex
	current   *connection
	searching bool
	// trial is closed when the search has seen its first answer. Calls wait for that, and for no more.
	trial    chan struct{}
	failures int       // in a row
	down     bool      // calls are refused
	since    time.Time // when the server was lost
	cause    error
	closed   bool
	closing  chan struct{}
	workers  sync.WaitGroup
}

// acquire is the connection for one call, and the turn of that call to be handed over: see connection.gate.
// Release it.
func (v *supervisor) acquire(ctx context.Context) (*connection, error) {
	for {
		v.mu.Lock()
		c, trial, err := v.currentLocked()
		v.mu.Unlock()
		if err != nil {
			return nil, err
		}
		var gate chan<- struct{} // nil, which is never ready, without a connection
		if c != nil {
			gate = c.gate
		}
		select {
		case gate <- struct{}{}:
			if !c.dead.Load() {
				return c, nil
			}
			c.leave()
			v.release(c)
		case <-trial:
		case <-v.closing:
			v.discard(c)
			return nil, errClosed
		case <-ctx.Done():
			if c != nil {
				v.suspect(c) // somebody is in the gate, and does not get on
			}
			v.discard(c)
			return nil, context.Cause(ctx)
		}
	}
}

func (v *supervisor) discard(c *connection) {
	if c != nil {
		v.release(c)
	}
}

// currentLocked is the connection, or what to wait for, or why there is none.
func (v *supervisor) currentLocked() (*connection, <-chan struct{}, error) {
	if v.closed {
		return nil, nil, errClosed
	}
	if v.current != nil {
		v.current.calls++
		return v.current, nil, nil
	}
	if !v.searching {
		v.searchLocked()
	}
	if v.trial != nil {
		return nil, v.trial, nil
	}
	return nil, nil, fmt.Errorf("lost at %s: %w", v.since.UTC().Format(time.RFC3339), v.cause)
}

func (v *supervisor) release(c *connection) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.calls--
	c.drainedLocked()
}

// retire takes a connection out of service, and looks for another.
func (v *supervisor) retire(c *connection, cause error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.current != c || v.closed {
		return
	}
	v.since, v.cause = time.Now(), hidden(cause)
	v.dropLocked()
	// A server that answers the search and then nothing else must not be searched for all the time:
	// each search that follows an Unavailable may cost a connection that the client forgets (G3).
	if time.Since(c.opened) > v.retry.max {
		v.failures = 0
	} else {
		v.failures++
	}
	v.searchLocked()
}

// dropLocked takes the connection out of service and closes it in time.
func (v *supervisor) dropLocked() {
	c := v.current
	if c == nil {
		return
	}
	v.current, c.retired = nil, true
	c.dead.Store(true)
	c.drainedLocked()
	v.workers.Go(func() { v.drain(c) })
}

// moment is what calls that were told to end get for it.
const moment = 2 * time.Second

// drain closes a connection when the calls on it have ended, or take too long. A client that is closed while one of
// its calls is on the way in panics there; that ends a call that hangs for ever, and is a data race for others.
func (v *supervisor) drain(c *connection) {
	defer c.close()
	late := time.NewTimer(v.drainTimeout)
	defer late.Stop()
	select {
	case <-c.drained:
		return
	case <-late.C:
		return
	case <-v.closing:
	}
	late.Reset(moment)
	select {
	case <-c.drained:
	case <-late.C:
	}
}

func (v *supervisor) searchLocked() {
	v.searching = true
	if v.failures == 0 {
		v.trial = make(chan struct{})
	}
	v.workers.Go(v.search)
}

// search tries until there is a connection or the store is closed.
func (v *supervisor) search() {
	for v.pause() {
		c, err := v.connect()
		if v.settle(c, err) {
			return
		}
	}
}

// pause waits as the failures so far ask for, and reports whether to go on.
func (v *supervisor) pause() bool {
	v.mu.Lock()
	n, cause := v.failures, v.cause
	lost := n > 0 && !v.down
	v.down = v.down || lost
	v.mu.Unlock()
	if lost {
		v.notify(cause)
	}
	if n == 0 {
		return true
	}
	timer := time.NewTimer(v.retry.pause(n))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-v.closing:
		return false
	}
}

// settle takes what an attempt has come to, and reports whether the search is over.
func (v *supervisor) settle(c *connection, err error) bool {
	v.mu.Lock()
	over, back := v.settleLocked(c, err), v.down && err == nil
	if back {
		v.down = false
	}
	v.mu.Unlock()
	if back {
		v.notify(nil)
	}
	return over
}

func (v *supervisor) settleLocked(c *connection, err error) bool {
	if v.trial != nil {
		close(v.trial)
		v.trial = nil
	}
	switch {
	case v.closed:
		if c != nil {
			c.close()
		}
		v.searching = false
		return true
	case err == nil:
		v.current, v.searching = c, false
		v.stats.connects.Add(1)
		return true
	default:
		if v.since.IsZero() {
			v.since = time.Now()
		}
		v.failures++
		v.stats.failures.Add(1)
		v.cause = hidden(err)
		return false
	}
}

// close ends the search and the connection, and what waits for them.
func (v *supervisor) close() {
	v.mu.Lock()
	first := !v.closed
	if first {
		v.closed = true
		close(v.closing)
		v.dropLocked()
	}
	v.mu.Unlock()
	v.workers.Wait()
}
