package esdb

import "sync/atomic"

type counters struct {
	calls                                                   atomic.Int64
	appends, events, conflicts, resolved, unknown           atomic.Uint64
	abandoned, connects, failures, resubscriptions, rereads atomic.Uint64
}

// Stats counts what a store has done since it was opened.
type Stats struct {
	Appends   uint64 // stored
	Events    uint64
	Conflicts uint64
	// Resolved are appends whose answer was lost and that were settled all the same; Unknown are those
	// that were not.
	Resolved, Unknown uint64
	// Connects are clients that have found a server: one, and one more for each time it was lost.
	Connects uint64
	// Failures are searches for a server that have found none.
	Failures uint64
	// Abandoned are calls whose caller was gone before the client was done with them.
	Abandoned uint64
	// Rereads are reads, Resubscriptions are subscriptions, that were taken up again after a failure.
	Rereads, Resubscriptions uint64
	Calls                    int  // under way in the client now, abandoned ones included
	Down                     bool // the server is lost, and calls are refused
}

// Stats reads the counters. They are of one moment each, not all of the same one.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	return Stats{
		Appends: s.stats.appends.Load(), Events: s.stats.events.Load(), Conflicts: s.stats.conflicts.Load(),
		Resolved: s.stats.resolved.Load(), Unknown: s.stats.unknown.Load(), Connects: s.stats.connects.Load(), Failures: s.stats.failures.Load(),
		Abandoned: s.stats.abandoned.Load(), Rereads: s.stats.rereads.Load(),
		Resubscriptions: s.stats.resubscriptions.Load(), Calls: int(s.stats.calls.Load()), Down: down,
	}
}
