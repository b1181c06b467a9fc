package claims_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// blocked demands that an append is told to come again, and not where its id is being used: the name of a
// stream may be a secret.
func blocked(t *testing.T, s *claims.Store, when string, a eventstore.Append) {
	t.Helper()
	if res, err := s.Append(t.Context(), a); !errors.Is(err, eventstore.ErrUnavailable) || strings.Contains(err.Error(), "stream") {
		t.Errorf("%s, another append under the id answers %+v, %v", when, res, err)
	}
}

func crashed(t *testing.T, store eventstore.Store, a eventstore.Append) {
	t.Helper()
	s := over(t, &hooked{Store: store, before: onAppendTo(a.Stream, func() error { return errCrash })}, claims.Config{})
	if _, err := s.Append(t.Context(), a); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
}

// Ensure that a repeat is protected for as long as a first append, however old the claim is that it found.
func TestARepeatHasAClaimOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := eventstoretest.NewPerStream()
		s := over(t, store, claims.Config{})
		a := of("s", eventstore.NoStream, "x", 1)
		crashed(t, store, a)
		time.Sleep(55 * time.Second)
		repeating := over(t, &hooked{Store: store, before: onAppendTo("s", func() error {
			time.Sleep(9 * time.Second)
			blocked(t, s, "while a repeat is under way", of("other", eventstore.NoStream, "x", 1))
			return nil
		})}, claims.Config{})
		must(t, repeating, a)
	})
}

// Ensure that only an append of the very same place follows a claim at once: one of another length would
// leave open which of the two is stored.
func TestAnotherLengthIsAnotherPlace(t *testing.T) {
	t.Parallel()
	store := eventstoretest.NewPerStream()
	crashed(t, store, of("s", eventstore.NoStream, "x", 1, 2))
	blocked(t, over(t, store, claims.Config{}), "while a longer one may be under way", of("s", eventstore.NoStream, "x", 1))
}

// Ensure that an answer is about the append that is stored, and not about one that was claimed for the same place
// before, was longer, and has run out just when it was looked for.
func TestAClaimThatIsReplacedWhileLooking(t *testing.T) {
	t.Parallel()
	later := claims.Config{Now: func() time.Time { return time.Now().Add(2 * time.Minute) }}
	for name, hook := range map[string]func(h *hooked, rival func()){
		"between claim and place": func(h *hooked, rival func()) {
			crashed(t, h.Store, of("s", eventstore.NoStream, "x", 1, 2))
			h.read = func(stream string) error {
				if stream == "s" {
					rival()
				}
				return nil
			}
		},
		"before its own append": func(h *hooked, rival func()) {
			h.before = onAppendTo("s", func() error { rival(); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := eventstoretest.NewPerStream()
			h := &hooked{Store: store}
			hook(h, sync.OnceFunc(func() {
				must(t, over(t, store, later), of("s", eventstore.NoStream, "y", 1))
				must(t, over(t, store, later), of("s", eventstore.AtRevision(0), "y", 3))
			}))
			_, err := over(t, h, claims.Config{}).Append(t.Context(), of("s", eventstore.NoStream, "x", 1, 2))
			var reused *eventstore.IDReusedError
			if !errors.As(err, &reused) || reused.First.Revision != 0 {
				t.Errorf("append answers %v", err)
			}
		})
	}
}

// stuck is a store that answers no append to one stream before its context ends.
type stuck struct {
	eventstore.Store
	stream string
}

func (s stuck) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	if a.Stream == s.stream {
		<-ctx.Done()
		return eventstore.Result{}, context.Cause(ctx)
	}
	return s.Store.Append(ctx, a)
}

// Ensure that an append which the store does not accept in time is withdrawn.
func TestAnAppendHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := over(t, stuck{eventstoretest.NewPerStream(), "s"}, claims.Config{Deadline: 3 * time.Second})
		if _, err := s.Append(t.Context(), of("s", eventstore.NoStream, "x", 1)); !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("append answers %v", err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

// Ensure that a repeat of what can never be stored does not keep the id from others again and again.
func TestAnOldClaimOfTheSamePlaceRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := eventstoretest.NewPerStream()
		ahead := of("s", eventstore.AtRevision(7), "x", 1)
		crashed(t, store, ahead)
		time.Sleep(61 * time.Second)
		s := over(t, store, claims.Config{})
		if _, err := s.Append(t.Context(), ahead); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("the repeat answers %v", err)
		}
		must(t, s, of("other", eventstore.NoStream, "x", 1))
	})
}

// Ensure that a refused run releases nothing when another has claimed the place since.
func TestOnlyTheLastClaimIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := eventstoretest.NewPerStream()
		ahead := of("s", eventstore.AtRevision(7), "x", 1)
		goOn, done := make(chan struct{}), make(chan struct{})
		second := over(t, &hooked{Store: store, before: onAppendTo("s", func() error {
			<-goOn
			return nil
		})}, claims.Config{})
		first := over(t, &hooked{Store: store, before: onAppendTo("s", func() error {
			go func() {
				defer close(done)
				_, _ = second.Append(context.Background(), ahead)
			}()
			synctest.Wait() // the second has claimed and is under way
			return nil
		})}, claims.Config{})
		if _, err := first.Append(t.Context(), ahead); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("the first run answers %v", err)
		}
		blocked(t, over(t, store, claims.Config{}), "while the second run is under way", of("other", eventstore.NoStream, "x", 1))
		close(goOn)
		<-done
	})
}
