package esdb

import (
	"testing"
	"time"
)

// TestAClientIsNotClosedUnderACheck: what looks whether a client still answers is on its way into it, like any call.
func TestAClientIsNotClosedUnderACheck(t *testing.T) {
	t.Parallel()
	c := &connection{gate: make(chan struct{}, 1), drained: make(chan struct{})}
	v := &supervisor{connectTimeout: time.Hour, closing: make(chan struct{}), current: c}
	c.gate <- struct{}{} // so that the check has to wait
	v.suspect(c)
	v.mu.Lock()
	c.retired = true
	c.drainedLocked()
	v.mu.Unlock()
	select {
	case <-c.drained:
		t.Fatal("the client would be closed now")
	default:
	}
	c.dead.Store(true) // there is no client to ask here
	c.leave()
	<-c.drained
	v.workers.Wait()
}
