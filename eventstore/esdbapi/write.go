package esdbapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// write is one append of a client, of whichever method.
type write struct {
	stream   string
	expected expectation
	events   []eventstore.Event
}

// written is where a write was stored; NoStream after a write of nothing to a stream that is not there.
type written struct {
	revision eventstore.Expected
	position eventstore.Position // 0 after a write of nothing
}

// mayWrite says whether anybody may append to a stream at all.
func (s *Server) mayWrite(stream string) error {
	if !s.config.AllowAppend {
		return accessDenied("this server is read-only")
	}
	if of, meta := metaTarget(stream); meta && s.protected(of) {
		return accessDenied("the metadata of this stream is not for clients to change")
	}
	if stream == allStream {
		return accessDenied(allStream + " is not written to")
	}
	if groups.IsState(stream) {
		return accessDenied("groups of consumers keep their state in this stream")
	}
	return nil
}

// store writes for a client within the write timeout. Its errors are conflicts, failures, and those of the store.
func (s *Server) store(ctx context.Context, w write) (written, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.WriteTimeout, errWriteTimeout)
	defer cancel()
	if s.protected(w.stream) {
		return s.storeLive(ctx, w, &lifetime{revision: eventstore.NoStream})
	}
	defer s.locks.share(w.stream)()
	base, meta := metaTarget(w.stream)
	if !meta {
		base = w.stream
	}
	was, err := s.lifetime(ctx, base)
	if err != nil {
		return written{}, err
	}
	l := was
	if meta {
		l = was.ofMetastream()
	}
	if l.tombstoned || w.expected.kind == expectExists && l.softDeleted() {
		return written{}, streamDeleted(w.stream)
	}
	result, err := s.storeLive(ctx, w, &l)
	if err != nil || !was.softDeleted() || result.position < was.position {
		return result, err // the last is a repeat of what was written before the deletion
	}
	first := uint64(result.revision) - uint64(len(w.events)) + 1 //nolint:gosec // revisions count from 0
	if meta {
		if first, err = s.nextRevision(ctx, base); err != nil {
			return written{}, err
		}
	}
	return result, s.undelete(ctx, base, first)
}

// storeLive writes to a stream that is not tombstoned.
func (s *Server) storeLive(ctx context.Context, w write, l *lifetime) (written, error) {
	if len(w.events) == 0 {
		return s.storeNothing(ctx, w, l)
	}
	if w.expected.kind == expectExists {
		return s.storeAtCurrent(ctx, w, l)
	}
	result, err := s.append(ctx, w, w.expected.port())
	if errors.Is(err, eventstore.ErrConflict) && w.expected.kind == expectNoStream && l.softDeleted() {
		return s.storeAtCurrent(ctx, w, l)
	}
	return result, s.conflictOf(ctx, err, w)
}

// storeAtCurrent writes where the stream is now, and again where it is then, until the write timeout.
func (s *Server) storeAtCurrent(ctx context.Context, w write, l *lifetime) (written, error) {
	for {
		current, err := s.lastRevision(ctx, w.stream)
		if err != nil {
			return written{}, err
		}
		if !w.expected.holds(current, l) {
			return written{}, &conflict{stream: w.stream, expected: w.expected, actual: current}
		}
		result, err := s.append(ctx, w, current)
		if !errors.Is(err, eventstore.ErrConflict) {
			return result, s.conflictOf(ctx, err, w)
		}
	}
}

// storeNothing checks what a write without events expects.
func (s *Server) storeNothing(ctx context.Context, w write, l *lifetime) (written, error) {
	current, err := s.lastRevision(ctx, w.stream)
	if err != nil {
		return written{}, err
	}
	if !w.expected.holds(current, l) {
		return written{}, &conflict{stream: w.stream, expected: w.expected, actual: current}
	}
	return written{revision: current}, nil
}

func (s *Server) append(ctx context.Context, w write, expected eventstore.Expected) (written, error) {
	result, err := s.config.Store.Append(ctx, eventstore.Append{Stream: w.stream, Expected: expected, Events: w.events})
	if err != nil {
		return written{}, err
	}
	return written{revision: eventstore.AtRevision(result.Revision), position: result.Position}, nil
}

// conflictOf tells the store's conflicts as the protocol does. An id that is known in this
// very stream, but with other events, is one.
func (s *Server) conflictOf(ctx context.Context, err error, w write) error {
	var c *eventstore.ConflictError
	if errors.As(err, &c) {
		return &conflict{stream: w.stream, expected: w.expected, actual: c.Actual}
	}
	var reused *eventstore.IDReusedError
	if !errors.As(err, &reused) || reused.Stream != w.stream {
		return err
	}
	current, err := s.lastRevision(ctx, w.stream)
	if err != nil {
		return err
	}
	return &conflict{stream: w.stream, expected: w.expected, actual: current}
}

// undelete brings a soft-deleted stream back, from a revision on. A write that is repeated comes here again and finishes
// what its first try may have left undone.
func (s *Server) undelete(ctx context.Context, stream string, first uint64) error {
	for {
		l, err := s.lifetime(ctx, stream)
		if err != nil || !l.softDeleted() && l.truncateBefore >= first {
			return err
		}
		metadata, err := truncatedFrom(l.json, first)
		if err != nil {
			return fmt.Errorf("metadata of a stream: %w", err)
		}
		if err := s.writeMetadata(ctx, stream, l.revision, metadata); !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
	}
}

func (s *Server) nextRevision(ctx context.Context, stream string) (uint64, error) {
	current, err := s.lastRevision(ctx, stream)
	return uint64(current + 1), err //nolint:gosec // NoStream is -1
}

// writeMetadata replaces the metadata of a stream.
func (s *Server) writeMetadata(ctx context.Context, stream string, expected eventstore.Expected, metadata []byte) error {
	_, err := s.config.Store.Append(ctx, eventstore.Append{
		Stream: metaPrefix + stream, Expected: expected,
		Events: []eventstore.Event{{ID: newID(), Type: typeMetadata, Data: metadata}},
	})
	return err
}
