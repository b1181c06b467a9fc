package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
	"github.com/logoutd/logoutd/eventstore/transfer"
)

// Ensure that a copy is the same history in the same appends, and that the second run has nothing to do.
func TestACopyIsTheSameHistory(t *testing.T) {
	t.Parallel()
	from := history(t, 60)
	to := &broken{PerStream: eventstoretest.NewPerStream()}
	var phases []transfer.Phase
	c := transfer.Config{From: from, To: to, Together: together, Progress: func(p transfer.Progress) {
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
		if p.At > p.Head || p.Events == 0 {
			t.Errorf("progress %+v", p)
		}
	}}
	r := mustCopy(t, c)
	equal(t, log(t, to), log(t, from))
	if r.Copied != 120 || r.Already != 0 || r.From.Events != 120 || r.From.Streams != 3 || len(r.From.SHA256) != 64 {
		t.Errorf("report %+v", r)
	}
	for n, size := range to.batches {
		if size != 1+n%3 {
			t.Errorf("append %d has %d events", n, size)
		}
	}
	if again := mustCopy(t, c); again.Copied != 0 || again.Already != 120 || again.From != r.From || len(to.batches) != 60 {
		t.Errorf("the second run: %+v", again)
	}
	if want := []transfer.Phase{transfer.Copying, transfer.Verifying, transfer.Resuming, transfer.Verifying}; !slices.Equal(phases, want) {
		t.Errorf("phases %v", phases)
	}
}

// Ensure that one command that wrote to two streams stays two appends.
func TestAnAppendIsOfOneStream(t *testing.T) {
	t.Parallel()
	from, to := eventstoretest.NewPerStream(), &broken{PerStream: eventstoretest.NewPerStream()}
	for n, stream := range []string{"a", "b", "a", "b"} { // their revisions are 0, 0, 1, 1
		mustAppend(t, from, eventstore.Append{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{
			{ID: eventstore.EventID{byte(n + 1)}, Type: "T", Metadata: []byte("one command")}, //nolint:gosec // small
		}})
	}
	mustCopy(t, transfer.Config{From: from, To: to, Together: together})
	if len(to.batches) != 4 {
		t.Errorf("appends of %v events", to.batches)
	}
}

