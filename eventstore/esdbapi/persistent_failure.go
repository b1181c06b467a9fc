package esdbapi

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// groupFailure is what a client is told of an error about a group.
func groupFailure(err error, key groups.Key) error {
	about := func(code codes.Code, message, exception string, more ...string) error {
		return failed(code, "Subscription group '"+headerValue(key.Group)+"' on stream '"+headerValue(key.Stream)+"' "+message,
			append([]string{trailerException, exception, trailerStream, key.Stream, trailerGroup, key.Group}, more...)...)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, groups.ErrNotFound):
		return about(codes.NotFound, "does not exist.", "persistent-subscription-does-not-exist")
	case errors.Is(err, groups.ErrExists):
		return about(codes.AlreadyExists, "exists.", "persistent-subscription-exists")
	case errors.Is(err, groups.ErrInvalid):
		reason := strings.ReplaceAll(err.Error(), "\n", "; ")
		return about(codes.Internal, "failed: '"+headerValue(reason)+"'", "persistent-subscription-failed", "reason", reason)
	case errors.Is(err, groups.ErrFull):
		return about(codes.FailedPrecondition, "has its maximum of subscribers.", "maximum-subscribers-reached")
	case errors.Is(err, groups.ErrDropped), errors.Is(err, groups.ErrDeleted), errors.Is(err, groups.ErrClosed):
		return about(codes.Canceled, "was dropped.", "persistent-subscription-dropped")
	case errors.Is(err, groups.ErrStopped):
		return shuttingDown()
	}
	return err // of the store, or of the call itself
}
