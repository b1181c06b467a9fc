package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
)

// batch is what becomes one append.
type batch struct {
	eventstore.Append
	first uint64 // revision in the source
	last  eventstore.Recorded
	size  int
}

// batches reads what the source has after a position and puts together what belongs together (T5).
func (c *copying) batches(ctx context.Context, after eventstore.Position, use func(batch) bool) error {
	var b batch
	for r, err := range c.read(ctx, "source", c.From, after, c.head) {
		if err != nil {
			return err
		}
		if len(b.Events) > 0 {
			if b.takes(&r) && c.Together(b.last, r) {
				b.add(r)
				continue
			}
			if !use(b) {
				return nil
			}
		}
		b = batch{first: r.Revision, Append: eventstore.Append{Stream: r.Stream, Expected: eventstore.AtRevision(r.Revision) - 1}}
		b.add(r)
	}
	if len(b.Events) > 0 {
		use(b)
	}
	return nil
}

// takes reports whether an event can follow in the same append.
func (b *batch) takes(r *eventstore.Recorded) bool {
	return r.Stream == b.Stream && r.Revision == b.last.Revision+1 &&
		len(b.Events) < eventstore.MaxAppendEvents && b.size+sizeOf(r) <= eventstore.MaxAppendBytes
}

func (b *batch) add(r eventstore.Recorded) {
	b.Events = append(b.Events, r.Event)
	b.size += sizeOf(&r)
	b.last = r
}

func sizeOf(r *eventstore.Recorded) int { return len(r.Type) + len(r.Data) + len(r.Metadata) }

// explain says what an error of an append means for who copies.
func (b *batch) explain(err error) error {
	var reused *eventstore.IDReusedError
	var what string
	switch {
	case err == nil:
		return nil
	case errors.As(err, &reused):
		what = fmt.Sprintf("; the source holds the id a second time, in stream %s, which this target does not allow", b.Stream)
	case errors.Is(err, eventstore.ErrConflict):
		what = "; somebody else writes to the target, or the source has lost the beginning of the stream"
	case errors.Is(err, eventstore.ErrTooLarge), errors.Is(err, eventstore.ErrInvalid):
		what = fmt.Sprintf("; revision %d of the source does not fit into a store of logoutd", b.first)
	}
	return fmt.Errorf("target: stream %s: %w%s", b.Stream, err, what)
}
