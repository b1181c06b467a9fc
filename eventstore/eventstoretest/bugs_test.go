package eventstoretest_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"

	"github.com/logoutd/logoutd/eventstore"
)

// bug is one thing that a store can do wrong.
type bug string

const (
	none                bug = ""
	losesSecond         bug = "loses the second event of a batch"
	storesRefused       bug = "stores the first event of a batch that it refuses"
	oneByOne            bug = "stores the events of a batch one by one"
	lastWriteWins       bug = "looks at no expectation"
	countsFromOne       bug = "counts revisions from one"
	losesLast           bug = "acknowledges before it is durable"
	forgetsOrder        bug = "forgets the order"
	lateArrival         bug = "shows events after later ones"
	leavesHoles         bug = "leaves holes between positions"
	forgetsIDs          bug = "stores a repeated append again"
	remembersLastOnly   bug = "knows only the last append"
	forgetsDuplicate    bug = "does not say that it had the append"
	idsPerStream        bug = "accepts the id of another stream"
	firstIDOnly         bug = "takes an append with the same first id for the same"
	loadNotFound        bug = "loads a new stream with an error"
	keepsSnapshot       bug = "keeps an old snapshot"
	snapshotBeforeCheck bug = "stores the snapshot of a refused append"
	offByOne            bug = "reads after the revision instead of from it"
	inclusive           bug = "reads from the position instead of after it"
	emptyForMissing     bug = "reads a missing stream as an empty one"
	staleReads          bug = "reads without the last append"
	readsOnce           bug = "goes on where the last iteration ended"
	tidiesJSON          bug = "tidies JSON"
	sharesSlices        bug = "shares slices with its callers"
	historyOnly         bug = "ends a subscription with its history"
	losesAtHandOver     bug = "loses what arrives between history and live"
	repeatsAtEnd        bug = "repeats the last event of the history"
	waitsForSubscribers bug = "waits for its subscribers"
	waitsForReaders     bug = "waits for its readers"
	ignoresContext      bug = "ignores the context"
	storesWhenCancelled bug = "stores what was cancelled before"
	causeForUnknown     bug = "says of a stored append that it was cancelled"
	validatesNothing    bug = "validates nothing"
	smallLimits         bug = "has limits of its own"
	stopsAtLarge        bug = "reads no further than an append at the limit that is not the first"
	usableAfterClose    bug = "goes on after close"
	closeWakesNobody    bug = "lets subscribers wait after close"
)

func (b bug) is(other bug) bool { return b == other }

func (m *memory) validate(a eventstore.Append) error {
	if m.bug.is(validatesNothing) && len(a.Events) > 0 {
		return nil
	}
	size := 0
	for _, e := range a.Events {
		size += len(e.Data)
	}
	if m.bug.is(smallLimits) && size > eventstore.MaxAppendBytes/2 {
		return eventstore.ErrTooLarge
	}
	return a.Validate()
}

// stopAtLarge keeps what a reader sees who cannot pass a large event unless it is where the reading begins.
func (m *memory) stopAtLarge(rs []eventstore.Recorded) (seen []eventstore.Recorded, stopped bool) {
	for i, r := range rs {
		if i > 0 && len(r.Data) > eventstore.MaxAppendBytes/2 && m.bug.is(stopsAtLarge) {
			return rs[:i], true
		}
	}
	return rs, false
}

// pause lets others in, in the middle of something.
func (m *memory) pause() {
	m.mu.Unlock()
	for range 5 {
		runtime.Gosched()
	}
	m.mu.Lock()
}

func (m *memory) waitForReaders(ctx context.Context) error {
	for m.reading > 0 && m.bug.is(waitsForReaders) {
		wake := m.wake
		m.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
		case <-m.closed:
		}
		m.mu.Lock()
		if err := m.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) endReading() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reading--
	close(m.wake)
	m.wake = make(chan struct{})
}

// push hands an event to subscribers that are waited for.
func (m *memory) push(r eventstore.Recorded) {
	for _, c := range slices.Collect(keys(m.blocked)) {
		m.mu.Unlock()
		select {
		case c <- r:
		case <-m.closed:
		}
		m.mu.Lock()
	}
}

func keys[K comparable, V any](m map[K]V) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// errDone tells a subscription to end without a word.
var errDone = errors.New("done")

func (m *memory) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if m.bug.is(waitsForSubscribers) {
			m.subscribeBlocking(ctx, after, yield)
			return
		}
		first := true
		for {
			m.mu.Lock()
			wake := m.wake
			var news []eventstore.Recorded
			for _, r := range m.log[:m.visible] {
				if r.Position > after || m.bug.is(repeatsAtEnd) && first && r.Position == after {
					news = append(news, r)
				}
			}
			news, stopped := m.stopAtLarge(news)
			err := m.ready(ctx)
			m.mu.Unlock()
			if err == nil && m.bug.is(historyOnly) && !first && len(news) > 0 {
				err = errDone
			}
			if err != nil {
				if !errors.Is(err, errDone) {
					yield(eventstore.Recorded{}, err)
				}
				return
			}
			for _, r := range news {
				if !yield(r, nil) {
					return
				}
				after = r.Position
			}
			if stopped {
				return
			}
			if first && len(news) > 0 && m.bug.is(losesAtHandOver) {
				m.mu.Lock()
				after = m.position
				m.mu.Unlock()
			}
			first = first && len(news) == 0
			m.wait(ctx, wake)
		}
	}
}

func (m *memory) wait(ctx context.Context, wake <-chan struct{}) {
	closed, done := m.closed, ctx.Done()
	if m.bug.is(closeWakesNobody) {
		closed = nil
	}
	if m.bug.is(ignoresContext) {
		done = nil
	}
	select {
	case <-wake:
	case <-closed:
	case <-done:
	}
}

// subscribeBlocking is fed by those who append, one event at a time.
func (m *memory) subscribeBlocking(ctx context.Context, after eventstore.Position, yield func(eventstore.Recorded, error) bool) {
	c := make(chan eventstore.Recorded)
	m.mu.Lock()
	history := slices.Clone(m.log)
	m.blocked[c] = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.blocked, c)
		m.mu.Unlock()
	}()
	for _, r := range history {
		if r.Position > after && !yield(r, nil) {
			return
		}
	}
	for {
		select {
		case r := <-c:
			if !yield(r, nil) {
				return
			}
		case <-ctx.Done():
			yield(eventstore.Recorded{}, context.Cause(ctx))
			return
		case <-m.closed:
			yield(eventstore.Recorded{}, errClosed)
			return
		}
	}
}