// Ensure that a copy into a store that knows ids by claims, and out of one, is the same history, and that the target
// knows what was appended before it was copied.
func TestACopyOverClaims(t *testing.T) {
	t.Parallel()
	over := func() *claims.Store {
		s, err := claims.New(eventstoretest.NewPerStream(), claims.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	from, middle, to := history(t, 30), over(), eventstoretest.NewPerStream()
	there := mustCopy(t, transfer.Config{From: from, To: middle, Together: together})
	back := mustCopy(t, transfer.Config{From: middle, To: to, Together: together})
	if there.From != back.To {
		t.Errorf("there %+v, back %+v", there, back)
	}
	equal(t, log(t, to), log(t, from))
	first := log(t, from)[1:3] // an append of two
	res, err := middle.Append(t.Context(), eventstore.Append{
		Stream: first[0].Stream, Expected: eventstore.NoStream, Events: []eventstore.Event{first[0].Event, first[1].Event},
	})
	if err != nil || !res.Duplicate || res.Revision != first[1].Revision {
		t.Errorf("a repeat of what was copied answers %+v, %v", res, err)
	}
}

func TestAnEmptySource(t *testing.T) {
	t.Parallel()
	r := mustCopy(t, transfer.Config{From: eventstoretest.NewPerStream(), To: eventstoretest.NewPerStream()})
	if r.Copied != 0 || r.From.Events != 0 || r.From.SHA256 != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("report %+v", r)
	}
}

// Ensure that an interrupted copy goes on where it was, whatever append it ended at, whether that one was stored, and
// whether the outcome is known.
func TestACopyGoesOnAfterAnyInterruption(t *testing.T) {
	t.Parallel()
	const appends = 20
	from := history(t, appends)
	for n := 1; n <= appends; n++ {
		for _, stored := range []bool{false, true} {
			to := &broken{PerStream: eventstoretest.NewPerStream(), onAppend: func(i int) (bool, error) {
				if i == n {
					return stored, errBroken
				}
				return false, nil
			}}
			c := transfer.Config{From: from, To: to, Together: together}
			r, err := transfer.Copy(t.Context(), c)
			if !errors.Is(err, errBroken) {
				t.Fatalf("append %d: %v", n, err)
			}
			if equal(t, log(t, to), log(t, from)[:len(log(t, to))]); stored == (uint64(len(log(t, to))) == r.Copied) {
				t.Errorf("append %d: %d events are said to be copied, %d are", n, r.Copied, len(log(t, to)))
			}
			before := len(log(t, to))
			if r = mustCopy(t, c); r.Already != uint64(before) || r.Already+r.Copied != r.From.Events { //nolint:gosec // small
				t.Errorf("after append %d: %+v", n, r)
			}
			equal(t, log(t, to), log(t, from))
		}
	}
}

// Ensure that stores that are away for a while, and appends whose outcome is unknown, do not end a copy.
func TestACopyWaitsForItsStores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		from := &broken{PerStream: history(t, 30), onRead: func(n int) error {
			if n%7 == 0 {
				return eventstore.ErrUnavailable
			}
			return nil
		}}
		to := &broken{PerStream: eventstoretest.NewPerStream(), onAppend: func(n int) (bool, error) {
			return n%3 == 0, []error{nil, eventstore.ErrUnavailable, eventstore.ErrOutcomeUnknown}[n*n%3+n%2]
		}}
		var mu sync.Mutex
		waited := map[string]int{}
		mustCopy(t, transfer.Config{From: from, To: to, Together: together, Waiting: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			waited[err.Error()[:6]]++
		}})
		equal(t, log(t, to.PerStream), log(t, from.PerStream))
		if waited["source"] == 0 || waited["target"] == 0 || len(waited) != 2 {
			t.Errorf("waited for %v", waited)
		}
	})
}

// Ensure that a store that stays away ends a copy after a time, and at once when the caller gives up.
func TestACopyDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	gone := func(int) (bool, error) { return false, eventstore.ErrUnavailable }
	goneRead := func(int) error { return eventstore.ErrUnavailable }
	for name, c := range map[string]transfer.Config{
		"target": {From: history(t, 3), To: &broken{PerStream: eventstoretest.NewPerStream(), onAppend: gone}},
		"source": {From: &broken{PerStream: history(t, 3), onRead: goneRead}, To: eventstoretest.NewPerStream()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := transfer.Copy(t.Context(), c)
				if took := time.Since(began); !errors.Is(err, eventstore.ErrUnavailable) || took < time.Minute || took > 70*time.Second {
					t.Errorf("after %s: %v", took, err)
				}
				if !strings.HasPrefix(err.Error(), name) {
					t.Errorf("the error does not name its store: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began = time.Now()
				if _, err = transfer.Copy(ctx, c); err == nil || time.Since(began) != 10*time.Second {
					t.Errorf("cancelled, after %s: %v", time.Since(began), err)
				}
			})
		})
	}
}

// Ensure that cancelling in the middle of appends ends the copy, and that it can go on.
func TestACancelledCopyGoesOn(t *testing.T) {
	t.Parallel()
	from, to := history(t, 200), eventstoretest.NewPerStream()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := transfer.Config{From: from, To: to, Together: together, Progress: func(p transfer.Progress) {
		if p.Events > 100 {
			cancel(errBroken)
		}
	}}
	if r, err := transfer.Copy(ctx, c); !errors.Is(err, errBroken) || r.Copied < 100 || r.Copied > 110 {
		t.Fatalf("%+v, %v", r, err)
	}
	c.Progress = nil
	mustCopy(t, c)
}

