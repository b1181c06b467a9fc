package projections

import (
	"context"

	"github.com/logoutd/logoutd/eventstore"
)

// Projection is a read model that is filled from the event store. One runner calls it,
// never concurrently, but for Checkpoint and Describe.
type Projection interface {
	// Describe says what it is, without any I/O.
	Describe() Description
	// Acquire opens or makes the read model where that is still to be done, makes the caller the only
	// one that may apply (P3), and returns where to go on from.
	Acquire(ctx context.Context) (Checkpoint, error)
	// Checkpoint answers how far the read model is, whoever holds it.
	Checkpoint(ctx context.Context) (Checkpoint, error)
	// Apply applies events, which follow each other in the global order, to a read model that
	// is at from, and moves it to the position of the last one (P1–P5). Without
	// events it does nothing.
	Apply(ctx context.Context, from eventstore.Position, events []eventstore.Recorded) error
}

// Shared is a Projection in a database that several processes share. One of them at a time feeds
// it, the others stand by, follow its checkpoint and take over (P11).
type Shared interface {
	Projection
	// Await returns when it is the caller's turn to Acquire and Apply, or the context ends. The turn
	// lasts until release is called or the process is gone. Turns keep processes from fighting; what
	// keeps the read model right is the fence (P3), should two ever believe that it is their turn.
	Await(ctx context.Context) (release func(), err error)
}

// Rebuilder is a Projection of which no other process has a part, so that it may be replaced (P12).
type Rebuilder interface {
	Projection
	// Rebuild lets fill fill an empty read model beside this one, and then puts it in its place. Where
	// fill fails, or the context ends, nothing has changed. Afterwards it is to be acquired again.
	Rebuild(ctx context.Context, fill func(next Projection) error) error
}

// Description says what a projection is.
type Description struct {
	Name string // as in "activetokens"
	// Version of the read model's meaning, from 1. Another version is another read model.
	Version int
	// Location is where it is kept, as an operator would name it, without credentials.
	Location string
}

// Checkpoint is how far a read model is.
type Checkpoint struct {
	Position eventstore.Position // of the last event applied, 0 before the first
	Last     EventRef            // that event, the zero value before the first (P6)
}

// EventRef names one stored event.
type EventRef struct {
	Stream   string
	Revision uint64
	ID       eventstore.EventID
}

// RefTo names a stored event.
func RefTo(r *eventstore.Recorded) EventRef {
	return EventRef{Stream: r.Stream, Revision: r.Revision, ID: r.ID}
}
