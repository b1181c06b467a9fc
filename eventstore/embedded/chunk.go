package embedded

import (
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

// Reads take records in chunks and hand them out with no iterator open, so that a reader that has
// stopped in the middle holds some memory of its own and nothing of the store (E11). A chunk
// starts small, for many readers want only a few events, and grows.
const (
	firstChunk = 16
	lastChunk  = 512
	chunkBytes = 1 << 20
)

// reader is the state of one read or subscription.
type reader struct {
	s      *Store
	limit  int // records in the next chunk
	events []eventstore.Recorded
	types  names
	stream string // of the record before; streams tend to repeat

	backwards bool
	firsts    []eventstore.Position // scratch of a stream read
}

func newReader(s *Store) *reader {
	return &reader{s: s, limit: firstChunk, types: make(names)}
}

// start empties the chunk and checks that reading may go on.
func (r *reader) start(ctx context.Context) error {
	r.events = r.events[:0]
	if err := ended(ctx); err != nil {
		return err
	}
	return r.s.acquire()
}

// check is a read of nothing.
func (r *reader) check(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	r.s.release()
	return nil
}

func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("read: %w", context.Cause(ctx))
}

// hand yields the events of the chunk that are wanted. It is false when the consumer wants no more or
// has been told that the context ended.
func (r *reader) hand(ctx context.Context, wanted func(*eventstore.Recorded) bool, yield yielder) bool {
	for i := range r.events {
		if !wanted(&r.events[i]) {
			continue
		}
		if err := ended(ctx); err != nil {
			yield(eventstore.Recorded{}, err)
			return false
		}
		if !yield(r.events[i], nil) {
			return false
		}
	}
	return true
}

type yielder = func(eventstore.Recorded, error) bool

func (r *reader) grow() { r.limit = min(2*r.limit, lastChunk) }

// add decodes a copy of one record to the end of the chunk.
func (r *reader) add(first eventstore.Position, own []byte) error {
	start := len(r.events)
	events, err := appendEvents(r.events, first, own, r.stream, r.types)
	if err != nil {
		return readError(r.s.cfg.Dir, "position "+first.String(), err)
	}
	if r.backwards {
		slices.Reverse(events[start:])
	}
	r.events = events
	r.stream = events[len(events)-1].Stream
	return nil
}

// forward fills the chunk with the records that hold events after and up to two positions.
func (r *reader) forward(ctx context.Context, after, upTo eventstore.Position) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	defer r.s.release()
	return r.scan(upTo, func(it *pebble.Iterator) bool {
		// The next event may be in the middle of its record: the last one that begins at or below it.
		return it.SeekLT(recordKey(after + 2))
	}, (*pebble.Iterator).Next)
}

// backward fills the chunk with the records that hold events before a position, the latest first.
func (r *reader) backward(ctx context.Context, before eventstore.Position) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	defer r.s.release()
	return r.scan(before-1, (*pebble.Iterator).Last, (*pebble.Iterator).Prev)
}

// scan walks the records that begin at or below upTo.
func (r *reader) scan(upTo eventstore.Position, seek, step func(*pebble.Iterator) bool) (err error) {
	dir := r.s.cfg.Dir
	it, err := r.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefixRecord), UpperBound: recordKey(upTo + 1)})
	if err != nil {
		return readError(dir, "read", err)
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = readError(dir, "read", e)
		}
	}()
	records, bytes := 0, 0
	for ok := seek(it); ok && records < r.limit && bytes < chunkBytes; ok = step(it) {
		first, valid := parsePosition(it.Key()[prefixLen:])
		v, err := it.ValueAndErr()
		if err != nil || !valid {
			return readError(dir, "read", pick(err, errRecord))
		}
		if err := r.add(first, append(make([]byte, 0, len(v)), v...)); err != nil {
			return err
		}
		records++
		bytes += len(v)
	}
	r.grow()
	return nil
}

func recordKey(first eventstore.Position) []byte {
	return appendRecordKey(make([]byte, 0, recordKeyLen), first)
}

func pick(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
