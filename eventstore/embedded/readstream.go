package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

// ReadStream yields what was durable when the iteration began. Its errors are ErrStreamNotFound,
// ErrInvalid, ErrUnavailable, ErrCorrupt and the cause of ctx.
func (s *Store) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		err := eventstore.ValidName("stream", stream)
		var h head
		var found bool
		if err == nil {
			h, found, err = s.durableHead(ctx, stream)
		}
		if err == nil && !found {
			err = fmt.Errorf("%w: %s", eventstore.ErrStreamNotFound, stream)
		}
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if dir == eventstore.Backward && from == eventstore.End {
			from = h.revision
		}
		if from > h.revision {
			return
		}
		if dir == eventstore.Backward {
			s.streamBackward(ctx, stream, from)(yield)
			return
		}
		s.streamForward(ctx, stream, from, h.revision)(yield)
	}
}

// streamForward yields the revisions from one to another, both included.
func (s *Store) streamForward(ctx context.Context, stream string, from, to uint64) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := newReader(s)
		r.stream = stream
		wanted := func(e *eventstore.Recorded) bool { return e.Revision >= from && e.Revision <= to }
		for {
			if err := r.streamChunk(ctx, stream, from, to); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			last := r.events[len(r.events)-1].Revision
			if last < from { // the same chunk again, for ever
				yield(eventstore.Recorded{}, readError(s.cfg.Dir, "stream "+stream, errRecord))
				return
			}
			if !r.hand(ctx, wanted, yield) || last >= to {
				return
			}
			from = last + 1
		}
	}
}

// streamBackward yields the revisions from one down to the first.
func (s *Store) streamBackward(ctx context.Context, stream string, from uint64) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := newReader(s)
		r.stream, r.backwards = stream, true
		wanted := func(e *eventstore.Recorded) bool { return e.Revision <= from }
		for {
			if err := r.streamChunk(ctx, stream, 0, from); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			last := r.events[len(r.events)-1].Revision
			if last > from {
				yield(eventstore.Recorded{}, readError(s.cfg.Dir, "stream "+stream, errRecord))
				return
			}
			if !r.hand(ctx, wanted, yield) || last == 0 {
				return
			}
			from = last - 1
		}
	}
}

// streamChunk fills the chunk with records of one stream: those that begin with the one that holds
// from, or backwards with the one that holds to.
func (r *reader) streamChunk(ctx context.Context, stream string, from, to uint64) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	defer r.s.release()
	if err := r.index(stream, from, to); err != nil {
		return readError(r.s.cfg.Dir, "stream "+stream, err)
	}
	bytes := 0
	for _, first := range r.firsts {
		rec, err := r.s.getRecord(first)
		if err != nil {
			return err
		}
		if err := r.add(first, rec); err != nil {
			return err
		}
		if r.stream != stream {
			return readError(r.s.cfg.Dir, "stream "+stream, errRecord)
		}
		if bytes += len(rec); bytes >= chunkBytes {
			break
		}
	}
	if len(r.events) == 0 {
		return readError(r.s.cfg.Dir, "stream "+stream, errRecord) // the head knows of events that are not there
	}
	r.grow()
	return nil
}

// index collects the first positions of the next records of a stream.
func (r *reader) index(stream string, from, to uint64) (err error) {
	lower, upper := streamBounds(stream)
	it, err := r.s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var ok bool
	step := it.Next
	if r.backwards {
		step = it.Prev
		ok = it.SeekLT(appendStreamKey(nil, stream, to+1))
	} else {
		// The revision may be in the middle of an append that begins before it.
		ok = it.SeekLT(appendStreamKey(nil, stream, from+1))
	}
	r.firsts = r.firsts[:0]
	for ; ok && len(r.firsts) < r.limit; ok = step() {
		key := it.Key()
		if binary.BigEndian.Uint64(key[len(key)-8:]) > to {
			break
		}
		first, valid := parsePosition(it.Value())
		if !valid {
			return errRecord
		}
		r.firsts = append(r.firsts, first)
	}
	return it.Error()
}
