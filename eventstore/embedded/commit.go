package embedded

// commit makes groups durable, in order, and answers everybody in them.
func (s *Store) commit() {
	defer s.halt()
	for g := range s.committing {
		if g.last != 0 {
			if err := g.batch.SyncWait(); err != nil {
				s.fail(err)
			}
		}
		s.finished.Add(1)
		if s.trouble.halting() != nil {
			s.trouble.wake()
		}
		// A failure before this group means that this one, too, is not known to be durable.
		if s.failure.Load() != nil {
			for _, r := range g.requests {
				r.err = s.unknown(r.stream)
				r.done <- struct{}{}
			}
			continue // its batch cannot be used again
		}
		s.publish(g)
	}
}

func (s *Store) publish(g *group) {
	if g.last != 0 {
		s.durable.advance(g.last)
		s.counters.groups.Add(1)
		s.counters.events.Add(g.events)
	}
	appends := uint64(0)
	for _, r := range g.requests {
		if r.err == nil && !r.result.Duplicate {
			appends++
		}
		r.done <- struct{}{} // from here on the request is the caller's
	}
	s.counters.appends.Add(appends)
	g.reset()
	s.free <- g
}
