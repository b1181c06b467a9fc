package projections

import (
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// Status is a snapshot of a runner.
type Status struct {
	Projection Description
	Position   eventstore.Position // applied up to here
	Head       eventstore.Position // of the store, as last seen
	// Lag is Head minus Position: events behind, where positions have no gaps (E5).
	Lag uint64
	// LagTime is the age of the oldest event not applied yet, 0 when there is none.
	LagTime   time.Duration
	LastMoved time.Time // when Position last changed, or the runner started
	Running   bool      // acquired or standing by, and not stopped
	Standby   bool      // another process applies; Position is the checkpoint that it stored (P11)
	Healthy   bool      // see P10
	// Err is why it stopped, or the trouble it is in while it tries again; nil when it is well.
	Err error
}

// Status answers from memory.
func (r *Runner) Status() Status {
	s := &r.state
	now := r.config.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{
		Projection: r.config.Projection.Describe(),
		Position:   s.position, Head: s.head, LastMoved: s.lastMoved,
		Running: s.running, Standby: s.standby, Err: s.err,
	}
	if s.head > s.position {
		status.Lag = uint64(s.head - s.position)
		oldest := s.oldest
		if oldest.IsZero() {
			oldest = s.behindSince // nothing was pulled yet: the event is at least that old
		}
		status.LagTime = max(0, now.Sub(oldest))
	}
	// Not since LastMoved: after a quiet hour the first events find a healthy projection.
	stalled := status.Lag > r.config.MaxLag && now.Sub(s.behindSince) > r.config.StallAfter
	status.Healthy = !s.stopped && !stalled
	return status
}

// state is what is known in memory.
type state struct {
	// hurry tells a lingering batch that somebody began to wait. One token is enough: the
	// receiver looks at all waiters.
	hurry chan struct{}

	mu          sync.Mutex
	position    eventstore.Position
	head        eventstore.Position
	oldest      time.Time // recorded_at of the oldest event pulled and not applied
	behindSince time.Time // when it fell behind, or last moved
	lastMoved   time.Time
	running     bool
	standby     bool
	stopped     bool
	err         error
	waiters     waiters
}

func (s *state) init(now time.Time) {
	s.hurry = make(chan struct{}, 1)
	s.lastMoved = now
}

// began applying at a position, or standing by there.
func (s *state) began(at eventstore.Position, standby bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.position, s.lastMoved, s.running, s.standby = at, now, true, standby
	s.oldest, s.behindSince, s.err = time.Time{}, now, nil
	s.waiters.release(at)
}

func (s *state) sawHead(head eventstore.Position, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if head <= s.head {
		return
	}
	if s.head <= s.position {
		s.behindSince = now
	}
	s.head = head
}

func (s *state) took(recordedAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = recordedAt
}

func (s *state) moved(at eventstore.Position, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.position, s.lastMoved, s.err, s.oldest = at, now, nil, time.Time{}
	s.head = max(s.head, at)
	s.behindSince = now
	s.waiters.release(at)
}

func (s *state) troubled(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *state) stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.standby, s.stopped, s.err = false, false, true, err
	s.waiters.releaseAll()
}
