package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

// classes is what each code of the client means.
func classes() map[sdk.ErrorCode]string {
	return map[sdk.ErrorCode]string{
		sdk.ErrorCodeUnknown:               "passing",
		sdk.ErrorCodeUnsupportedFeature:    "unsupported",
		sdk.ErrorCodeDeadlineExceeded:      "passing",
		sdk.ErrorCodeUnauthenticated:       "denied",
		sdk.ErrorCodeResourceNotFound:      "missing",
		sdk.ErrorCodeResourceAlreadyExists: "passing",
		sdk.ErrorCodeConnectionClosed:      "lost",
		sdk.ErrorCodeWrongExpectedVersion:  "conflict",
		sdk.ErrorCodeAccessDenied:          "denied",
		sdk.ErrorCodeStreamDeleted:         "deleted",
		sdk.ErrorCodeParsing:               "passing",
		sdk.ErrorCodeInternalClient:        "passing",
		sdk.ErrorCodeInternalServer:        "passing",
		sdk.ErrorCodeNotLeader:             "moved",
		sdk.ErrorAborted:                   "passing",
		sdk.ErrorUnavailable:               "lost",
	}
}

// Ensure that every code which the client declares is mapped.
func TestEveryCodeOfTheClientIsMapped(t *testing.T) {
	t.Parallel()
	want := classes()
	if n := len(declaredCodes(t)); n != len(want) || n == 0 {
		t.Fatalf("the client declares %d codes, the table has %d", n, len(want))
	}
	for code := range sdk.ErrorCode(len(want)) {
		class, listed := want[code]
		if got := esdb.ClassOfCode(code, codes.Unknown, false); !listed || got != class {
			t.Errorf("code %d is %s, want %q", code, got, class)
		}
	}
	// A NOT_FOUND that the server sent as a status says nothing about a stream: a missing stream comes as a message.
	if got := esdb.ClassOfCode(sdk.ErrorCodeResourceNotFound, codes.NotFound, true); got != "passing" {
		t.Errorf("a status NOT_FOUND is %s", got)
	}
}

