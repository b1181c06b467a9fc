package esdb_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

// lossy loses the answers to the first n appends, stored or not.
func lossy(n int64, err error) func(context.Context) error {
	var lost atomic.Int64
	return func(context.Context) error {
		if lost.Add(1) <= n {
			return err
		}
		return nil
	}
}

// Ensure that an append whose answer was lost is settled for what it is, whatever hid the answer.
func TestALostAnswerIsSettled(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{
		codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.NotFound, codes.AlreadyExists, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.Aborted, codes.Internal, codes.Unavailable, codes.DataLoss,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			store := open(t, config(s))
			hidden := status.Error(code, "hidden")
			s.set(faults{lose: lossy(2, hidden)})
			a := batch("s", eventstore.NoStream, 3)
			if res := must(t, store, a); res.Revision != 2 || res.Position == 0 || res.Duplicate {
				t.Errorf("stored, then lost: %+v", res)
			}
			s.set(faults{refuse: lossy(2, hidden)})
			if res := must(t, store, batch("s", eventstore.AtRevision(2), 2)); res.Revision != 4 {
				t.Errorf("lost, then stored: %+v", res)
			}
			s.set(faults{refuse: func(context.Context) error { // somebody else is faster
				s.own("s")
				return hidden
			}})
			_, err := store.Append(t.Context(), batch("s", eventstore.AtRevision(4), 2))
			var conflict *eventstore.ConflictError
			if !errors.As(err, &conflict) || conflict.Actual != 5 {
				t.Errorf("lost, then taken: %v", err)
			}
			if n := s.count("s"); n != 6 {
				t.Errorf("%d events are stored, want 6", n)
			}
			if st := store.Stats(); st.Resolved != 3 || st.Appends != 2 || st.Events != 5 || st.Conflicts != 1 || st.Unknown != 0 {
				t.Errorf("the statistics say %+v", st)
			}
		})
	}
}

// An answer without a result is a success of revision 1 for the client.
func TestAnAnswerWithoutAResultIsNoSuccess(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := config(s)
	cfg.ResolveTimeout = 100 * time.Millisecond
	store := open(t, cfg)
	s.set(faults{answer: func() *streams.AppendResp { return &streams.AppendResp{} }})
	if res := must(t, store, batch("s", eventstore.NoStream, 3)); res.Revision != 2 || res.Position == 0 {
		t.Errorf("the append answers %+v", res)
	}
}

func TestAConflictOverOnesOwnEventsIsASuccess(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	a := batch("s", eventstore.NoStream, 2)
	first := must(t, store, a)
	s.set(faults{answer: func() *streams.AppendResp { return wrongVersion(-1, 1) }})
	if res := must(t, store, a); res != first {
		t.Errorf("a conflict over the append itself answers %+v, want %+v", res, first)
	}
}

func TestWhatCannotBeSettledIsUnknown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := config(s)
	cfg.ResolveTimeout = 100 * time.Millisecond
	store := open(t, cfg)
	must(t, store, batch("s", eventstore.NoStream, 1))
	s.set(faults{refuse: func(context.Context) error {
		go s.stop()
		return status.Error(codes.Internal, "the last words")
	}})
	a := batch("s", eventstore.AtRevision(0), 1)
	if _, err := store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrOutcomeUnknown) {
		t.Errorf("an append whose server is gone answers %v", err)
	}
	// Now that the server is known to be away, nothing is sent, and nothing is unknown.
	if _, err := store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrOutcomeUnknown) {
		t.Errorf("an append without a server answers %v", err)
	}
	s.set(faults{})
	s.start()
	eventually(t, "the repeated append", func() error {
		_, err := store.Append(t.Context(), a)
		return err
	})
	if n := s.count("s"); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

func TestACallerWhoLeavesAfterTheAppendWasSentDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := open(t, config(s))
	must(t, store, batch("s", eventstore.NoStream, 1))
	arrived, release := make(chan struct{}), make(chan struct{})
	s.set(faults{lose: func(context.Context) error {
		close(arrived)
		<-release
		return nil
	}})
	cause := errors.New("the caller has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(cause)
	}()
	a := batch("s", eventstore.AtRevision(0), 1)
	_, err := store.Append(ctx, a)
	close(release)
	if !errors.Is(err, eventstore.ErrOutcomeUnknown) || !errors.Is(err, cause) {
		t.Errorf("a caller who leaves is told %v", err)
	}
	s.set(faults{})
	must(t, store, a)
	if n := s.count("s"); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

// The client cannot be stopped on its way to a connection: it must be stopped when it has one.
func TestWhatWasGivenUpIsNeverSent(t *testing.T) {
	t.Parallel()
	if err := esdb.GiveUpThenAsk(t.Context()); err == nil {
		t.Error("a call that was given up goes on")
	}
}
