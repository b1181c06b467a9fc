package embedded

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

// sequencer is the one goroutine that decides what is appended, and where.
type sequencer struct {
	s        *Store
	position eventstore.Position // of the last event that was assigned one
	at       int64               // recorded_at of the group being built; never goes back
	key      []byte              // scratch
	value    []byte              // scratch
}

// newSequencer goes on where the folder ends.
func newSequencer(s *Store) (*sequencer, error) {
	q := &sequencer{s: s}
	last, found, err := s.lastRecord()
	if err != nil {
		return nil, err
	}
	if found {
		q.position, q.at = last.last().Position, last.at
	}
	return q, nil
}

func (q *sequencer) run() {
	s := q.s
	defer func() {
		if r := recover(); r != nil {
			s.lose(fmt.Errorf("%v", r))
		}
		close(s.committing)
	}()
	for {
		g, ok := q.gather()
		if !ok {
			return
		}
		s.started.Add(1)
		if g.last != 0 {
			if err := s.db.ApplyNoSyncWait(g.batch, pebble.Sync); err != nil {
				panic(err) // nothing that a batch of this store can cause
			}
			s.applied.Store(uint64(g.last))
			q.cacheHeads(g)
		}
		s.committing <- g
	}
}

// gather waits for room in the pipeline first: meanwhile, more appends come together.
func (q *sequencer) gather() (*group, bool) {
	var g *group
	select {
	case g = <-q.s.free:
	case <-q.s.halted:
		return nil, false
	}
	select {
	case r := <-q.s.queue:
		q.begin()
		q.take(g, r)
	case <-q.s.closing:
		return nil, false
	case <-q.s.halted:
		return nil, false
	}
	for !g.full() {
		select {
		case r := <-q.s.queue:
			q.take(g, r)
		default:
			return g, true
		}
	}
	return g, true
}

func (q *sequencer) begin() {
	q.at = max(q.at, q.s.cfg.Now().UnixNano())
	q.s.guard.check()
}

// take decides one append. Refusals are answered with the group, for what they were decided from may
// not be durable yet.
func (q *sequencer) take(g *group, r *request) {
	if !r.state.CompareAndSwap(stateQueued, stateAccepted) {
		q.s.recycle(r)
		return
	}
	g.requests = append(g.requests, r)
	r.result, r.err = q.decide(g, r)
}

func (q *sequencer) decide(g *group, r *request) (eventstore.Result, error) {
	if result, found, err := q.stored(g, r); found || err != nil {
		return result, err
	}
	h, actual, err := q.head(g, r.stream)
	if err != nil {
		return eventstore.Result{}, err
	}
	if r.expected != eventstore.Any && r.expected != actual {
		q.s.counters.conflicts.Add(1)
		return eventstore.Result{}, &eventstore.ConflictError{Stream: r.stream, Expected: r.expected, Actual: actual}
	}
	if err := q.s.trouble.err(); err != nil {
		return eventstore.Result{}, err
	}
	first := uint64(0)
	if actual != eventstore.NoStream {
		first = h.revision + 1
	}
	return q.write(g, r, first), nil
}

// write adds one append to the group's batch and gives it its place.
func (q *sequencer) write(g *group, r *request, revision uint64) eventstore.Result {
	n := uint64(len(r.ids))
	first := q.position + 1
	q.position += eventstore.Position(n)
	h := head{revision: revision + n - 1, position: q.position}
	if r.keepSnap {
		h.snapshot = r.kept()
	}
	b := g.batch

	op := b.SetDeferred(recordKeyLen, recordFixed+len(r.body))
	appendRecordKey(op.Key[:0], first)
	copy(op.Value[recordFixed:], r.body)
	putFixed(op.Value, r.bodySum, q.at, revision, first)
	_ = op.Finish()

	op = b.SetDeferred(prefixLen+len(r.stream), headFixed+len(h.snapshot))
	appendHeadKey(op.Key[:0], r.stream)
	putHead(op.Value, r.headSum, h)
	_ = op.Finish()

	op = b.SetDeferred(streamKeyLen(r.stream), positionBytes)
	appendStreamKey(op.Key[:0], r.stream, revision)
	binary.BigEndian.PutUint64(op.Value, uint64(first))
	_ = op.Finish()

	op = b.SetDeferred(idKeyLen, positionBytes)
	appendIDKey(op.Key[:0], r.ids[0])
	binary.BigEndian.PutUint64(op.Value, uint64(first))
	_ = op.Finish()

	g.ids[r.ids[0]] = r
	q.s.filter.add(r.ids[0])
	h.snapshot = nil
	g.heads[r.stream] = h
	g.last, g.events = q.position, g.events+n
	g.bytes += r.size()
	q.s.guard.written.Add(int64(r.size()))
	return eventstore.Result{Revision: h.revision, Position: h.position}
}

// cacheHeads keeps the heads that a group has written, in their order: the last one stays.
func (q *sequencer) cacheHeads(g *group) {
	for _, r := range g.requests {
		if r.err != nil || r.result.Duplicate {
			continue
		}
		h := head{revision: r.result.Revision, position: r.result.Position}
		if r.keepSnap {
			h.snapshot = r.kept()
		}
		q.key = appendHeadKey(q.key[:0], r.stream)
		size := headFixed + len(h.snapshot)
		if cap(q.value) < size {
			q.value = make([]byte, size)
		}
		q.value = q.value[:size]
		putHead(q.value, r.headSum, h)
		q.s.cache.written(q.key, q.value)
	}
}
