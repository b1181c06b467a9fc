package eventstore

import (
	"context"
	"iter"
)

// Append is one atomic write to one stream.
type Append struct {
	Stream   string
	Expected Expected
	Events   []Event
	// Snapshot, optional, is the folded state after these events, kept for Load (E8).
	// The store does not look inside.
	Snapshot []byte
}

// Result says where an append was stored.
type Result struct {
	Revision  uint64   // of the last event
	Position  Position // of the last event
	Duplicate bool     // it was there already (E6)
}

// Loaded is what a decision needs of a stream.
type Loaded struct {
	// Revision is NoStream or the last revision; the next append expects it.
	Revision Expected
	Position Position // of the last event; 0 when there is none
	Snapshot []byte   // nil when none is kept
	Events   []Recorded
}

// Direction of a read.
type Direction uint8

// Directions.
const (
	Forward Direction = iota
	Backward
)

// End, as the start of a backward read, begins with the last event.
const End = ^uint64(0)

// Appender stores events.
type Appender interface {
	// Append returns nil only when the events are durable (E1–E7, E12–E15).
	Append(ctx context.Context, a Append) (Result, error)
}

// Loader loads a stream for a decision.
type Loader interface {
	// Load costs one read where the store keeps snapshots (E8).
	// A stream that does not exist is no error: Revision is NoStream.
	Load(ctx context.Context, stream string) (Loaded, error)
}

// StreamReader reads one stream.
type StreamReader interface {
	// ReadStream yields the events from revision from on, that one included, in the
	// direction given; End starts a backward read at the last event. The sequence ends
	// after an error. A revision past the end yields nothing (E9).
	ReadStream(ctx context.Context, stream string, from uint64, dir Direction) iter.Seq2[Recorded, error]
}

// LogReader reads the global order.
type LogReader interface {
	// ReadAll yields the events after the position (Forward), or before it (Backward;
	// Position(End) starts with the last event), until there are no more (E9).
	ReadAll(ctx context.Context, from Position, dir Direction) iter.Seq2[Recorded, error]
	// Head is the position of the last durable event, 0 in an empty store.
	Head(ctx context.Context) (Position, error)
}

// Subscriber follows the global order.
type Subscriber interface {
	// Subscribe yields every event after the position and goes on with live events until
	// the context ends, the store closes or the consumer breaks (E10–E12).
	Subscribe(ctx context.Context, after Position) iter.Seq2[Recorded, error]
}

// Store is everything a store can do. Consumers ask for the part that they use.
type Store interface {
	Appender
	Loader
	StreamReader
	LogReader
	Subscriber
}