// Ensure that what is written to the source during a copy is left for the next.
func TestACopyEndsWhereTheSourceWas(t *testing.T) {
	t.Parallel()
	from, to := history(t, 10), eventstoretest.NewPerStream()
	more := eventstore.Append{Stream: "late", Expected: eventstore.NoStream, Events: []eventstore.Event{{ID: eventstore.EventID{9}, Type: "T"}}}
	c := transfer.Config{From: from, To: to, Progress: func(transfer.Progress) {
		_, _ = from.Append(context.Background(), more) // once: a repeat adds nothing
	}}
	was := len(log(t, from))
	if r := mustCopy(t, c); r.From.Events != uint64(was) || r.Head != eventstore.Position(was) || len(log(t, to)) != was { //nolint:gosec // small
		t.Errorf("%+v", r)
	}
	if r := mustCopy(t, c); r.Copied != 1 {
		t.Errorf("the second run: %+v", r)
	}
}

// Ensure that a target which is no beginning of the source is refused, and stays as it is.
func TestAForeignTargetIsRefused(t *testing.T) {
	t.Parallel()
	from := history(t, 10)
	all := log(t, from)
	foreign := eventstore.Recorded{Event: eventstore.Event{ID: eventstore.EventID{7}, Type: "T"}, Stream: "foreign"}
	swapped := slices.Clone(all)
	for i := range swapped[1:] {
		if swapped[i].Stream != swapped[i+1].Stream {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			break
		}
	}
	renamed := slices.Clone(all)
	renamed[3].ID = eventstore.EventID{8}
	for name, c := range map[string]struct {
		holds []eventstore.Recorded
		says  string
	}{
		"an event of its own":   {[]eventstore.Recorded{foreign}, "event 1 of the source is revision 0 of s-0"},
		"one after the copy":    {append(slices.Clone(all), foreign), "event 20 of the target is revision 0 of foreign, id 07000000-0000-0000-0000-000000000000, and the source has ended"},
		"one in the middle":     {slices.Insert(slices.Clone(all), 5, foreign), "event 6 of the source"},
		"another order":         {swapped, "event 1 of the source"},
		"another id":            {renamed, "that of the target revision 0 of s-4, id 08000000-0000-0000-0000-000000000000"},
		"the end and no middle": {slices.Delete(slices.Clone(all), 0, 1), "event 1 of the source"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &broken{PerStream: fill(t, c.holds)}
			_, err := transfer.Copy(t.Context(), transfer.Config{From: from, To: to})
			var difference *transfer.DifferenceError
			if !errors.As(err, &difference) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("copy answers %v", err)
			}
			if to.appends != 0 {
				t.Errorf("%d appends to a foreign target", to.appends)
			}
		})
	}
}

// fill makes a store of events, one append each. Their revisions become what they become.
func fill(t testing.TB, events []eventstore.Recorded) *eventstoretest.PerStream {
	t.Helper()
	s := eventstoretest.NewPerStream()
	for _, r := range events {
		mustAppend(t, s, eventstore.Append{Stream: r.Stream, Expected: eventstore.Any, Events: []eventstore.Event{r.Event}})
	}
	return s
}

