package groups

import (
	"context"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
)

// replayParked asks for the parked messages of now, or those whose revision in the parked stream is below
// stopAt, to be delivered again. One stays parked, as far as a crash is concerned, until it is
// settled anew.
func (g *group) replayParked(stopAt *uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone != nil {
		return g.gone
	}
	if !g.recovered {
		return fmt.Errorf("%w: the state of %s is not read yet", eventstore.ErrUnavailable, g.entry.Key)
	}
	to := g.parkedEnd + uint64(len(g.parking))
	if stopAt != nil {
		to = min(to, *stopAt)
	}
	g.parkedTo = max(g.parkedTo, to)
	g.replayWake.set()
	return nil
}

// replay reads parked messages that were asked for, a few at a time, until ctx ends.
func (g *group) replay(ctx context.Context) {
	var pause backoff
	for ctx.Err() == nil {
		from, to, ok := g.replayable()
		if !ok {
			g.replayWake.wait(ctx, -1)
			continue
		}
		if err := g.readParked(ctx, from, to); err != nil {
			g.failed(err)
			pause.wait(ctx)
			continue
		}
		pause.reset()
	}
}

// replayable is the next range to read of the parked stream.
func (g *group) replayable() (from, to uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	room := g.entry.Settings.ReadBatchSize - g.queuedAgain
	if g.weight >= g.cfg.GroupBytes {
		room = min(room, 1-g.queuedAgain)
	}
	from, to = g.parkedNext, min(g.parkedTo, g.parkedEnd)
	if room <= 0 || from >= to {
		return 0, 0, false
	}
	return from, min(to, from+uint64(room)), true
}

func (g *group) readParked(ctx context.Context, from, to uint64) error {
	stream := g.entry.Key.parkedStream()
	for e, err := range g.cfg.Store.ReadStream(ctx, stream, from, eventstore.Forward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return fmt.Errorf("read parked messages of %s: %w", g.entry.Key, err)
		}
		if e.Revision >= to {
			break
		}
		d, err := g.follow(ctx, &e)
		if err != nil {
			return err
		}
		m := newMessage(d, g.entry.Settings.Strategy)
		g.mu.Lock()
		g.parkedNext = e.Revision + 1
		g.admitLocked(m, &g.parked, Place(g.parkedNext))
		g.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parkedNext = max(g.parkedNext, to) // a stream that is shorter than it was has nothing there
	return nil
}
