package projections

import (
	"errors"
	"fmt"
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
	// Unusable is why the read model must not be read: it is not open, is being rebuilt, or cannot be
	// used as it is. nil when it may.
	Unusable error
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
	status.Healthy = !s.stopped && !s.broken && !stalled
	status.Unusable = s.unusableLocked()
	return status
}

func (s *state) unusableLocked() error {
	switch {
	case s.running:
		return nil
	case s.rebuilding != nil && s.err != nil:
		return fmt.Errorf("being rebuilt, %s of %s, since %w; now in trouble: %w", s.rebuilt, s.head, s.rebuilding, s.err)
	case s.rebuilding != nil:
		return fmt.Errorf("being rebuilt, %s of %s, since %w", s.rebuilt, s.head, s.rebuilding)
	case s.err != nil:
		return s.err
	}
	return errors.New("not open yet")
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
	broken      bool                // it cannot be used as it is
	rebuilding  error               // why it is being rebuilt; nil when it is not
	rebuilt     eventstore.Position // how far that is
	err         error
	told        string // the last error that was logged, "" since events were applied
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
	s.broken, s.rebuilding = false, nil
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
	s.behindSince, s.told = now, ""
	s.waiters.release(at)
}

// troubled by an error that may pass, nil when it has passed. It reports whether that is news.
func (s *state) troubled(err error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return s.newsLocked()
}

// broke by an error that does not pass. It reports whether that is news.
func (s *state) broke(err error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.standby, s.broken, s.rebuilding, s.err = false, false, true, nil, err
	return s.newsLocked()
}

// newsLocked reports whether there is an error that was not told since events were applied.
func (s *state) newsLocked() bool {
	if s.err == nil || s.err.Error() == s.told {
		return false
	}
	s.told = s.err.Error()
	return true
}

// rebuilds the read model, and is at a position.
func (s *state) rebuilds(at eventstore.Position, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rebuilding, s.rebuilt, s.err = why, at, nil
}

func (s *state) stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.standby, s.stopped, s.err = false, false, true, err
	s.waiters.releaseAll()
}
