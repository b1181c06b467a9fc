package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// load is a closed loop: a fixed number of requests is always on the way, and each reply
// sends the next one.
type load struct {
	conns    []*nats.Conn
	subject  string
	inFlight int
	// next gives the payload of request i, from 0 on, or false when there is no more.
	next func(i int) ([]byte, bool)
	// reply sees every reply; nil for none. It is called from one goroutine for each connection.
	reply func(m *nats.Msg) error
}

// measured is what a load run saw.
type measured struct {
	Count     int
	Elapsed   time.Duration
	latencies []time.Duration // sorted
}

func (m *measured) rate() float64 { return float64(m.Count) / m.Elapsed.Seconds() }

// quantile of the latencies; 0.5 is the median.
func (m *measured) quantile(q float64) time.Duration {
	if len(m.latencies) == 0 {
		return 0
	}
	return m.latencies[min(len(m.latencies)-1, int(q*float64(len(m.latencies))))]
}

// silence is how long the whole load may go without a reply before it is given up.
const silence = 30 * time.Second

// runner is the state of one run of a load.
type runner struct {
	load
	started  time.Time
	asked    atomic.Int64
	answered atomic.Int64
	active   atomic.Int64 // slots that still send
	done     chan struct{}
	failed   atomic.Pointer[error]
	// latencies of each connection; read when done is closed, which orders it after the writes.
	latencies []*[]time.Duration
}

// slot is one request that is always on the way.
type slot struct {
	conn   *nats.Conn
	reply  string
	sentAt time.Time
}

func (l load) run(ctx context.Context) (*measured, error) {
	r := &runner{load: l, started: time.Now(), done: make(chan struct{})}
	r.active.Store(int64(l.inFlight))
	share := (l.inFlight + len(l.conns) - 1) / len(l.conns)
	for c, conn := range l.conns {
		first, last := c*share, min((c+1)*share, l.inFlight)
		stop, err := r.start(conn, last-first)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	if err := r.wait(ctx); err != nil {
		return nil, err
	}
	elapsed := time.Since(r.started)
	var all []time.Duration
	for _, some := range r.latencies {
		all = append(all, *some...)
	}
	slices.Sort(all)
	return &measured{Count: len(all), Elapsed: elapsed, latencies: all}, nil
}

// start opens the slots of one connection. Its subscription has one goroutine, so the slots
// and their latencies need no lock.
func (r *runner) start(conn *nats.Conn, slots int) (stop func(), err error) {
	if slots <= 0 {
		return func() {}, nil
	}
	inbox := conn.NewInbox()
	open := make([]slot, slots)
	latencies := make([]time.Duration, 0, 1<<16)
	r.latencies = append(r.latencies, &latencies)
	sub, err := conn.Subscribe(inbox+".*", func(m *nats.Msg) {
		i, err := strconv.Atoi(m.Subject[len(inbox)+1:])
		if err != nil || i >= slots || open[i].sentAt.IsZero() {
			return // not ours
		}
		latencies = append(latencies, time.Since(open[i].sentAt))
		r.answered.Add(1)
		if r.reply != nil {
			if err := r.reply(m); err != nil {
				r.fail(err)
			}
		}
		if r.failed.Load() == nil && r.send(&open[i]) {
			return
		}
		if r.active.Add(-1) == 0 {
			close(r.done)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	if err := conn.Flush(); err != nil {
		return nil, err
	}
	for i := range open {
		open[i].conn, open[i].reply = conn, inbox+"."+strconv.Itoa(i)
	}
	// The first requests are sent from here, before any reply can touch their slot.
	for i := range open {
		if !r.send(&open[i]) && r.active.Add(-1) == 0 {
			close(r.done)
		}
	}
	return func() { _ = sub.Unsubscribe() }, nil //nolint:errcheck // the connection goes next
}

func (r *runner) send(s *slot) bool {
	payload, more := r.next(int(r.asked.Add(1) - 1))
	if !more {
		return false
	}
	s.sentAt = time.Now()
	if err := s.conn.PublishRequest(r.subject, s.reply, payload); err != nil {
		r.fail(err)
		return false
	}
	return true
}

func (r *runner) fail(err error) { r.failed.CompareAndSwap(nil, &err) }

// wait ends with the last reply, or when nothing moves any more.
func (r *runner) wait(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for {
		select {
		case <-r.done:
			if err := r.failed.Load(); err != nil {
				return *err
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if err := r.failed.Load(); err != nil {
				return *err
			}
			if n := r.answered.Load(); n != last {
				last, since = n, time.Now()
			} else if time.Since(since) > silence {
				return fmt.Errorf("no reply on %s for %s, %d received", r.subject, silence, n)
			}
		}
	}
}

// checkReply fails on an error reply.
func checkReply(m *nats.Msg) error {
	if code := m.Header.Get(micro.ErrorCodeHeader); code != "" {
		return fmt.Errorf("reply %s %s", code, m.Header.Get(micro.ErrorHeader))
	}
	return nil
}

// upTo gives payloads from a list.
func upTo(payloads [][]byte) func(int) ([]byte, bool) {
	return func(i int) ([]byte, bool) {
		if i >= len(payloads) {
			return nil, false
		}
		return payloads[i], true
	}
}

// stringField cuts the value of a string field out of a flat JSON object whose shape is known:
// parsing every reply would measure the parser.
func stringField(data []byte, name string) (string, error) {
	_, rest, found := strings.Cut(string(data), `"`+name+`":"`)
	value, _, closed := strings.Cut(rest, `"`)
	if !found || !closed {
		return "", errors.New("reply without " + name)
	}
	return value, nil
}
