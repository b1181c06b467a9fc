package esdb

import (
	"context"
	"errors"
	"time"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

// item is what a feed yields: an event, a sign of life, or the error that ends it.
type item struct {
	event eventstore.Recorded
	quiet bool // no event
	err   error
}

// receiver yields the next item of an open read, or its end.
type receiver func() (item, error)

// opener begins a read or a subscription.
type opener func(context.Context, *sdk.Client) (receiver, error)

// feed is one read that is open at the server. A goroutine of its own receives, since the client may hang, or
// panic, where it should receive (G2, G9, G10); whoever is slow holds up this goroutine and the server's buffer
// for it, and nothing else (E11).
type feed struct {
	store  *Store
	conn   *connection
	call   handOver
	cancel context.CancelFunc
	items  chan item
	timer  *time.Timer
}

// feedLen is how far the goroutine may be ahead. When it is full the server has to wait.
const feedLen = 64

// open begins a feed. Close it.
func (s *Store) open(parent context.Context, begin opener) (*feed, error) {
	if parent.Err() != nil {
		return nil, context.Cause(parent)
	}
	bounded, done := context.WithTimeoutCause(parent, s.cfg.CallTimeout, errNotTaken)
	defer done()
	c, err := s.acquire(bounded)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(parent)
	f := &feed{store: s, conn: c, call: s.handOver(ctx, c), cancel: cancel, items: make(chan item, feedLen), timer: time.NewTimer(0)}
	s.stats.calls.Add(1)
	go f.run(begin) // a connection is closed when its calls have ended
	return f, nil
}

func (f *feed) run(begin opener) {
	defer f.store.release(f.conn)
	defer f.store.stats.calls.Add(-1)
	err := f.receive(begin)
	if f.call.Err() == nil {
		f.store.observe(f.conn, err)
	}
	f.put(item{err: err})
}

func (f *feed) receive(begin opener) (err error) {
	defer f.call.done()
	defer guard(&err)
	receive, err := begin(f.call, f.conn.client)
	if err != nil {
		return err
	}
	for {
		it, err := receive()
		if err != nil {
			return err
		}
		if !f.put(it) {
			return errGivenUp
		}
	}
}

func (f *feed) put(it item) bool {
	select {
	case f.items <- it:
		return true
	case <-f.call.Done():
		return false
	}
}

// errSilent is the answer of next when there was nothing for too long. The feed is still open.
var errSilent = errors.New("the server is silent")

// next waits for an item. Its error is a cause of ctx, errClosed, errSilent, or what has ended the feed.
func (f *feed) next(ctx context.Context, patience time.Duration) (item, error) {
	if ctx.Err() != nil {
		return item{}, context.Cause(ctx)
	}
	select {
	case it := <-f.items:
		return it, it.err
	default:
	}
	f.timer.Reset(patience)
	select {
	case it := <-f.items:
		return it, it.err
	case <-ctx.Done():
		return item{}, context.Cause(ctx)
	case <-f.store.closing:
		return item{}, errClosed
	case <-f.timer.C:
		return item{}, errSilent
	}
}

// hung reports a feed whose beginning was never answered to the supervisor.
func (f *feed) hung() {
	if f.call.giveUp() {
		f.store.observe(f.conn, errNotTaken)
		return
	}
	f.store.observe(f.conn, errTimeout)
}

// close gives the feed up.
func (f *feed) close() {
	f.cancel()
	f.timer.Stop()
}
