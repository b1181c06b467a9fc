package esdbapi

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// feed is the log as all subscribers share it. One reader follows the store, encodes each event once, and
// adds it to the newest of a list of segments; subscribers walk the segments at their own pace and
// are waited for by nobody. Who has fallen behind what is kept reads a segment from the store, and finds company
// there: the next who comes by takes it from memory. The segments are bounded; the least
// used goes first.
//
// The reader runs only while somebody subscribes.
type feed struct {
	store    eventstore.Store
	capacity int64
	panicked func(value any, where string, err error) error // what a panic of the store is to subscribers
	reading  chan struct{}                                  // holds one token: one page is read of the store at a time, for whoever needs it

	pace    *pace
	running sync.WaitGroup

	mu       sync.Mutex
	segments []*segment // in order, not overlapping; the last is the live one, while the reader runs
	bytes    int64
	clock    int64 // counts uses
	readers  int   // subscribers attached
	stop     context.CancelFunc
	wake     chan struct{} // closed when there is more, nil while nobody waits
	waking   bool          // a later wake is due
	woken    time.Time     // the last wake
	failure  error         // why the reader ended by itself
}

// segment holds what the log has after one position and up to another.
type segment struct {
	after, upTo eventstore.Position
	entries     []*entry // only ever appended to, and that under the lock of the feed
	bytes       int64
	used        int64
}

func newFeed(store eventstore.Store, capacity int64, p *pace, panicked func(any, string, error) error) *feed {
	f := &feed{store: store, capacity: capacity, pace: p, panicked: panicked, reading: make(chan struct{}, 1)}
	f.reading <- struct{}{}
	return f
}

// segmentBytes is where the live segment is closed and a new one begun.
const segmentBytes = 256 << 10

// attach keeps the reader running until detach. It answers the end of the log: from there on nothing is missed.
func (f *feed) attach(ctx context.Context) (end eventstore.Position, detach func(), err error) {
	head, err := f.store.Head(ctx)
	if err != nil {
		return 0, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == 0 || f.failure != nil {
		f.startLocked(head)
	}
	f.readers++
	f.pace.join()
	return max(head, f.segments[len(f.segments)-1].upTo), f.detach, nil
}

// startLocked begins a live segment and follows the log from there.
func (f *feed) startLocked(head eventstore.Position) {
	ctx, cancel := context.WithCancel(context.Background()) // it outlives the call that began it
	if f.stop != nil {
		f.stop() // of a reader that has failed
	}
	f.stop, f.failure = cancel, nil
	f.segments, f.bytes = []*segment{{after: head, upTo: head}}, 0
	f.running.Go(func() { f.follow(ctx, head) })
}

func (f *feed) detach() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pace.leave()
	if f.readers--; f.readers > 0 {
		return
	}
	f.stop()
	f.stop = nil
	f.segments, f.bytes = nil, 0 // without a reader nobody would know where they end
}

// close waits for the reader. Every subscriber must have left.
func (f *feed) close() { f.running.Wait() }

// follow adds what the store gets to the live segment, until it is told to stop.
func (f *feed) follow(ctx context.Context, after eventstore.Position) {
	err := f.addAll(ctx, after)
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if f.failure = err; err == nil {
		f.failure = fmt.Errorf("%w: the store ended the subscription", eventstore.ErrUnavailable)
	}
	f.wakeLocked()
}

func (f *feed) addAll(ctx context.Context, after eventstore.Position) (err error) {
	defer func() { err = f.panicked(recover(), "the feed", err) }()
	for e, err := range f.store.Subscribe(ctx, after) {
		if err != nil {
			return err
		}
		n, err := newEntry(e)
		if err != nil {
			return err
		}
		f.pace.count()
		f.add(ctx, n)
	}
	return nil
}

func (f *feed) add(ctx context.Context, n *entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	live := f.segments[len(f.segments)-1]
	if live.bytes+n.size() > segmentBytes && len(live.entries) > 0 {
		live = &segment{after: live.upTo, upTo: live.upTo}
		f.segments = append(f.segments, live)
	}
	live.entries = append(live.entries, n)
	live.upTo = n.position
	live.bytes += n.size()
	f.touchLocked(live)
	f.bytes += n.size()
	f.evictLocked()
	f.wakeSoonLocked()
}

// wakePause is the least time between two wakes: to wake a hundred subscribers for every event costs more
// than the events.
const wakePause = 5 * time.Millisecond

// wakeSoonLocked wakes who waits: at once after a quiet time, else a little later and for all that has
// come by then.
func (f *feed) wakeSoonLocked() {
	now := time.Now()
	switch since := now.Sub(f.woken); {
	case f.waking:
	case since >= wakePause:
		f.woken = now
		f.wakeLocked()
	default:
		f.waking = true
		time.AfterFunc(wakePause-since, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.waking, f.woken = false, time.Now()
			f.wakeLocked()
		})
	}
}

