package esdbapi

import (
	"net/url"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore"
)

// Trailer keys that official clients look at.
const (
	trailerException = "exception"
	trailerStream    = "stream-name"
	trailerGroup     = "group-name"
)

// failure is an answer of the protocol that is not a success: a status and the trailers
// by which clients tell one failure from another. Handlers return it; the interceptors send it.
type failure struct {
	code    codes.Code
	message string
	trailer metadata.MD
}

func (f *failure) Error() string { return f.code.String() + ": " + f.message }

// GRPCStatus is the status without the trailers.
func (f *failure) GRPCStatus() *status.Status { return status.New(f.code, f.message) }

// failed makes a failure. trailers are pairs of key and value; values are escaped where a header could not carry them.
func failed(code codes.Code, message string, trailers ...string) *failure {
	f := &failure{code: code, message: message}
	if len(trailers) > 0 {
		f.trailer = metadata.MD{}
	}
	for i := 0; i+1 < len(trailers); i += 2 {
		f.trailer.Append(trailers[i], headerValue(trailers[i+1]))
	}
	return f
}

// headerValue percent-encodes what is not printable ASCII, as a name of a stream may be.
func headerValue(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '%' {
			return url.PathEscape(s)
		}
	}
	return s
}

func invalid(message string) *failure { return failed(codes.InvalidArgument, message) }

func accessDenied(why string) *failure {
	return failed(codes.PermissionDenied, "Access Denied: "+why, trailerException, "access-denied")
}

func unauthenticated() *failure { return failed(codes.Unauthenticated, "Unauthenticated") }

func streamDeleted(stream string) *failure {
	return failed(codes.FailedPrecondition, "Event stream '"+headerValue(stream)+"' is deleted.",
		trailerException, "stream-deleted", trailerStream, stream)
}

func appendTooLarge(limit int) *failure {
	return failed(codes.InvalidArgument, "Maximum Append Size of "+strconv.Itoa(limit)+" Exceeded.",
		trailerException, "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(limit))
}

func missingMetadata(property string) *failure {
	return failed(codes.InvalidArgument, "Required Metadata Property '"+property+"' is missing",
		trailerException, "missing-required-metadata-property",
		"required-metadata-properties", metadataType+","+metadataContentType)
}

// wrongVersion is the form that Delete and Tombstone use; appends answer with a message of their own.
func wrongVersion(c *conflict) *failure {
	return failed(codes.FailedPrecondition, c.Error(),
		trailerException, "wrong-expected-version", trailerStream, c.stream,
		"expected-version", strconv.FormatInt(c.expected.number(), 10),
		"actual-version", strconv.FormatInt(int64(c.actual), 10))
}

func shuttingDown() *failure { return failed(codes.Unavailable, "Server is shutting down") }

func tooBusy() *failure { return failed(codes.Unavailable, "Server Is Busy") }

func tooSlow() *failure {
	return failed(codes.DeadlineExceeded, "the request was not complete in time")
}

func tooManyEvents() *failure {
	return invalid("more than " + strconv.Itoa(eventstore.MaxAppendEvents) + " events in one append; send them in several")
}