// declaredCodes reads the names of the codes in the source of the client.
func declaredCodes(t *testing.T) []string {
	t.Helper()
	client, _ := runtime.FuncForPC(reflect.ValueOf(sdk.NewClient).Pointer()).FileLine(0)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(filepath.Dir(client), "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, decl := range file.Decls {
		if group, ok := decl.(*ast.GenDecl); ok && group.Tok == token.CONST {
			for _, spec := range group.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names { //nolint:forcetypeassert // of a const group
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

func TestEveryStatusIsMapped(t *testing.T) {
	t.Parallel()
	want := map[codes.Code]string{
		codes.InvalidArgument: "refused", codes.OutOfRange: "refused", codes.PermissionDenied: "denied",
		codes.Unauthenticated: "denied", codes.Unimplemented: "unsupported", codes.Unavailable: "lost",
	}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		class := want[code]
		if class == "" {
			class = "passing"
		}
		if got := esdb.ClassOfStatus(code); got != class {
			t.Errorf("status %s is %s, want %s", code, got, class)
		}
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded, errors.New("EOF")} {
		if got := esdb.Class(err); got != "passing" {
			t.Errorf("%v is %s", err, got)
		}
	}
}

// A wrapped error is one that the client's own FromError does not know.
func TestG06WrappedErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for code, class := range map[codes.Code]string{
		codes.PermissionDenied: "denied", codes.Unavailable: "lost", codes.FailedPrecondition: "deleted",
	} {
		s.set(faults{read: func(_ *readReq, stream readServer) (bool, error) {
			if code == codes.FailedPrecondition {
				stream.SetTrailer(metadata.Pairs("exception", "stream-deleted", "stream-name", "s"))
			}
			return true, status.Error(code, "no")
		}})
		client := bareClient(t, s)
		_, err := client.SubscribeToAll(t.Context(), sdk.SubscribeToAllOptions{From: sdk.Start{}})
		if known, _ := sdk.FromError(err); known.Code() != sdk.ErrorCodeUnknown {
			t.Errorf("the fault is gone: %v", err)
		}
		if got := esdb.Class(fmt.Errorf("more: %w", err)); got != class {
			t.Errorf("%v is %s, want %s", err, got, class)
		}
	}
}

func bareClient(tb testing.TB, s *server) *sdk.Client {
	tb.Helper()
	conf, err := sdk.ParseConnectionString("esdb://" + s.addr + "?tls=false")
	if err != nil {
		tb.Fatal(err)
	}
	conf.Logger = nil
	client, err := sdk.NewClient(conf)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// Ensure what each answer to an append and to a load becomes, and that none is stored or told wrongly.
func TestAnswersOfTheServer(t *testing.T) {
	t.Parallel()
	trailer := func(ctx context.Context, pairs ...string) { _ = grpc.SetTrailer(ctx, metadata.Pairs(pairs...)) }
	tests := map[string]struct {
		answer       func(ctx context.Context) error
		append, load error
	}{
		"denied": {func(context.Context) error { return status.Error(codes.PermissionDenied, "no") },
			eventstore.ErrUnavailable, eventstore.ErrUnavailable},
		"unauthenticated": {func(context.Context) error { return status.Error(codes.Unauthenticated, "who") },
			eventstore.ErrUnavailable, eventstore.ErrUnavailable},
		"tombstone": {func(ctx context.Context) error {
			trailer(ctx, "exception", "stream-deleted", "stream-name", "s")
			return status.Error(codes.FailedPrecondition, "deleted")
		}, eventstore.ErrInvalid, eventstore.ErrInvalid},
		"too large": {func(ctx context.Context) error {
			trailer(ctx, "exception", "maximum-append-size-exceeded", "maximum-append-size", "1")
			return status.Error(codes.InvalidArgument, "too large")
		}, eventstore.ErrInvalid, eventstore.ErrInvalid},
		"unimplemented": {func(context.Context) error { return status.Error(codes.Unimplemented, "what") },
			eventstore.ErrUnavailable, eventstore.ErrUnavailable},
		"not found, with no stream meant": {func(context.Context) error { return status.Error(codes.NotFound, "Leader info") },
			eventstore.ErrOutcomeUnknown, eventstore.ErrUnavailable},
		"write timeout": {func(context.Context) error { return status.Error(codes.Aborted, "timed out") },
			eventstore.ErrOutcomeUnknown, eventstore.ErrUnavailable},
		"no answer": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			eventstore.ErrOutcomeUnknown, eventstore.ErrUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			cfg := config(s)
			cfg.ResolveTimeout = 100 * time.Millisecond
			if name == "no answer" {
				cfg.CallTimeout = 2 * time.Second // a busy machine takes its time to send
			}
			store := open(t, cfg)
			s.set(faults{refuse: tt.answer})
			if _, err := store.Append(t.Context(), batch("s", eventstore.NoStream, 2)); !errors.Is(err, tt.append) || sentinels(err) != 1 {
				t.Errorf("append answers %v, want %v", err, tt.append)
			}
			s.set(faults{read: func(req *readReq, stream readServer) (bool, error) {
				return req.Options.GetStream() != nil, tt.answer(stream.Context())
			}})
			if _, err := store.Load(t.Context(), "s"); !errors.Is(err, tt.load) || sentinels(err) != 1 {
				t.Errorf("load answers %v, want %v", err, tt.load)
			}
			if n := s.count("s"); n != 0 {
				t.Errorf("%d events are stored", n)
			}
		})
	}
}

// sentinels counts the kinds of error that an error is. More than one confuses a caller.
func sentinels(err error) (n int) {
	for _, kind := range []error{
		eventstore.ErrConflict, eventstore.ErrIDReused, eventstore.ErrStreamNotFound, eventstore.ErrUnavailable,
		eventstore.ErrOutcomeUnknown, eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrCorrupt,
	} {
		if errors.Is(err, kind) {
			n++
		}
	}
	if vendor := (*sdk.Error)(nil); errors.As(err, &vendor) {
		n += 100 // no type of the client leaves the package
	}
	return n
}