func (f *feed) touchLocked(s *segment) {
	f.clock++
	s.used = f.clock
}

func (f *feed) wakeLocked() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// evictLocked drops the least used segments, but never the live one.
func (f *feed) evictLocked() {
	for f.bytes > f.capacity && len(f.segments) > 1 {
		oldest := 0
		for i, s := range f.segments[:len(f.segments)-1] {
			if s.used < f.segments[oldest].used {
				oldest = i
			}
		}
		f.bytes -= f.segments[oldest].bytes
		f.segments = slices.Delete(f.segments, oldest, oldest+1)
	}
}

// batchEvents and batchBytes bound what a subscriber takes at a time: so much one that is stalled keeps alive.
const (
	batchEvents = 64
	batchBytes  = 64 << 10
)

// batch is what comes after a position.
type batch struct {
	entries []*entry
	upTo    eventstore.Position // the place after them
	live    bool                // they were taken from the end of the log
	more    <-chan struct{}     // when there are none: closed when there may be
}

// next answers what comes after a position, or how to wait for it.
func (f *feed) next(ctx context.Context, after eventstore.Position) (batch, error) {
	for {
		f.mu.Lock()
		b, missing, err := f.findLocked(after)
		f.mu.Unlock()
		if err != nil || !missing {
			return b, err
		}
		s, err := f.load(ctx, after)
		if err != nil {
			return batch{}, err
		}
		if s != nil {
			return batch{entries: s.entries, upTo: s.upTo}, nil // even where memory for all has no room for it
		}
	}
}

// findLocked looks in the segments. missing says that the store must be asked.
func (f *feed) findLocked(after eventstore.Position) (b batch, missing bool, err error) {
	if len(f.segments) == 0 {
		return batch{}, false, shuttingDown()
	}
	live := f.segments[len(f.segments)-1]
	if after >= live.upTo {
		if f.failure != nil {
			return batch{}, false, f.failure
		}
		if f.wake == nil {
			f.wake = make(chan struct{})
		}
		return batch{upTo: after, live: true, more: f.wake}, false, nil
	}
	s := f.segmentLocked(after)
	if s == nil {
		return batch{}, true, nil
	}
	f.touchLocked(s)
	b = s.take(after)
	b.live = s == live || s.upTo == live.after
	return b, false, nil
}

// segmentLocked is the one that holds what comes after a position, nil if none does.
func (f *feed) segmentLocked(after eventstore.Position) *segment {
	i := sort.Search(len(f.segments), func(i int) bool { return f.segments[i].upTo > after })
	if i == len(f.segments) || f.segments[i].after > after {
		return nil
	}
	return f.segments[i]
}

// take is a part of the segment.
func (s *segment) take(after eventstore.Position) batch {
	first := sort.Search(len(s.entries), func(i int) bool { return s.entries[i].position > after })
	end, size := first, int64(0)
	for end < len(s.entries) && end-first < batchEvents && size < batchBytes {
		size += s.entries[end].size()
		end++
	}
	b := batch{entries: s.entries[first:end:end], upTo: s.upTo}
	if end < len(s.entries) {
		b.upTo = s.entries[end-1].position
	}
	return b
}

// load reads what comes after a position into a segment; nil when somebody else did so meanwhile.
func (f *feed) load(ctx context.Context, after eventstore.Position) (*segment, error) {
	select {
	case <-f.reading:
		defer func() { f.reading <- struct{}{} }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	f.mu.Lock()
	until, missing := f.gapLocked(after)
	f.mu.Unlock()
	if !missing {
		return nil, nil
	}
	events, more, err := page(f.store.ReadAll(ctx, after, eventstore.Forward), pageEvents)
	if err != nil {
		return nil, err
	}
	s := &segment{after: after, upTo: until}
	for _, e := range events {
		if e.Position > until {
			more = false
			break
		}
		n, err := newEntry(e)
		if err != nil {
			return nil, err
		}
		s.entries = append(s.entries, n)
		s.bytes += n.size()
		s.upTo = n.position
	}
	if !more {
		s.upTo = until // positions of other stores have holes: there is nothing between
	}
	f.insert(s)
	return s, nil
}

// gapLocked says up to where nothing is kept after a position.
func (f *feed) gapLocked(after eventstore.Position) (until eventstore.Position, missing bool) {
	if len(f.segments) == 0 || f.segmentLocked(after) != nil {
		return 0, false
	}
	i := sort.Search(len(f.segments), func(i int) bool { return f.segments[i].after > after })
	if i == len(f.segments) {
		return 0, false
	}
	return f.segments[i].after, true
}

func (f *feed) insert(s *segment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := sort.Search(len(f.segments), func(i int) bool { return f.segments[i].after > s.after })
	if i == len(f.segments) {
		return // the reader was stopped meanwhile
	}
	f.segments = slices.Insert(f.segments, i, s)
	f.touchLocked(s)
	f.bytes += s.bytes
	f.evictLocked()
}
