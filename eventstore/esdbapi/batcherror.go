package esdbapi

import (
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/logoutd/logoutd/eventstore"
)

func nothingThere() *emptypb.Empty { return &emptypb.Empty{} }

// batchError is an error as BatchAppend tells it: within its answer, while the call goes on.
func batchError(err error, stream string) *status.Status {
	var c *conflict
	if errors.As(err, &c) {
		return batchStatus(code.Code_ALREADY_EXISTS, "WrongExpectedVersion", batchConflict(c))
	}
	f := asFailure(err)
	switch exception(f) {
	case "stream-deleted":
		return batchStatus(code.Code_NOT_FOUND, "StreamDeleted", &shared.StreamDeleted{StreamIdentifier: streamIdentifier(stream)})
	case "access-denied":
		return batchStatus(code.Code_PERMISSION_DENIED, "AccessDenied", &shared.AccessDenied{})
	case "maximum-append-size-exceeded":
		return batchStatus(code.Code_INVALID_ARGUMENT, "MaximumAppendSizeExceeded",
			&shared.MaximumAppendSizeExceeded{MaxAppendSize: eventstore.MaxAppendBytes})
	}
	switch f.code { //nolint:exhaustive // the other codes are all Unknown
	case codes.Aborted, codes.DeadlineExceeded:
		return batchStatus(code.Code_DEADLINE_EXCEEDED, "Timeout", &shared.Timeout{})
	case codes.InvalidArgument, codes.AlreadyExists:
		return batchStatus(code.Code_INVALID_ARGUMENT, "BadRequest", &shared.BadRequest{Message: f.message})
	case codes.Unavailable:
		return batchStatus(code.Code_OK, f.message, nothingThere())
	default:
		return batchStatus(code.Code_UNKNOWN, "Unknown", &shared.Unknown{})
	}
}

func exception(f *failure) string {
	if values := f.trailer.Get(trailerException); len(values) == 1 {
		return values[0]
	}
	return ""
}

func batchStatus(c code.Code, message string, detail proto.Message) *status.Status {
	s := &status.Status{Code: int32(c), Message: message}
	if detail, err := anypb.New(detail); err == nil { // it is a message of this package, and well
		s.Details = []*anypb.Any{detail} // clients know one
	}
	return s
}

func batchConflict(c *conflict) *shared.WrongExpectedVersion {
	w := &shared.WrongExpectedVersion{
		CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: nothingThere()},
	}
	if c.actual != eventstore.NoStream {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(c.actual)} //nolint:gosec // not negative
	}
	switch c.expected.kind {
	case expectAny:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: nothingThere()}
	case expectExists:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: nothingThere()}
	case expectNoStream:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: nothingThere()}
	case expectRevision:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: c.expected.revision}
	}
	return w
}
