package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

// everything is the largest count that every server takes.
const everything = math.MaxInt64

// Load reads the whole stream. One that has lost events to truncation is ErrCorrupt.
func (s *Store) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	if err := eventstore.ValidName("stream", stream); err != nil {
		return eventstore.Loaded{}, err
	}
	events, err := s.page(ctx, stream, sdk.ReadStreamOptions{Direction: sdk.Forwards, From: sdk.Start{}}, everything)
	if errors.Is(err, eventstore.ErrStreamNotFound) {
		return eventstore.Loaded{Revision: eventstore.NoStream}, nil
	}
	if err != nil {
		return eventstore.Loaded{}, err
	}
	for i, e := range events {
		if e.Revision != uint64(i) {
			return eventstore.Loaded{}, s.truncated(stream, fmt.Sprintf("revision %d follows where %d belongs", e.Revision, i))
		}
	}
	if len(events) == 0 {
		return eventstore.Loaded{}, s.truncated(stream, "it exists without an event")
	}
	last := events[len(events)-1]
	return eventstore.Loaded{Revision: eventstore.AtRevision(last.Revision), Position: last.Position, Events: events}, nil
}

func (s *Store) truncated(stream, how string) error {
	return fmt.Errorf("%w: event store %s: stream %s has lost events: %s; take $maxAge, $maxCount and $tb from its metadata",
		eventstore.ErrCorrupt, s.address, stream, how)
}

// tail is where a stream ends.
func (s *Store) tail(ctx context.Context, stream string) (eventstore.Expected, error) {
	events, err := s.page(ctx, stream, sdk.ReadStreamOptions{Direction: sdk.Backwards, From: sdk.End{}}, 1)
	switch {
	case errors.Is(err, eventstore.ErrStreamNotFound):
		return eventstore.NoStream, nil
	case err != nil:
		return 0, err
	case len(events) == 0:
		return 0, s.truncated(stream, "it exists without an event")
	default:
		return eventstore.AtRevision(events[0].Revision), nil
	}
}

// page reads a part of a stream at once, and again when that fails on the way.
func (s *Store) page(ctx context.Context, stream string, opts sdk.ReadStreamOptions, count uint64) ([]eventstore.Recorded, error) {
	opts.Deadline = s.backstop()
	return pages(ctx, s, "read stream "+stream, func(ctx context.Context, client *sdk.Client) (*sdk.ReadStream, error) {
		return client.ReadStream(ctx, stream, opts, count)
	})
}

// pages runs a read that is short enough to be repeated as a whole.
func pages(ctx context.Context, s *Store, what string, open func(context.Context, *sdk.Client) (*sdk.ReadStream, error)) ([]eventstore.Recorded, error) {
	for n := 1; ; n++ {
		r := call(ctx, s, func(ctx context.Context, client *sdk.Client) ([]eventstore.Recorded, error) {
			stream, err := open(ctx, client)
			if err != nil {
				return nil, err
			}
			defer stream.Close()
			return collect(stream)
		})
		if r.err == nil {
			return r.value, nil
		}
		if r.ended || !s.again(r.err, r.sent, n) {
			return nil, s.failed(ctx, what, r.err, r.ended)
		}
		s.stats.rereads.Add(1)
		if err := s.wait(ctx, s.retry.pause(n)); err != nil {
			return nil, s.failed(ctx, what, err, true)
		}
	}
}

// maxReads in a row without an event, and a read has failed.
const maxReads = 4

// again says whether to repeat a read that has failed n times in a row. What was not sent has found no server,
// and the supervisor is looking for one already.
func (s *Store) again(err error, sent bool, n int) bool {
	c := classOf(err)
	return sent && n < maxReads && c != missing && !c.permanent()
}

func collect(stream *sdk.ReadStream) ([]eventstore.Recorded, error) {
	var events []eventstore.Recorded
	for {
		resolved, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		r, err := recorded(resolved)
		if err != nil {
			return nil, err
		}
		events = append(events, r)
	}
}

// lastEvent remembers the last event that is ours, and up to where it was looked for: a quiet store may end in a
// great many statistics of the server.
type lastEvent struct {
	mu     sync.Mutex
	head   eventstore.Position
	looked eventstore.Position
}

// Head is the position of the last event that is not the server's.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	s.last.mu.Lock()
	head, looked := s.last.head, s.last.looked
	s.last.mu.Unlock()
	const first, most = 4, 1024
	newest := eventstore.Position(0)
	var before sdk.AllPosition = sdk.End{}
	for count := uint64(first); ; count = most {
		opts := sdk.ReadAllOptions{Direction: sdk.Backwards, From: before, Deadline: s.backstop()}
		events, err := pages(ctx, s, "read the end of $all", func(ctx context.Context, client *sdk.Client) (*sdk.ReadStream, error) {
			return client.ReadAll(ctx, opts, count)
		})
		if err != nil {
			return 0, err
		}
		if newest == 0 && len(events) > 0 {
			newest = events[0].Position
			if newest < looked {
				head, looked = 0, 0 // the server was restored from a backup
			}
		}
		for i := range events {
			if events[i].Position <= looked {
				return s.remember(head, newest), nil
			}
			if !system(&events[i]) {
				return s.remember(events[i].Position, newest), nil
			}
			before = place(events[i].Position)
		}
		if uint64(len(events)) < count {
			return s.remember(0, newest), nil
		}
	}
}

func (s *Store) remember(head, looked eventstore.Position) eventstore.Position {
	s.last.mu.Lock()
	defer s.last.mu.Unlock()
	s.last.head, s.last.looked = head, looked
	return head
}
