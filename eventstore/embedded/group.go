package embedded

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

const (
	// queueLen bounds the appends that wait for the sequencer, and with them their memory.
	queueLen = 1024
	// pipelineDepth is the number of groups under way: one being built, one being synced, one
	// ready for the next sync.
	pipelineDepth = 3
	maxGroupLen   = 1024
	maxGroupBytes = 4 << 20
	// batchBytes is what a group's batch keeps for its next use.
	batchBytes = 8 << 20
)

// group is the appends that become durable together. What it will have changed is kept beside the
// batch: Pebble cannot be asked for it before the batch is applied.
type group struct {
	batch    *pebble.Batch
	requests []*request
	bytes    int
	events   uint64
	last     eventstore.Position // durable when the group is
	heads    map[string]head     // of the streams that it has written, without snapshots
	ids      map[eventstore.EventID]*request
}

func newGroup(db *pebble.DB) *group {
	return &group{
		batch: db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchBytes)),
		heads: make(map[string]head),
		ids:   make(map[eventstore.EventID]*request),
	}
}

func (g *group) reset() {
	g.batch.Reset()
	clear(g.requests)
	g.requests = g.requests[:0]
	g.bytes, g.events, g.last = 0, 0, 0
	clear(g.heads)
	clear(g.ids)
}

func (g *group) full() bool { return len(g.requests) >= maxGroupLen || g.bytes >= maxGroupBytes }
