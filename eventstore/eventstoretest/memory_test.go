package eventstoretest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// memory is the reference: the contract in the fewest words, and the places where each bug goes.
type memory struct {
	bug bug

	mu        sync.Mutex
	log       []eventstore.Recorded
	appends   []stored
	byID      map[eventstore.EventID]int // first id → index of appends
	revisions map[string]int
	snapshots map[string][]byte
	position  eventstore.Position
	visible   int // of log; all of it, but for stale reads
	wake      chan struct{}
	isClosed  bool
	closed    chan struct{}
	reading   int
	blocked   map[chan eventstore.Recorded]bool
}

type stored struct {
	stream string
	ids    []eventstore.EventID
	res    eventstore.Result
}

func newMemory(b bug) *memory {
	return &memory{
		bug: b, byID: map[eventstore.EventID]int{}, revisions: map[string]int{}, snapshots: map[string][]byte{},
		wake: make(chan struct{}), closed: make(chan struct{}), blocked: map[chan eventstore.Recorded]bool{},
	}
}

var _ eventstore.Store = (*memory)(nil)

var errClosed = errors.Join(eventstore.ErrUnavailable, errors.New("closed"))

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isClosed {
		m.isClosed = true
		close(m.closed)
	}
	return nil
}

// ready is the beginning of every call.
func (m *memory) ready(ctx context.Context) error {
	if ctx.Err() != nil && !m.bug.is(ignoresContext) {
		return context.Cause(ctx)
	}
	if m.isClosed && !m.bug.is(usableAfterClose) {
		return errClosed
	}
	return nil
}

func (m *memory) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := m.validate(a); err != nil {
		return eventstore.Result{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx); err != nil {
		if m.bug.is(storesWhenCancelled) {
			m.store(a)
		}
		return eventstore.Result{}, err
	}
	if err := m.waitForReaders(ctx); err != nil {
		return eventstore.Result{}, err
	}
	if m.bug.is(snapshotBeforeCheck) {
		m.snapshots[a.Stream] = a.Snapshot
	}
	if res, known, err := m.known(a); known {
		return res, err
	}
	actual := eventstore.Expected(m.revisions[a.Stream] - 1)
	if !m.holds(a.Expected, actual) {
		if m.bug.is(storesRefused) {
			a.Events = a.Events[:1]
			m.store(a)
		}
		return eventstore.Result{}, &eventstore.ConflictError{Stream: a.Stream, Expected: a.Expected, Actual: actual}
	}
	res := m.store(a)
	if m.bug.is(causeForUnknown) {
		select {
		case <-ctx.Done():
			return eventstore.Result{}, context.Cause(ctx)
		default:
		}
	}
	return res, nil
}

func (m *memory) holds(expected, actual eventstore.Expected) bool {
	switch {
	case m.bug.is(lastWriteWins), expected == eventstore.Any:
		return true
	case m.bug.is(countsFromOne):
		return expected == actual+1
	default:
		return expected == actual
	}
}

// known answers an append whose first id is stored.
func (m *memory) known(a eventstore.Append) (eventstore.Result, bool, error) {
	i, ok := m.byID[a.Events[0].ID]
	if !ok || m.bug.is(forgetsIDs) || m.bug.is(remembersLastOnly) && i != len(m.appends)-1 {
		return eventstore.Result{}, false, nil
	}
	was := m.appends[i]
	var ids []eventstore.EventID
	for _, e := range a.Events {
		ids = append(ids, e.ID)
	}
	if was.stream != a.Stream && m.bug.is(idsPerStream) {
		return eventstore.Result{}, false, nil
	}
	if was.stream != a.Stream || !slices.Equal(was.ids, ids) && !m.bug.is(firstIDOnly) {
		return eventstore.Result{}, true, &eventstore.IDReusedError{ID: ids[0], Stream: was.stream, First: was.res}
	}
	was.res.Duplicate = !m.bug.is(forgetsDuplicate)
	return was.res, true, nil
}

// store is called with mu held, and some bugs let go of it.
func (m *memory) store(a eventstore.Append) eventstore.Result {
	was := stored{stream: a.Stream}
	m.visible = len(m.log)
	late := m.position + eventstore.Position(len(a.Events))
	if m.bug.is(lateArrival) {
		m.position = late
		m.pause()
		m.position -= eventstore.Position(len(a.Events))
	}
	for i, e := range a.Events {
		was.ids = append(was.ids, e.ID)
		if i == 1 && m.bug.is(losesSecond) {
			continue
		}
		if i > 0 && m.bug.is(oneByOne) {
			m.pause()
		}
		m.position++
		if m.bug.is(leavesHoles) {
			m.position++
		}
		m.insert(eventstore.Recorded{
			Event: m.own(e), Stream: a.Stream, Revision: uint64(m.revisions[a.Stream]), Position: m.position, RecordedAt: time.Unix(1, 0), //nolint:gosec // small
		})
		m.revisions[a.Stream]++
	}
	if a.Snapshot != nil || !m.bug.is(keepsSnapshot) {
		m.snapshots[a.Stream] = bytes.Clone(a.Snapshot)
	}
	was.res = eventstore.Result{Revision: uint64(m.revisions[a.Stream] - 1), Position: m.position} //nolint:gosec // at least one
	m.byID[a.Events[0].ID] = len(m.appends)
	m.appends = append(m.appends, was)
	if !m.bug.is(staleReads) {
		m.visible = len(m.log)
	}
	close(m.wake)
	m.wake = make(chan struct{})
	return was.res
}

func (m *memory) insert(r eventstore.Recorded) {
	at := len(m.log)
	if m.bug.is(forgetsOrder) && at > 0 && at%3 == 0 {
		at--
	}
	m.log = slices.Insert(m.log, at, r)
	m.push(r)
}

// own copies what the caller keeps.
func (m *memory) own(e eventstore.Event) eventstore.Event {
	if m.bug.is(sharesSlices) {
		return e
	}
	e.Data, e.Metadata = bytes.Clone(e.Data), bytes.Clone(e.Metadata)
	if m.bug.is(tidiesJSON) {
		e.Data = bytes.TrimSpace(e.Data)
	}
	return e
}
