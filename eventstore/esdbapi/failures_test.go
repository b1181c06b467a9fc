package esdbapi_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// Ensure that an error which a store got by gRPC itself is not passed on as one of this server, nor its words.
func TestAnErrorOfAnotherServerIsNotPassedOn(t *testing.T) {
	t.Parallel()
	spy := &storeSpy{append: func(context.Context, eventstore.Append) (eventstore.Result, error) {
		return eventstore.Result{}, fmt.Errorf("secret-of-the-store: %w", status.Error(codes.Unauthenticated, "secret"))
	}}
	r := serve(t, spy.in)
	_, _, err := rawAppend(t, r, appendTo("s"), proposal(nil))
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("the answer is %v", err)
	}
}

// Ensure that a panic, wherever it happens, fails the call it happens in, tells nothing, and the server lives on.
func TestAPanicFailsOneCall(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	panics := func() error {
		if broken.Load() {
			panic("secret-of-the-store")
		}
		return eventstore.ErrUnavailable
	}
	spy := &storeSpy{subscribe: panics}
	spy.append = func(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
		if broken.Load() {
			panic("secret-of-the-store")
		}
		return spy.Store.Append(ctx, a)
	}
	reader := &storeSpy{read: func() error { panic("secret-of-the-store") }}
	r, reading := serve(t, spy.in), serve(t, reader.in)
	broken.Store(true)
	errs := map[string]error{}
	_, _, errs["append"] = rawAppend(t, r, appendTo("refreshToken-1"), proposal(nil))
	_, _, errs["follow all"] = r.readRaw(t, readReq("", ofAll, subscribing))
	_, _, errs["read"] = reading.readRaw(t, readReq("s"))
	for method, err := range errs {
		if status.Code(err) != codes.Internal || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v", method, err)
		}
	}
	if c := r.batched(t, "s"); c != code.Code_UNKNOWN {
		t.Errorf("batch: %s", c)
	}
	broken.Store(false)
	if got := r.appended(t, "s", expectsAny, proposal(nil)); got != "stored 0" {
		t.Errorf("after the panic: %s", got)
	}
	if _, _, err := r.readRaw(t, readReq("", ofAll, subscribing)); status.Code(err) != codes.Unavailable {
		t.Errorf("a subscription after the panic: %v", err)
	}
}

// Ensure that a write which takes too long is given up, and is told as one whose outcome may be either, whatever the store calls it.
func TestAWriteThatTakesTooLong(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(error) error{
		"its cause":  func(cause error) error { return fmt.Errorf("append: %w", cause) },
		"an unknown": func(cause error) error { return fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, cause) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spy := &storeSpy{append: func(ctx context.Context, _ eventstore.Append) (eventstore.Result, error) {
				<-ctx.Done()
				return eventstore.Result{}, of(context.Cause(ctx))
			}}
			r := serve(t, spy.in, func(c *esdbapi.Config) { c.WriteTimeout = 20 * time.Millisecond })
			_, trailer, err := rawAppend(t, r, appendTo("s"), proposal(nil))
			if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "Operation timed out") || one(trailer, "exception") != "" {
				t.Errorf("%v, %v", err, trailer)
			}
		})
	}
}
