package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

// Load reads what a decision needs of a stream: one point read when its last append carried a
// snapshot, otherwise the events as well. It answers ErrUnavailable, ErrCorrupt or the cause of ctx.
func (s *Store) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	if err := eventstore.ValidName("stream", stream); err != nil {
		return eventstore.Loaded{}, err
	}
	h, found, err := s.durableHead(ctx, stream)
	if err != nil {
		return eventstore.Loaded{}, err
	}
	if !found {
		return eventstore.Loaded{Revision: eventstore.NoStream}, nil
	}
	l := eventstore.Loaded{Revision: eventstore.AtRevision(h.revision), Position: h.position, Snapshot: h.snapshot}
	if h.snapshot != nil {
		return l, nil
	}
	for e, err := range s.streamForward(ctx, stream, 0, h.revision) {
		if err != nil {
			return eventstore.Loaded{}, err
		}
		l.Events = append(l.Events, e)
	}
	return l, nil
}

// durableHead reads where a stream is. A head that is applied but not yet durable is worth waiting for:
// it replaced the one before, and its sync is under way.
func (s *Store) durableHead(ctx context.Context, stream string) (head, bool, error) {
	if ctx.Err() != nil {
		return head{}, false, fmt.Errorf("read stream %s: %w", stream, context.Cause(ctx))
	}
	h, found, err := s.readHead(stream)
	if err != nil || !found || h.position <= s.durable.load() {
		return h, found, err
	}
	if err := s.awaitPast(ctx, h.position-1); err != nil {
		return head{}, false, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return h, true, nil
}

func (s *Store) readHead(stream string) (head, bool, error) {
	if err := s.acquire(); err != nil {
		return head{}, false, err
	}
	defer s.release()
	key, ok := s.keys.Get().(*[]byte)
	if !ok {
		key = new([]byte)
	}
	defer s.keys.Put(key)
	*key = appendHeadKey((*key)[:0], stream)
	v := s.cache.get(*key)
	if v == nil {
		var err error
		before := s.cache.before(*key)
		if v, err = s.copyOf(*key); err != nil || v == nil {
			return head{}, false, readError(s.cfg.Dir, "head of stream "+stream, err)
		}
		s.cache.loaded(*key, v, before)
	}
	h, err := parseHead(stream, v)
	if err != nil {
		return head{}, false, readError(s.cfg.Dir, "head of stream "+stream, err)
	}
	return h, true, nil
}

// copyOf reads a key into memory of the caller's own; nil when the key is not there.
func (s *Store) copyOf(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own := append(make([]byte, 0, len(v)), v...)
	return own, closer.Close()
}

// awaitPast returns when the watermark is beyond a position.
func (s *Store) awaitPast(ctx context.Context, p eventstore.Position) error {
	for {
		advanced := s.durable.next()
		if s.durable.load() > p {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.halted:
			if s.durable.load() > p && s.Err() == nil {
				return nil // the last group of a store that is being closed
			}
			return s.unavailable()
		}
	}
}