// Ensure that every difference is found by reading again, and named without showing contents.
func TestEveryDifferenceIsFound(t *testing.T) {
	t.Parallel()
	from := history(t, 10)
	for name, c := range map[string]struct {
		spoil func([]eventstore.Recorded) []eventstore.Recorded
		says  string
	}{
		"a byte of data": {func(all []eventstore.Recorded) []eventstore.Recorded {
			all[4].Data = []byte(`{"n":secret}`)
			return all
		}, "event 5, revision 1 of s-4, id 01000000-0000-0000-0000-000000010002, has another data in the target"},
		"a byte of metadata": {func(all []eventstore.Recorded) []eventstore.Recorded { all[4].Metadata = []byte(`{}`); return all }, "another metadata"},
		"a type":             {func(all []eventstore.Recorded) []eventstore.Recorded { all[4].Type += "x"; return all }, "another type"},
		"a content type":     {func(all []eventstore.Recorded) []eventstore.Recorded { all[4].ContentType ^= 1; return all }, "another content type"},
		"an id":              {func(all []eventstore.Recorded) []eventstore.Recorded { all[4].ID[3]++; return all }, "event 5 of the source is"},
		"a stream": {func(all []eventstore.Recorded) []eventstore.Recorded {
			for i := range all {
				if all[i].Stream == "s-4" {
					all[i].Stream = "s-3"
				}
			}
			return all
		}, "that of the target revision 0 of s-3"},
		"a place":             {func(all []eventstore.Recorded) []eventstore.Recorded { all[4].Stream = "x"; return all }, "that of the target revision 0 of x"},
		"the last is missing": {func(all []eventstore.Recorded) []eventstore.Recorded { return all[:len(all)-1] }, "event 19 of the source is"},
		"one too many": {func(all []eventstore.Recorded) []eventstore.Recorded {
			return append(all, eventstore.Recorded{Event: eventstore.Event{ID: eventstore.EventID{7}, Type: "T"}, Stream: "s-0"})
		}, "event 20 of the target is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := transfer.Verify(t.Context(), transfer.Config{From: from, To: fill(t, c.spoil(log(t, from)))})
			if err != nil || r.Equal() || !strings.Contains(r.Difference, c.says) || r.From.SHA256 == r.To.SHA256 {
				t.Errorf("%+v, %v", r, err)
			}
			if strings.Contains(r.Difference, "secret") {
				t.Errorf("contents are shown: %s", r.Difference)
			}
		})
	}
	if r, err := transfer.Verify(t.Context(), transfer.Config{From: from, To: fill(t, log(t, from))}); err != nil || !r.Equal() {
		t.Errorf("of equal stores: %+v, %v", r, err)
	}
}

// Ensure that appends stay within the limits of a store, and that what fits into none is named.
func TestLimits(t *testing.T) {
	t.Parallel()
	from := eventstoretest.NewPerStream()
	event := func(n, bytesOf int) eventstore.Event {
		return eventstore.Event{ID: eventstore.EventID{0: 1, 14: byte(n >> 8), 15: byte(n)}, Type: "T", Data: bytes.Repeat([]byte("x"), bytesOf), Metadata: []byte("m")} //nolint:gosec // small
	}
	for n := range eventstore.MaxAppendEvents + 10 {
		mustAppend(t, from, eventstore.Append{Stream: "many", Expected: eventstore.Any, Events: []eventstore.Event{event(n, 1)}})
	}
	for n := range 5 {
		mustAppend(t, from, eventstore.Append{Stream: "large", Expected: eventstore.Any, Events: []eventstore.Event{event(2000+n, eventstore.MaxAppendBytes/2-3)}})
	}
	to := &broken{PerStream: eventstoretest.NewPerStream()}
	mustCopy(t, transfer.Config{From: from, To: to, Together: together})
	if want := []int{eventstore.MaxAppendEvents, 10, 2, 2, 1}; !slices.Equal(to.batches, want) {
		t.Errorf("appends of %v events, want %v", to.batches, want)
	}
	to = &broken{PerStream: eventstoretest.NewPerStream(), onAppend: func(int) (bool, error) { return false, eventstore.ErrTooLarge }}
	_, err := transfer.Copy(t.Context(), transfer.Config{From: from, To: to})
	if !errors.Is(err, eventstore.ErrTooLarge) || !strings.Contains(err.Error(), "stream many") || !strings.Contains(err.Error(), "; revision 0 of the source") {
		t.Error(err)
	}
}

// Ensure that errors of a target say what they mean for who copies.
func TestWhatATargetRefuses(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"holds the id a second time":  &eventstore.IDReusedError{Stream: "elsewhere"},
		"somebody else writes":        &eventstore.ConflictError{Stream: "s-0"},
		"does not fit into a store":   fmt.Errorf("%w: name", eventstore.ErrInvalid),
		"the store says what it says": errors.New("the store says what it says"),
	} {
		to := &broken{PerStream: eventstoretest.NewPerStream(), onAppend: func(int) (bool, error) { return false, err }}
		if _, got := transfer.Copy(t.Context(), transfer.Config{From: history(t, 3), To: to}); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("copy answers %v", got)
		}
		if to.appends != 1 {
			t.Errorf("tried %d times", to.appends)
		}
	}
	if _, err := transfer.Copy(t.Context(), transfer.Config{}); err == nil {
		t.Error("a copy from nowhere to nowhere")
	}
}
