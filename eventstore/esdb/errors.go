package esdb

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
)

var (
	errClosed   = errors.New("the store is closed")
	errTimeout  = errors.New("the server did not answer in time")
	errNotTaken = errors.New("the client did not take the call in time")
	errGivenUp  = errors.New("the call was given up")
	errNoEvent  = errors.New("the server sent a frame without an event")
	errNoResult = errors.New("the server answered without a result")
)

// class is what an answer of the client means for whoever asked.
type class uint8

const (
	// passing: the exchange failed, the next may not. An append may be stored.
	passing class = iota
	// lost: the connection is of no use any more. An append may be stored.
	lost
	// moved: the client changes to the leader. An append may be stored.
	moved
	// conflict: the stream is not where the append expected it.
	conflict
	// missing: there is no such stream.
	missing
	// denied: the user may not do this, or is not known. Nothing was stored.
	denied
	// deleted: the stream was deleted for good. Nothing was stored.
	deleted
	// refused: the server finds the request wrong, and always will. Nothing was stored.
	refused
	// unsupported: the server does not speak the protocol. Nothing was stored.
	unsupported
)

// permanent says that asking again cannot help.
func (c class) permanent() bool { return c >= denied }

// classOf finds the code of the client in an error, however it is wrapped (G6).
func classOf(err error) class {
	if known := (*hiddenError)(nil); errors.As(err, &known) {
		return known.class
	}
	grpcCode := codes.Unknown
	s, hasStatus := status.FromError(err)
	if hasStatus {
		grpcCode = s.Code()
	}
	var coded *sdk.Error
	if !errors.As(err, &coded) {
		return classOfStatus(grpcCode)
	}
	return classOfCode(coded.Code(), grpcCode, hasStatus)
}

// classOfCode maps every code of the client. grpcCode tells apart what the client throws together
// under one code; hasStatus, whether the server sent one.
func classOfCode(code sdk.ErrorCode, grpcCode codes.Code, hasStatus bool) class {
	switch code {
	case sdk.ErrorCodeUnknown:
		return classOfStatus(grpcCode)
	case sdk.ErrorCodeResourceNotFound:
		if hasStatus {
			return passing // such as not-leader without an address. A missing stream comes as a message.
		}
		return missing
	case sdk.ErrorCodeConnectionClosed, sdk.ErrorUnavailable:
		return lost
	case sdk.ErrorCodeNotLeader:
		return moved
	case sdk.ErrorCodeWrongExpectedVersion:
		return conflict
	case sdk.ErrorCodeStreamDeleted:
		return deleted
	case sdk.ErrorCodeAccessDenied, sdk.ErrorCodeUnauthenticated:
		return denied
	case sdk.ErrorCodeUnsupportedFeature:
		return unsupported
	case sdk.ErrorCodeDeadlineExceeded, sdk.ErrorAborted, sdk.ErrorCodeParsing, sdk.ErrorCodeInternalClient,
		sdk.ErrorCodeInternalServer, sdk.ErrorCodeResourceAlreadyExists:
		return passing
	}
	return passing
}

// classOfStatus maps what the client has no code for: subscriptions hand out the status as it came (G9).
func classOfStatus(code codes.Code) class {
	switch code {
	case codes.InvalidArgument, codes.OutOfRange:
		return refused
	case codes.PermissionDenied, codes.Unauthenticated:
		return denied
	case codes.Unimplemented:
		return unsupported
	case codes.Unavailable:
		return lost
	case codes.OK, codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.NotFound, codes.AlreadyExists,
		codes.ResourceExhausted, codes.FailedPrecondition, codes.Aborted, codes.Internal, codes.DataLoss:
		return passing
	}
	return passing
}

// brokenError is a panic of the client (G10, G11).
type brokenError struct{ value any }

func (e *brokenError) Error() string { return fmt.Sprintf("the client panicked: %v", e.value) }

// guard turns a panic of the client into an error.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = &brokenError{r}
	}
}

// hiddenError is what an error of the client says, without its type: no type of the client leaves the package.
type hiddenError struct {
	text  string
	class class
}

func (e *hiddenError) Error() string { return e.text }

// hidden keeps errors of ours as they are.
func hidden(err error) error {
	if known := (*hiddenError)(nil); errors.As(err, &known) || errors.Is(err, errClosed) || errors.Is(err, errTimeout) {
		return err
	}
	return &hiddenError{err.Error(), classOf(err)}
}

// answer turns what the client said into an error of the port, of a request that stored nothing. What is one
// already stays as it is.
func (s *Store) answer(what string, err error) error {
	for _, own := range [...]error{eventstore.ErrUnavailable, eventstore.ErrInvalid, eventstore.ErrStreamNotFound, eventstore.ErrCorrupt} {
		if errors.Is(err, own) {
			return err
		}
	}
	switch c := classOf(err); c {
	case missing:
		return fmt.Errorf("%w: %s", eventstore.ErrStreamNotFound, what)
	case deleted:
		return fmt.Errorf("%w: %s: the stream was deleted for good on the server", eventstore.ErrInvalid, what)
	case refused:
		return fmt.Errorf("%w: %s: event store %s: %w", eventstore.ErrInvalid, what, s.address, hidden(err))
	case denied:
		return s.unavailable(fmt.Errorf("%s: check the user and its rights: %w", what, hidden(err)))
	case unsupported:
		return s.unavailable(fmt.Errorf("%s: not a server of EventStoreDB's protocol: %w", what, hidden(err)))
	case passing, lost, moved, conflict:
		return s.unavailable(fmt.Errorf("%s: %w", what, hidden(err)))
	}
	return s.unavailable(hidden(err))
}

func (s *Store) unavailable(cause error) error {
	return fmt.Errorf("%w: event store %s: %w", eventstore.ErrUnavailable, s.address, cause)
}
