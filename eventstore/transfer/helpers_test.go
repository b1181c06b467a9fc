package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
	"github.com/logoutd/logoutd/eventstore/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// together goes by the metadata, which is the command in these histories.
func together(a, b eventstore.Recorded) bool {
	return len(a.Metadata) > 0 && string(a.Metadata) == string(b.Metadata)
}

// history is a store with appends of one to three events in a few streams.
func history(t testing.TB, appends int) *eventstoretest.PerStream {
	t.Helper()
	s := eventstoretest.NewPerStream()
	for n := range appends {
		a := eventstore.Append{Stream: fmt.Sprintf("s-%d", n*n%5), Expected: eventstore.Any}
		for i := range 1 + n%3 {
			a.Events = append(a.Events, eventstore.Event{
				ID: eventstore.EventID{0: 1, 13: byte(i), 14: byte(n >> 8), 15: byte(n)}, Type: fmt.Sprintf("T%d", n%4), //nolint:gosec // small
				ContentType: eventstore.ContentType(n % 2), //nolint:gosec // small
				Data:        fmt.Appendf(nil, `{"n":%d}`, n), Metadata: fmt.Appendf(nil, `{"of":%d}`, n),
			})
		}
		mustAppend(t, s, a)
	}
	return s
}

func mustAppend(t testing.TB, s eventstore.Appender, a eventstore.Append) {
	t.Helper()
	if _, err := s.Append(context.Background(), a); err != nil {
		t.Fatal(err)
	}
}

func log(t testing.TB, s eventstore.LogReader) []eventstore.Recorded {
	t.Helper()
	var all []eventstore.Recorded
	for r, err := range s.ReadAll(context.Background(), 0, eventstore.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// equal demands that a store holds what another held, all of it or its beginning.
func equal(t testing.TB, got, want []eventstore.Recorded) {
	t.Helper()
	same := func(a, b eventstore.Recorded) bool {
		return a.Stream == b.Stream && a.Revision == b.Revision && a.ID == b.ID && a.Type == b.Type &&
			a.ContentType == b.ContentType && string(a.Data) == string(b.Data) && string(a.Metadata) == string(b.Metadata)
	}
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("%d events, and not as they were: want %d", len(got), len(want))
	}
}

// broken is a store that fails by plan.
type broken struct {
	*eventstoretest.PerStream
	appends, reads int
	onAppend       func(n int) (carryOut bool, err error) // the nth append, from 1
	onRead         func(n int) error                      // the nth event read
	batches        []int                                  // sizes of what was appended
}

var errBroken = errors.New("broken by plan")

func (b *broken) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	b.appends++
	if b.onAppend != nil {
		if carryOut, err := b.onAppend(b.appends); err != nil {
			if carryOut {
				_, _ = b.PerStream.Append(ctx, a)
			}
			return eventstore.Result{}, err
		}
	}
	b.batches = append(b.batches, len(a.Events))
	return b.PerStream.Append(ctx, a)
}

func (b *broken) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for r, err := range b.PerStream.ReadAll(ctx, from, dir) {
			if b.reads++; err == nil && b.onRead != nil {
				err = b.onRead(b.reads)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func mustCopy(t testing.TB, c transfer.Config) transfer.Report {
	t.Helper()
	r, err := transfer.Copy(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Equal() {
		t.Fatalf("not equal: %+v", r)
	}
	return r
}
