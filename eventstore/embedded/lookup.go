package embedded

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

// head finds where a stream is, what the group being built adds included. Groups that
// are applied but not yet durable count: the answer waits for them.
func (q *sequencer) head(g *group, stream string) (head, eventstore.Expected, error) {
	if h, ok := g.heads[stream]; ok {
		return h, eventstore.AtRevision(h.revision), nil
	}
	q.key = appendHeadKey(q.key[:0], stream)
	v := q.s.cache.get(q.key)
	if v == nil {
		var err error
		if v, err = q.s.copyOf(q.key); err != nil {
			return head{}, 0, readError(q.s.cfg.Dir, "head of stream "+stream, err)
		}
	}
	if v == nil {
		return head{}, eventstore.NoStream, nil
	}
	h, err := parseHead(stream, v)
	if err != nil {
		return head{}, 0, readError(q.s.cfg.Dir, "head of stream "+stream, err)
	}
	return h, eventstore.AtRevision(h.revision), nil
}

// stored answers an append whose first id is known already: it is the same append (E6) or a
// mistake (E7). It comes before the expectation, for a repeated append always finds its stream moved.
func (q *sequencer) stored(g *group, r *request) (eventstore.Result, bool, error) {
	if earlier, ok := g.ids[r.ids[0]]; ok {
		return q.same(r, earlier.stream, earlier.ids, earlier.result)
	}
	if q.s.filter.isNew(r.ids[0]) {
		return eventstore.Result{}, false, nil
	}
	q.key = appendIDKey(q.key[:0], r.ids[0])
	v, closer, err := q.s.db.Get(q.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return eventstore.Result{}, false, nil
	}
	what := "event id " + r.ids[0].String()
	if err != nil {
		return eventstore.Result{}, false, readError(q.s.cfg.Dir, what, err)
	}
	first, ok := parsePosition(v)
	if err := closer.Close(); err != nil || !ok {
		return eventstore.Result{}, false, readError(q.s.cfg.Dir, what, errors.Join(err, errRecord))
	}
	rec, ids, err := q.s.loadIDs(first)
	if err != nil {
		return eventstore.Result{}, false, err
	}
	return q.same(r, string(rec.stream), ids, rec.last())
}

func (q *sequencer) same(r *request, stream string, ids []eventstore.EventID, first eventstore.Result) (eventstore.Result, bool, error) {
	if stream != r.stream || !slices.Equal(ids, r.ids) {
		return eventstore.Result{}, true, &eventstore.IDReusedError{ID: r.ids[0], Stream: stream, First: first}
	}
	q.s.counters.duplicates.Add(1)
	first.Duplicate = true
	return first, true, nil
}

// loadIDs reads the record at a position that an index points to.
func (s *Store) loadIDs(first eventstore.Position) (record, []eventstore.EventID, error) {
	v, err := s.getRecord(first)
	if err != nil {
		return record{}, nil, err
	}
	rec, err := parseRecord(first, v)
	if err != nil {
		return record{}, nil, readError(s.cfg.Dir, "position "+first.String(), err)
	}
	ids, err := rec.eventIDs()
	if err != nil {
		return record{}, nil, readError(s.cfg.Dir, "position "+first.String(), err)
	}
	return rec, ids, nil
}

// getRecord copies the record at a position that an index points to.
func (s *Store) getRecord(first eventstore.Position) ([]byte, error) {
	var key [recordKeyLen]byte
	v, closer, err := s.db.Get(appendRecordKey(key[:0], first))
	if errors.Is(err, pebble.ErrNotFound) {
		err = errRecord // the index and the record were written together
	}
	if err != nil {
		return nil, readError(s.cfg.Dir, "position "+first.String(), err)
	}
	own := append(make([]byte, 0, len(v)), v...)
	if err := closer.Close(); err != nil {
		return nil, readError(s.cfg.Dir, "position "+first.String(), err)
	}
	return own, nil
}

// lastRecord reads the end of the global order.
func (s *Store) lastRecord() (record, bool, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefixRecord), UpperBound: []byte("g0")})
	if err != nil {
		return record{}, false, readError(s.cfg.Dir, "last position", err)
	}
	var rec record
	found := it.Last()
	if found {
		var first eventstore.Position
		first, _ = parsePosition(it.Key()[prefixLen:])
		rec, err = parseRecord(first, it.Value())
		rec.stream, rec.events = nil, nil // parts of what is closed now
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return record{}, false, readError(s.cfg.Dir, "last position", err)
	}
	return rec, found, nil
}
