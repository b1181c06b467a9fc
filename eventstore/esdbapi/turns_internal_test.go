package esdbapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func always(growing bool) func(time.Duration) bool {
	return func(time.Duration) bool { return growing }
}

// Ensure that nobody waits while the log does not grow.
func TestAQuietLogNeedsNoTurns(t *testing.T) {
	t.Parallel()
	turns := newTurns(always(false), make(chan struct{}))
	for range 3 { // none of them ended
		if turn, err := turns.take(context.Background()); turn != nil || err != nil {
			t.Errorf("turn %v, %v", turn, err)
		}
	}
}

// Ensure that one sends at a time while the log grows, and that a rest follows that is in proportion to the turn.
func TestTurnsComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(always(true), make(chan struct{}))
		first, err := turns.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken := make(chan time.Time)
		go func() {
			second, err := turns.take(t.Context())
			if err != nil {
				t.Error(err)
			}
			taken <- time.Now()
			second.end()
		}()
		const length = time.Millisecond
		time.Sleep(length)
		first.end()
		ended := time.Now()
		rest := (<-taken).Sub(ended)
		if want := time.Duration(float64(length) * turns.rest); rest != want {
			t.Errorf("a turn of %s was followed by a rest of %s, want %s", length, rest, want)
		}
		first.end() // once more does nothing
	})
}

// Ensure that a client which does not read holds the turn no longer than a moment.
func TestATurnPassesOnFromWhoIsStalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(always(true), make(chan struct{}))
		if _, err := turns.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		second, err := turns.take(t.Context()) // would wait for ever
		if err != nil {
			t.Fatal(err)
		}
		if most := longestTurn + time.Duration(float64(longestTurn)*turns.rest); time.Since(began) > most {
			t.Errorf("the turn passed on after %s, want %s at most", time.Since(began), most)
		}
		second.end()
	})
}

// Ensure that whoever waits for a turn ends with his call and with the server.
func TestWaitingForATurnEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		turns := newTurns(always(true), stopping)
		held, err := turns.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held.limit.Stop() // it never passes on
		cause := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if _, err := turns.take(ctx); !errors.Is(err, cause) {
			t.Errorf("take answers %v", err)
		}
		time.AfterFunc(time.Second, func() { close(stopping) })
		if _, err := turns.take(t.Context()); status.Code(err) != codes.Unavailable {
			t.Errorf("take answers %v", err)
		}
		held.end()
	})
}
