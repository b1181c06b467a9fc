package embedded

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/logoutd/logoutd/eventstore"
)

var _ eventstore.Store = (*Store)(nil)

// Store is an event store in one folder. Its methods may be called from any goroutine.
type Store struct {
	cfg  Config
	fs   *diskFS
	db   *pebble.DB
	lock *pebble.Lock

	// queue is bounded: when it is full, appends wait in their own goroutine, where their
	// context can call them back.
	queue chan *request
	// free holds the groups that are neither being built nor synced; its size is the depth
	// of the pipeline.
	free       chan *group
	committing chan *group

	trouble *trouble
	guard   spaceGuard
	// Groups that the sequencer has begun to write and that the committer is done with: the watcher
	// looks whether there is progress.
	started, finished atomic.Uint64

	durable  watermark
	applied  atomic.Uint64 // position up to which Pebble shows events, durable or not yet
	counters counters
	cache    *headCache
	filter   *idFilter
	requests sync.Pool // of *request
	keys     sync.Pool // of *[]byte, scratch for the keys of point reads

	// closing asks the sequencer to stop; halted tells callers that no answer will come any more.
	closing   chan struct{}
	closeOnce sync.Once
	halted    chan struct{}
	haltOnce  sync.Once
	workers   sync.WaitGroup

	failed   chan struct{}
	failure  atomic.Pointer[error]
	lost     chan struct{} // closed when Pebble may hold its locks for ever: do not touch it again
	loseOnce sync.Once
	closeErr error

	// reading is held, shared, by every use of db outside the workers, and alone by Close.
	reading sync.RWMutex
	gone    atomic.Bool
}

// Open opens the store in cfg.Dir, and creates it in a folder that is empty or does not exist. What
// an interrupted process left behind is recovered first. A folder in use, of a newer
// version, or of something else is refused with one line that says what to do; a damaged one with
// eventstore.ErrCorrupt. Close the store to release the folder.
func Open(cfg Config) (*Store, error) { return open(cfg, vfs.Default) }

func open(cfg Config, fsys vfs.FS) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("embedded event store: %w", err)
	}
	cfg = cfg.withDefaults()
	if err := createDir(fsys, cfg.Dir); err != nil {
		return nil, fmt.Errorf("data folder %s cannot be created; check the owner and mode of its parent: %w", cfg.Dir, err)
	}
	lock, err := pebble.LockDirectory(cfg.Dir, fsys)
	if err != nil {
		return nil, lockError(cfg.Dir, err)
	}
	s, err := openLocked(cfg, fsys, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func openLocked(cfg Config, fsys vfs.FS, lock *pebble.Lock) (*Store, error) {
	if err := checkFormat(fsys, cfg.Dir); err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, lock: lock, trouble: newTrouble(),
		queue:      make(chan *request, queueLen),
		free:       make(chan *group, pipelineDepth),
		committing: make(chan *group, pipelineDepth),
		closing:    make(chan struct{}),
		halted:     make(chan struct{}),
		failed:     make(chan struct{}),
		lost:       make(chan struct{}),
	}
	s.fs = &diskFS{
		FS: fsys, dir: cfg.Dir, patience: cfg.patience, trouble: s.trouble,
		closing: s.closing, ending: make(chan struct{}), lose: s.lose,
	}
	s.guard.fs, s.guard.dir, s.guard.floor, s.guard.trouble = s.fs, cfg.Dir, cfg.MinFreeBytes, s.trouble
	// Heads are a quarter of the cache: a Load that finds one there searches nothing.
	s.cache, s.filter = newHeadCache(cfg.CacheBytes/4), newIDFilter()
	opts := pebbleOptions(s.fs, cfg.CacheBytes-cfg.CacheBytes/4, cfg.memTableBytes, s.events(), s.lose)
	opts.Lock = lock
	if err := s.guarded(func() (err error) {
		s.db, err = pebble.Open(cfg.Dir, opts)
		return err
	}); err != nil {
		return nil, openError(cfg.Dir, err)
	}
	seq, err := newSequencer(s)
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.durable.advance(seq.position)
	s.applied.Store(uint64(seq.position))
	for range pipelineDepth {
		s.free <- newGroup(s.db)
	}
	s.fs.strict.Store(true)
	s.workers.Go(seq.run)
	s.workers.Go(s.commit)
	s.workers.Go(s.fillFilter)
	s.workers.Go(s.watch)
	return s, nil
}

// Close stops taking appends, waits for those under way, and releases the folder. Every later call
// answers ErrUnavailable. It reports the failure of a store that has failed; the folder of such a
// store may stay locked until the process ends. A disk that does not let it finish within
// CloseTimeout fails the store. A second Close returns the same as the first.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.closeErr = s.shut()
	})
	return s.closeErr
}

func (s *Store) shut() error {
	late := time.AfterFunc(s.cfg.CloseTimeout, func() {
		s.lose(fmt.Errorf("not closed within %s: the disk has not completed what is under way, and may do so later", s.cfg.CloseTimeout))
	})
	defer late.Stop()
	err := s.guarded(func() error {
		s.workers.Wait()
		s.gone.Store(true)
		s.reading.Lock() // waits for those who read
		s.halt()
		s.reading.Unlock()
		s.cache.close()
		s.fs.strict.Store(false)
		close(s.fs.ending)
		return s.db.Close()
	})
	if s.isLost() {
		return s.Err() // the lock stays: what Pebble has under way may still write
	}
	err = errors.Join(s.Err(), err, s.lock.Close())
	if err != nil {
		return fmt.Errorf("data folder %s: close: %w", s.cfg.Dir, err)
	}
	return nil
}

// Failed is closed when the disk has failed the store: see Err. Only a new process can go on.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err is the reason why the store failed, nil as long as it has not.
func (s *Store) Err() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail ends the store for good. The first reason counts.
func (s *Store) fail(cause error) {
	err := fmt.Errorf("data folder %s failed and was stopped to protect what it holds: %w; check the disk, then restart logoutd",
		s.cfg.Dir, cause)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
	}
	s.halt()
}

// lose fails the store when Pebble stopped in the middle of something.
func (s *Store) lose(cause error) {
	s.fail(cause)
	s.loseOnce.Do(func() { close(s.lost) })
}

func (s *Store) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

func (s *Store) halt() { s.haltOnce.Do(func() { close(s.halted) }) }

// guarded calls Pebble where a panic, or a call that never returns, must become an error of the store.
func (s *Store) guarded(call func() error) error {
	answer := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				s.lose(fmt.Errorf("%v", r))
			}
		}()
		answer <- call()
	}()
	select {
	case err := <-answer:
		return err
	case <-s.lost:
		return s.Err()
	}
}

// unavailable is the answer of a store that is closed or has failed.
func (s *Store) unavailable() error {
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", eventstore.ErrUnavailable, err)
	}
	return unavailable(s.cfg.Dir, errClosed)
}

// acquire lets the caller read db until release.
func (s *Store) acquire() error {
	ended := func() bool { return s.gone.Load() || s.failure.Load() != nil }
	if ended() { // a reader that hangs must not hang those who come after Close
		return s.unavailable()
	}
	s.reading.RLock()
	if ended() {
		s.reading.RUnlock()
		return s.unavailable()
	}
	return nil
}

func (s *Store) release() { s.reading.RUnlock() }
