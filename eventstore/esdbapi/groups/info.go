package groups

import "time"

// Info is what a group is and does at one moment.
type Info struct {
	Definition
	// From is the place that Start came to when the group was created.
	From Place
	// Checkpoint is up to where everything is settled and written; Known is the last event that was
	// seen. 0 is none.
	Checkpoint, Known Place
	// Ready is false until the state was read. Live says that the end of the source was reached, Replaying that
	// parked messages are on their way.
	Ready, Live, Replaying bool
	Trouble                error // of the last call to the store, nil when it was well

	Connections                            []Connection
	Buffered, Retrying, InFlight, Awaiting int // messages: read, to be redelivered, with consumers, neither acknowledged nor parked
	Parked                                 uint64
	Rate                                   Rate
}

// Connection is one consumer.
type Connection struct {
	ConsumerInfo
	InFlight, Slots int
	Rate            Rate
}

// Rate counts deliveries: in all, and since Info was asked for the last time.
type Rate struct {
	Total, SinceLast uint64
	PerSecond        float64
}

type counter struct {
	total, last uint64
	since       time.Time
}

func (c *counter) measure(now time.Time) Rate {
	r := Rate{Total: c.total, SinceLast: c.total - c.last}
	if elapsed := now.Sub(c.since); elapsed > 0 {
		r.PerSecond = float64(r.SinceLast) / elapsed.Seconds()
	}
	c.last, c.since = c.total, now
	return r
}

func (g *group) info() Info {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.Now()
	i := Info{
		Definition: g.entry.Definition(), From: g.entry.From,
		Checkpoint: g.checkpoint.written, Known: g.known,
		Ready: g.recovered, Live: g.live, Replaying: g.parked.open.Len() > 0 || g.parkedNext < g.parkedTo,
		Trouble: g.trouble, Buffered: len(g.buffer), Retrying: len(g.redo),
		Awaiting: g.main.open.Len() + g.parked.open.Len(),
		Parked:   g.parkedEnd - g.parkedNext, Rate: g.stats.measure(now),
	}
	for _, c := range g.consumers {
		i.InFlight += len(c.held)
		i.Connections = append(i.Connections, Connection{
			ConsumerInfo: c.info, InFlight: len(c.held), Slots: max(c.info.Buffer-len(c.held), 0), Rate: c.stats.measure(now),
		})
	}
	return i
}
