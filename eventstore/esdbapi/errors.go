package esdbapi

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore"
)

// errWriteTimeout is the cause of a write that took longer than Config.WriteTimeout.
var errWriteTimeout = errors.New("write timeout")

// asFailure maps whatever a handler returned, the errors of every store included. What it
// does not know is INTERNAL and says nothing more: an error may name what a client must not see.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var c *conflict
	if errors.As(err, &c) {
		return wrongVersion(c)
	}
	var reused *eventstore.IDReusedError
	switch {
	case errors.As(err, &reused):
		return idReused(reused)
	case errors.Is(err, errWriteTimeout):
		return failed(codes.Aborted, "Operation timed out: the write was not confirmed in time")
	case errors.Is(err, eventstore.ErrOutcomeUnknown):
		return failed(codes.Aborted, "Operation timed out: whether the events were stored is not known; repeat with the same event ids")
	case errors.Is(err, eventstore.ErrTooLarge):
		return appendTooLarge(eventstore.MaxAppendBytes)
	case errors.Is(err, eventstore.ErrInvalid):
		return invalid(err.Error())
	case errors.Is(err, eventstore.ErrUnavailable):
		return failed(codes.Unavailable, "Server Is Not Ready: the event store cannot be used now")
	case errors.Is(err, eventstore.ErrCorrupt):
		return failed(codes.Internal, "the event store is corrupt")
	case errors.Is(err, eventstore.ErrStreamNotFound):
		return failed(codes.NotFound, "stream not found", trailerException, "stream-not-found")
	case errors.Is(err, eventstore.ErrConflict):
		return failed(codes.Aborted, "the stream is changed too often; try again")
	case errors.Is(err, eventstore.ErrIDReused):
		return failed(codes.AlreadyExists, "an event id is already stored")
	case errors.Is(err, context.Canceled):
		return failed(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return failed(codes.DeadlineExceeded, "the deadline of the call has passed")
	}
	if s, ok := status.FromError(err); ok && err.Error() == s.Err().Error() { // of gRPC itself, not wrapped by a store
		return failed(s.Code(), s.Message())
	}
	return failed(codes.Internal, "internal error")
}

// idReused differs from a real node, which knows ids by stream only (E7).
func idReused(e *eventstore.IDReusedError) *failure {
	return failed(codes.AlreadyExists, "event id "+e.ID.String()+" is already stored in stream '"+headerValue(e.Stream)+
		"'; give every event an id of its own")
}
