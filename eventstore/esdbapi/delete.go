package esdbapi

import (
	"context"
	"errors"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// Delete hides a stream until somebody writes to it again. Its events stay in $all.
func (s *streamsService) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	stream, err := streamName(req.GetOptions().GetStreamIdentifier())
	if err != nil {
		return nil, err
	}
	expected, err := deleteExpectation(req.GetOptions())
	if err != nil {
		return nil, err
	}
	position, err := s.end(ctx, ending{
		stream: stream, expected: expected, needsStream: true,
		event: eventstore.Event{Type: typeMetadata, Data: []byte(`{"$tb":` + strconv.FormatUint(deletedBefore, 10) + `}`)},
	})
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{
		CommitPosition: uint64(position), PreparePosition: uint64(position),
	}}}, nil
}

// Tombstone closes a stream for ever.
func (s *streamsService) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	stream, err := streamName(req.GetOptions().GetStreamIdentifier())
	if err != nil {
		return nil, err
	}
	expected, err := tombstoneExpectation(req.GetOptions())
	if err != nil {
		return nil, err
	}
	position, err := s.end(ctx, ending{
		stream: stream, expected: expected,
		event: eventstore.Event{Type: typeStreamDeleted, ContentType: eventstore.OctetStream},
	})
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{
		CommitPosition: uint64(position), PreparePosition: uint64(position),
	}}}, nil
}

// ending is a soft delete or a tombstone: an event of the metastream.
type ending struct {
	stream      string
	expected    expectation
	event       eventstore.Event
	needsStream bool // something must be there to be ended, even where any state is expected
}

func (s *Server) mayEnd(stream string) error {
	if !s.config.AllowAppend {
		return accessDenied("this server is read-only")
	}
	if _, meta := metaTarget(stream); meta || stream == allStream || s.protected(stream) || groups.IsState(stream) {
		return accessDenied("this stream is never deleted")
	}
	return nil
}

// end checks what a client expects of the stream and ends it.
func (s *Server) end(ctx context.Context, d ending) (eventstore.Position, error) {
	if err := s.mayEnd(d.stream); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.WriteTimeout, errWriteTimeout)
	defer cancel()
	defer s.locks.alone(d.stream)()
	d.event.ID = newID()
	for {
		l, err := s.lifetime(ctx, d.stream)
		if err != nil {
			return 0, err
		}
		if l.tombstoned || d.expected.kind == expectExists && l.softDeleted() {
			return 0, streamDeleted(d.stream)
		}
		current, err := s.lastRevision(ctx, d.stream)
		if err != nil {
			return 0, err
		}
		nothing := current == eventstore.NoStream && !l.exists
		if !d.expected.holds(current, &l) || d.needsStream && nothing {
			return 0, &conflict{stream: d.stream, expected: d.expected, actual: current}
		}
		result, err := s.config.Store.Append(ctx, eventstore.Append{
			Stream: metaPrefix + d.stream, Expected: l.revision, Events: []eventstore.Event{d.event},
		})
		if !errors.Is(err, eventstore.ErrConflict) {
			return result.Position, err
		}
	}
}
