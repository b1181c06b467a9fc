package memstoretest

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// Store implements eventstore.Store. Nothing is durable and ids are not deduplicated.
type Store struct {
	mu      sync.Mutex
	events  []eventstore.Recorded
	streams map[string][]int // indexes into events
	grown   chan struct{}    // closed and replaced when events are added
	failing error            // what every read and subscription answers, nil when well
	cut     chan struct{}    // closed and replaced to end the subscriptions
	tamper  func(*eventstore.Recorded) bool
}

var _ eventstore.Store = (*Store)(nil)

// Epoch is the recorded_at of the first event; each further one is a millisecond later.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) //nolint:gochecknoglobals // a constant in all but syntax

// New gives an empty store.
func New() *Store {
	return &Store{streams: make(map[string][]int), grown: make(chan struct{}), cut: make(chan struct{})}
}

// Fail makes every read answer err and ends the subscriptions with it; nil makes it well again.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = err
	close(s.cut)
	s.cut = make(chan struct{})
}

// Tamper lets subscriptions show events changed, or not at all where keep answers false.
func (s *Store) Tamper(keep func(*eventstore.Recorded) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tamper = keep
}

// Events are all events, in order.
func (s *Store) Events() []eventstore.Recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Append implements eventstore.Appender.
func (s *Store) Append(_ context.Context, a eventstore.Append) (eventstore.Result, error) {
	if err := a.Validate(); err != nil {
		return eventstore.Result{}, err //nolint:wrapcheck // as the contract says
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	actual := eventstore.Expected(len(s.streams[a.Stream]) - 1)
	if a.Expected != eventstore.Any && a.Expected != actual {
		return eventstore.Result{}, &eventstore.ConflictError{Stream: a.Stream, Expected: a.Expected, Actual: actual}
	}
	for _, e := range a.Events {
		s.streams[a.Stream] = append(s.streams[a.Stream], len(s.events))
		s.events = append(s.events, eventstore.Recorded{
			Event: e, Stream: a.Stream, Revision: uint64(len(s.streams[a.Stream]) - 1), //nolint:gosec // not negative
			Position:   eventstore.Position(len(s.events) + 1), //nolint:gosec // not negative
			RecordedAt: Epoch.Add(time.Duration(len(s.events)) * time.Millisecond),
		})
	}
	close(s.grown)
	s.grown = make(chan struct{})
	last := &s.events[len(s.events)-1]
	return eventstore.Result{Revision: last.Revision, Position: last.Position}, nil
}

// Load implements eventstore.Loader.
func (s *Store) Load(_ context.Context, stream string) (eventstore.Loaded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := eventstore.Loaded{Revision: eventstore.Expected(len(s.streams[stream]) - 1)}
	for _, i := range s.streams[stream] {
		l.Events = append(l.Events, s.events[i])
		l.Position = s.events[i].Position
	}
	return l, s.failing
}

// ReadStream implements eventstore.StreamReader; forward only.
func (s *Store) ReadStream(_ context.Context, stream string, from uint64, _ eventstore.Direction,
) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		l, err := s.Load(context.Background(), stream)
		if err == nil && len(l.Events) == 0 {
			err = eventstore.ErrStreamNotFound
		}
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		for _, e := range l.Events[min(from, uint64(len(l.Events))):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// ReadAll implements eventstore.LogReader; forward only.
func (s *Store) ReadAll(_ context.Context, from eventstore.Position, _ eventstore.Direction,
) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if _, err := s.Head(context.Background()); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		all := s.Events()
		for _, e := range all[min(uint64(from), uint64(len(all))):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Head implements eventstore.LogReader.
func (s *Store) Head(context.Context) (eventstore.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return eventstore.Position(len(s.events)), s.failing //nolint:gosec // not negative
}

// Subscribe implements eventstore.Subscriber.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for {
			s.mu.Lock()
			grown, cut, failing, tamper := s.grown, s.cut, s.failing, s.tamper
			news := slices.Clone(s.events[min(uint64(after), uint64(len(s.events))):])
			s.mu.Unlock()
			if failing != nil {
				yield(eventstore.Recorded{}, failing)
				return
			}
			for i := range news {
				after = news[i].Position
				if tamper != nil && !tamper(&news[i]) {
					continue
				}
				if !yield(news[i], nil) {
					return
				}
			}
			if len(news) > 0 {
				continue
			}
			select {
			case <-grown:
			case <-cut:
			case <-ctx.Done():
				yield(eventstore.Recorded{}, context.Cause(ctx))
				return
			}
		}
	}
}
