package embedded

import (
	"context"
	"iter"

	"github.com/logoutd/logoutd/eventstore"
)

// Subscribe yields every event after a position as soon as it is durable, until the consumer breaks,
// ctx ends (its cause is yielded) or the store closes or fails (ErrUnavailable). A consumer that is
// slow reads from the disk later what it did not read from memory now; nobody waits for it.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := newReader(s)
		for {
			if durable := s.durable.load(); after < durable {
				if !r.allForward(ctx, after, durable, yield) {
					return
				}
				after = durable
			}
			clear(r.events[:cap(r.events)]) // an idle subscriber keeps no event alive
			if err := s.awaitPast(ctx, after); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
		}
	}
}
