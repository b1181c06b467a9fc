package embedded

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// obstacle is one thing that keeps appends from being stored and may pass by itself.
type obstacle int

const (
	noSpace    obstacle = iota // the guard refuses: see spaceGuard
	noTables                   // a memtable cannot be written to a table; Pebble retries
	noFile                     // the next log or manifest cannot be created; diskFS retries
	noProgress                 // groups are under way, and none has become durable for a while
	obstacles
)

// halts says that appends do not get as far as the sequencer: what is taken now would only wait.
func (o obstacle) halts() bool { return o == noFile || o == noProgress }

// trouble remembers the obstacles of now. It may be told of one with any lock of Pebble held.
type trouble struct {
	mu   sync.Mutex
	errs [obstacles]error

	current atomic.Pointer[refusal]
	changed chan struct{} // capacity 1: wakes the watcher
}

type refusal struct {
	err   error
	halts bool
}

func newTrouble() *trouble { return &trouble{changed: make(chan struct{}, 1)} }

// set says that an obstacle is there, or with nil that it is gone.
func (t *trouble) set(o obstacle, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.errs[o]
	if before == nil && err == nil {
		return
	}
	t.errs[o] = err
	t.current.Store(t.worst())
	if (before == nil) != (err == nil) {
		t.wake()
	}
}

// worst prefers an obstacle that halts.
func (t *trouble) worst() *refusal {
	for o := obstacles - 1; o >= 0; o-- {
		if t.errs[o] != nil {
			return &refusal{err: t.errs[o], halts: o.halts()}
		}
	}
	return nil
}

func (t *trouble) wake() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// err is why an append is refused now.
func (t *trouble) err() error {
	if r := t.current.Load(); r != nil {
		return r.err
	}
	return nil
}

// halting is err, for those who have not reached the sequencer.
func (t *trouble) halting() error {
	if r := t.current.Load(); r != nil && r.halts {
		return r.err
	}
	return nil
}

// Trouble is nil as long as appends can be stored. Otherwise it is the ErrUnavailable with which they
// are refused: the disk is full, slow or failing, which passes by itself when the cause does, or the
// store is closed or has failed.
func (s *Store) Trouble() error {
	if s.gone.Load() || s.Err() != nil {
		return s.unavailable()
	}
	return s.trouble.err()
}

// watch tells of trouble as it comes and goes, and finds the trouble that nobody else sees: a disk
// that neither succeeds nor fails.
func (s *Store) watch() {
	const looks = 4 // in the time that a group may take
	tick := time.NewTicker(s.cfg.stallAfter / looks)
	defer tick.Stop()
	var told bool
	var seen uint64
	since := time.Now()
	for {
		if done := s.finished.Load(); done != seen || done == s.started.Load() {
			seen, since = done, time.Now()
		}
		s.trouble.set(noProgress, s.stalled(time.Since(since)))
		if s.trouble.err() != nil {
			s.guard.check() // room may come back while nobody appends
		}
		if err := s.trouble.err(); (err != nil) != told {
			told = err != nil
			s.cfg.Notify(err)
		}
		select {
		case <-tick.C:
		case <-s.trouble.changed:
		case <-s.halted:
			return
		}
	}
}

func (s *Store) stalled(d time.Duration) error {
	if d < s.cfg.stallAfter {
		return nil
	}
	return unavailable(s.cfg.Dir, fmt.Errorf("the disk has completed no write for %s; check the disk", s.cfg.stallAfter))
}

// events listens to Pebble, which calls with its locks held: nothing here may wait.
func (s *Store) events() *pebble.EventListener {
	var failed error // of the last flush; guarded by Pebble's lock
	return &pebble.EventListener{
		FlushEnd: func(i pebble.FlushInfo) {
			if failed = i.Err; failed == nil {
				s.fs.tables.reset()
				s.trouble.set(noTables, nil)
			}
		},
		CompactionEnd: func(i pebble.CompactionInfo) {
			if i.Err == nil {
				s.fs.tables.reset()
			}
		},
		// What fails is tried again at once, for ever. The tables that this takes are created with growing pauses.
		BackgroundError: func(err error) {
			s.fs.tables.grow()
			// Only a flush keeps appends waiting. A compaction that fails shows when writes stall.
			if failed != nil && errors.Is(err, failed) {
				s.trouble.set(noTables, unavailable(s.cfg.Dir,
					fmt.Errorf("tables cannot be written: %w; make room or check the disk", err)))
			}
		},
	}
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// pause is how long to wait before the next try; it doubles with each failure.
type pause struct{ d atomic.Int64 }

func (p *pause) reset() { p.d.Store(0) }

func (p *pause) grow() {
	p.d.Store(int64(min(max(2*time.Duration(p.d.Load()), firstPause), lastPause)))
}

// wait is false when the end came first.
func (p *pause) wait(end <-chan struct{}) bool {
	d := time.Duration(p.d.Load())
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-end:
		return false
	}
}
