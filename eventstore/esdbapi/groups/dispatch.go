package groups

import (
	"encoding/json"
	"hash/maphash"
)

// dispatchLocked gives what is queued to consumers until one of both is exhausted. What was delivered
// before comes first; nothing overtakes a message that finds no consumer.
func (g *group) dispatchLocked() {
	for {
		queue := &g.redo
		if len(*queue) == 0 {
			queue = &g.buffer
		}
		if len(*queue) == 0 {
			return
		}
		c := g.pickLocked((*queue)[0])
		if c == nil {
			return
		}
		m := pop(queue)
		if queue == &g.redo && m.ledger == &g.parked {
			g.queuedAgain--
		}
		c.giveLocked(m)
		g.roomLocked()
	}
}

// pickLocked is the consumer for a message, nil when none has room.
func (g *group) pickLocked(m *message) *Consumer {
	switch g.entry.Settings.Strategy {
	case DispatchToSingle:
		g.turn = 0
	case Pinned, PinnedByCorrelation:
		return g.pinnedLocked(m)
	case RoundRobin:
	}
	return g.nextLocked(m)
}

// nextLocked is the first consumer with room of those whose turn comes next.
func (g *group) nextLocked(m *message) *Consumer {
	n := len(g.consumers)
	for i := range n {
		at := (g.turn + i) % n
		if c := g.consumers[at]; c.roomLocked(m) {
			g.turn = at + 1
			return c
		}
	}
	return nil
}

// pinnedLocked weighs each consumer against the key of the message and takes the heaviest that has room: when consumers
// come and go, only the keys of those change hands.
func (g *group) pinnedLocked(m *message) (best *Consumer) {
	type pair struct {
		key      string
		consumer uint64
	}
	var heaviest uint64
	for _, c := range g.consumers {
		weight := maphash.Comparable(g.seed, pair{m.pin, c.number})
		if (best == nil || weight > heaviest) && c.roomLocked(m) {
			best, heaviest = c, weight
		}
	}
	return best
}

// pin is what decides about the consumer of a delivery: its $correlationId, or its stream.
func pin(d Delivery, by Strategy) string {
	var meta struct {
		ID string `json:"$correlationId"`
	}
	if by == PinnedByCorrelation && json.Unmarshal(d.target().Metadata, &meta) == nil && meta.ID != "" {
		return meta.ID
	}
	return d.target().Stream
}
