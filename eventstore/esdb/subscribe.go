package esdb

import (
	"context"
	"errors"
	"fmt"
	"iter"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

// ours are the streams that do not belong to the server.
const ours = `^[^\$].*`

// checkpoints, in pages of the server's search, are a sign of life and nothing else: one may be ahead of an event that is still
// to come (G13).
const checkpoints = 32

// Subscribe yields every event after a position that is not the server's, as soon as the server shows it. It
// survives the loss of the server, however long, and goes on after the last event that it has yielded. It ends
// when the consumer breaks, ctx ends (its cause is yielded), the store closes, or the server
// refuses it for good (ErrUnavailable).
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for last, n := after, 0; ; {
			at, more, err := s.follow(ctx, last, yield)
			if !more {
				return
			}
			if at > last {
				last, n = at, 0
			}
			n++
			ended := ctx.Err() != nil || errors.Is(err, errClosed)
			what := fmt.Sprintf("subscription after %s", last)
			if ended || classOf(err).permanent() {
				yield(eventstore.Recorded{}, s.failed(ctx, what, err, ended))
				return
			}
			s.stats.resubscriptions.Add(1)
			if err := s.wait(ctx, s.retry.pause(n)); err != nil {
				yield(eventstore.Recorded{}, s.failed(ctx, what, err, true))
				return
			}
		}
	}
}

// follow is one subscription at the server, until it is lost. at is the last event that was yielded; more says that the
// consumer wants to go on.
func (s *Store) follow(ctx context.Context, last eventstore.Position, yield func(eventstore.Recorded, error) bool) (at eventstore.Position, more bool, err error) {
	head, err := s.Head(ctx) // the server must not be asked for a place that does not exist
	if err != nil {
		return last, true, err
	}
	f, err := s.open(ctx, func(ctx context.Context, client *sdk.Client) (receiver, error) {
		return subscribe(ctx, client, min(last, head))
	})
	if err != nil {
		return last, true, err
	}
	defer f.close()
	confirmed, patience := false, s.cfg.CallTimeout
	for {
		it, err := f.next(ctx, patience)
		if errors.Is(err, errSilent) {
			if err = s.silent(ctx, f, last, confirmed); err == nil {
				continue
			}
		}
		if err != nil {
			return last, true, err
		}
		confirmed, patience = true, s.cfg.IdleTimeout
		if it.quiet || it.event.Position <= last || system(&it.event) {
			continue
		}
		last = it.event.Position
		if !yield(it.event, nil) {
			return last, false, nil
		}
	}
}

// silent decides whether a subscription without a frame is alive. A connection that answers pings proves
// nothing (G14); the head of the store does.
func (s *Store) silent(ctx context.Context, f *feed, last eventstore.Position, confirmed bool) error {
	if !confirmed {
		f.hung()
		return errTimeout
	}
	head, err := s.Head(ctx)
	if err == nil && head > last {
		return errSilent
	}
	return err
}

// subscribe begins a subscription. Its first item says that the server has confirmed it.
func subscribe(ctx context.Context, client *sdk.Client, after eventstore.Position) (receiver, error) {
	sub, err := client.SubscribeToAll(ctx, sdk.SubscribeToAllOptions{
		From: place(after), CheckpointInterval: checkpoints,
		Filter: &sdk.SubscriptionFilter{Type: sdk.StreamFilterType, Regex: ours},
	})
	if err != nil {
		return nil, err
	}
	confirmed := false
	return func() (item, error) {
		if !confirmed {
			confirmed = true
			return item{quiet: true}, nil
		}
		frame := sub.Recv()
		switch {
		case frame.SubscriptionDropped != nil:
			return item{}, frame.SubscriptionDropped.Error
		case frame.EventAppeared != nil:
			r, err := recorded(frame.EventAppeared)
			return item{event: r}, err
		default:
			return item{quiet: true}, nil
		}
	}, nil
}
