package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

// cursor is a read that can be taken up again where it was interrupted.
type cursor interface {
	what() string
	// open begins the read after the last event that was taken.
	open(ctx context.Context, client *sdk.Client) (*sdk.ReadStream, error)
	// take moves the cursor to an event and reports whether the reader is to see it.
	take(r *eventstore.Recorded) bool
	// over says that nothing can follow.
	over() bool
}

// ReadStream reads one stream, those of the server included.
func (s *Store) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := eventstore.ValidName("stream", stream); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		s.read(ctx, &streamCursor{stream: stream, next: from, dir: dir}, yield)
	}
}

// ReadAll reads the global order without the events of the server. A position other than 0, End and those that the
// store gave out is one that the server may refuse.
func (s *Store) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		head, err := s.Head(ctx) // the server must not be asked for a place that does not exist
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		switch {
		case dir == eventstore.Forward && from >= head, dir == eventstore.Backward && from == 0:
			return
		case from > head:
			from = eventstore.Position(eventstore.End)
		}
		s.read(ctx, &logCursor{at: from, dir: dir}, yield)
	}
}

// read yields what a cursor reads, and takes it up again after a failure that may pass.
func (s *Store) read(ctx context.Context, c cursor, yield func(eventstore.Recorded, error) bool) {
	for n := 1; !c.over(); n++ {
		progress, more, err := s.readOnce(ctx, c, yield)
		if !more {
			return
		}
		if progress {
			n = 1
		}
		ended := ctx.Err() != nil || errors.Is(err, errClosed)
		if ended || !s.again(err, true, n) {
			yield(eventstore.Recorded{}, s.failed(ctx, c.what(), err, ended))
			return
		}
		s.stats.rereads.Add(1)
		if err := s.wait(ctx, s.retry.pause(n)); err != nil {
			yield(eventstore.Recorded{}, s.failed(ctx, c.what(), err, true))
			return
		}
	}
}

// readOnce reads until the end, the reader breaks, or something fails. more says that the read is not done.
func (s *Store) readOnce(ctx context.Context, c cursor, yield func(eventstore.Recorded, error) bool) (progress, more bool, err error) {
	f, err := s.open(ctx, func(ctx context.Context, client *sdk.Client) (receiver, error) { return receiveRead(ctx, client, c) })
	if err != nil {
		return false, true, err
	}
	defer f.close()
	for {
		it, err := f.next(ctx, s.cfg.CallTimeout)
		if errors.Is(err, io.EOF) {
			return progress, false, nil
		}
		if errors.Is(err, errSilent) {
			f.hung()
		}
		if err != nil {
			return progress, true, err
		}
		progress = true
		if c.take(&it.event) && !yield(it.event, nil) {
			return progress, false, nil
		}
	}
}

func receiveRead(ctx context.Context, client *sdk.Client, c cursor) (receiver, error) {
	stream, err := c.open(ctx, client)
	if err != nil {
		return nil, err
	}
	return func() (item, error) {
		resolved, err := stream.Recv()
		if err != nil {
			return item{}, err
		}
		r, err := recorded(resolved)
		return item{event: r}, err
	}, nil
}

// streamCursor reads one stream.
type streamCursor struct {
	stream string
	next   uint64
	dir    eventstore.Direction
	done   bool
}

func (c *streamCursor) what() string { return "read stream " + c.stream }

func (c *streamCursor) open(ctx context.Context, client *sdk.Client) (*sdk.ReadStream, error) {
	opts := sdk.ReadStreamOptions{Direction: sdk.Forwards, From: sdk.Revision(min(c.next, math.MaxInt64))}
	if c.dir == eventstore.Backward {
		opts.Direction = sdk.Backwards
		if c.next > math.MaxInt64 {
			opts.From = sdk.End{}
		}
	}
	return client.ReadStream(ctx, c.stream, opts, everything)
}

func (c *streamCursor) take(r *eventstore.Recorded) bool {
	if c.dir == eventstore.Forward {
		c.next = r.Revision + 1
		return true
	}
	c.done = r.Revision == 0
	c.next = r.Revision - 1
	return true
}

func (c *streamCursor) over() bool { return c.done }

// logCursor reads the global order.
type logCursor struct {
	at  eventstore.Position
	dir eventstore.Direction
}

func (c *logCursor) what() string { return fmt.Sprintf("read $all at %s", c.at) }

func (c *logCursor) open(ctx context.Context, client *sdk.Client) (*sdk.ReadStream, error) {
	opts := sdk.ReadAllOptions{Direction: sdk.Forwards, From: place(c.at)}
	if c.dir == eventstore.Backward {
		opts.Direction = sdk.Backwards
		if c.at == eventstore.Position(eventstore.End) {
			opts.From = sdk.End{}
		}
	}
	return client.ReadAll(ctx, opts, everything)
}

// take skips the event at the cursor itself: the server reads forward from a position with the event that is there.
func (c *logCursor) take(r *eventstore.Recorded) bool {
	if c.dir == eventstore.Forward && r.Position <= c.at || c.dir == eventstore.Backward && r.Position >= c.at {
		return false
	}
	c.at = r.Position
	return !system(r)
}

func (c *logCursor) over() bool { return false }
