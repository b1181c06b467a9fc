package groups

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/logoutd/logoutd/eventstore"
)

// pull reads the source ahead of the consumers until ctx ends. It holds no read open while it waits.
func (g *group) pull(ctx context.Context) {
	at := g.readFrom()
	var pause backoff
	for ctx.Err() == nil {
		if !g.hasRoom() {
			g.pullWake.wait(ctx, -1)
			continue
		}
		err := g.read(ctx, &at)
		switch {
		case errors.Is(err, errFull):
			pause.reset()
		case err != nil:
			g.failed(err)
			pause.wait(ctx)
		default:
			pause.reset()
			g.reachedEnd()
			g.growWake.wait(ctx, -1)
		}
	}
}

var errFull = errors.New("no room for more messages")

func (g *group) readFrom() Place {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.main.last
}

// read takes events from a place on, until the end (nil), until there is no room (errFull), or until
// the store cannot. A stream that does not exist has ended.
func (g *group) read(ctx context.Context, at *Place) error {
	full := false
	for e, err := range g.source(ctx, *at) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", g.entry.Key.Stream, err)
		}
		if full {
			return errFull
		}
		if err := g.consider(ctx, &e); err != nil {
			return err
		}
		*at = g.placeOf(&e)
		full = g.isFull()
	}
	return nil
}

func (g *group) source(ctx context.Context, at Place) iter.Seq2[eventstore.Recorded, error] {
	if g.entry.Key.Stream == All {
		return g.cfg.Store.ReadAll(ctx, eventstore.Position(at), eventstore.Forward)
	}
	return g.cfg.Source.ReadStream(ctx, g.entry.Key.Stream, uint64(at), eventstore.Forward)
}

func (g *group) placeOf(e *eventstore.Recorded) Place {
	if g.entry.Key.Stream == All {
		return Place(e.Position)
	}
	return Place(e.Revision + 1)
}

// consider enters an event of the source, passes over it, or ignores it.
func (g *group) consider(ctx context.Context, e *eventstore.Recorded) error {
	all := g.entry.Key.Stream == All
	if all && hidden(e.Stream) {
		return nil
	}
	var m *message
	if g.match == nil || g.match(e) {
		d, err := g.resolve(ctx, e)
		if err != nil {
			return err
		}
		m = newMessage(d, g.entry.Settings.Strategy)
	}
	at := g.placeOf(e)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trouble = nil
	g.known = max(g.known, at)
	if m != nil {
		g.admitLocked(m, &g.main, at)
		return nil
	}
	g.main.pass(at)
	g.keepWake.set()
	return nil
}

func (g *group) resolve(ctx context.Context, e *eventstore.Recorded) (Delivery, error) {
	if !g.entry.Settings.ResolveLinks {
		return Delivery{Event: e}, nil
	}
	return g.follow(ctx, e)
}

func (g *group) reachedEnd() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live, g.trouble = true, nil
}

// isFull says that reading must stop. One message is always let in, however large.
func (g *group) isFull() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := len(g.buffer) >= g.capacityLocked() || g.weight >= g.cfg.GroupBytes
	if full {
		g.live = false
	}
	return full
}

// hasRoom says that reading may go on: there is room for a batch, so that the store is not asked
// for every event alone.
func (g *group) hasRoom() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.weight == 0 {
		return true
	}
	batch := g.entry.Settings.ReadBatchSize
	if g.live && len(g.buffer) > max(g.entry.Settings.LiveBufferSize-batch, 0) {
		g.live = false // there is more than it holds: from now on this is history
	}
	return len(g.buffer) <= max(g.capacityLocked()-batch, 0) && g.weight <= g.cfg.GroupBytes-g.cfg.GroupBytes/4
}

func (g *group) capacityLocked() int {
	if g.live {
		return g.entry.Settings.LiveBufferSize
	}
	return g.entry.Settings.HistoryBufferSize
}
