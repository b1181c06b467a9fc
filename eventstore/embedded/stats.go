package embedded

import (
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

type counters struct {
	appends, events, groups, duplicates, conflicts atomic.Uint64
}

// Stats counts what a store has done since it was opened.
type Stats struct {
	Durable    eventstore.Position // of the last durable event
	Appends    uint64              // stored, duplicates not counted
	Events     uint64
	Groups     uint64 // synced writes of the log; Appends over Groups is the size of a group
	Duplicates uint64
	Conflicts  uint64
	Queued     int    // appends that wait for the sequencer now
	DiskBytes  uint64 // size of the folder
}

// Stats reads the counters. They are of one moment each, not all of the same one.
func (s *Store) Stats() Stats {
	st := Stats{
		Durable:    s.durable.load(),
		Appends:    s.counters.appends.Load(),
		Events:     s.counters.events.Load(),
		Groups:     s.counters.groups.Load(),
		Duplicates: s.counters.duplicates.Load(),
		Conflicts:  s.counters.conflicts.Load(),
		Queued:     len(s.queue),
	}
	if s.acquire() == nil {
		st.DiskBytes = s.db.Metrics().DiskSpaceUsage()
		s.release()
	}
	return st
}
