package esdbapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// heard is what a subscription says next, in short.
func heard(t testing.TB, call streams.Streams_ReadClient, n int) string {
	t.Helper()
	var words []string
	for range n {
		m := received(t, call)
		switch {
		case m.GetConfirmation() != nil:
			words = append(words, "confirmed")
		case m.GetCaughtUp() != nil:
			words = append(words, "caught-up")
		case m.GetCheckpoint() != nil:
			words = append(words, fmt.Sprint("checkpoint-", m.GetCheckpoint().GetCommitPosition()))
		case m.GetEvent() != nil:
			e := m.GetEvent().GetEvent()
			words = append(words, fmt.Sprintf("%s@%d", e.GetStreamIdentifier().GetStreamName(), e.GetStreamRevision()))
		default:
			words = append(words, fmt.Sprintf("%T", m.GetContent()))
		}
	}
	return strings.Join(words, " ")
}

// Ensure that a follower that is still reading history when its stream is tombstoned hears all of it, and its end.
func TestAStreamThatIsTombstonedWhileItIsRead(t *testing.T) {
	t.Parallel()
	const events = 4000
	r := serve(t)
	r.seed(t, "s", events)
	call := r.follow(t, within(t), readReq("s", subscribing)) // it cannot go on before the events are taken
	if got := heard(t, call, 2); got != "confirmed s@0" {
		t.Fatalf("heard %s", got)
	}
	if _, err := r.client(t).TombstoneStream(within(t), "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	for revision := 1; revision < events; revision++ {
		if m := received(t, call); m.GetEvent().GetEvent().GetStreamRevision() != uint64(revision) {
			t.Fatalf("got %v, want %d", m, revision)
		}
	}
	if got := heard(t, call, 1); got != "s@9223372036854775807" {
		t.Fatalf("heard %s", got)
	}
	_, err := call.Recv()
	deleted(t, err, one(call.Trailer(), "exception"), one(call.Trailer(), "stream-name"))
}

// deleted demands the failure of a tombstoned stream s.
func deleted(t testing.TB, err error, exception, stream string) {
	t.Helper()
	if status.Code(err) != codes.FailedPrecondition || exception != "stream-deleted" || stream != "s" {
		t.Errorf("%v, exception %q, stream %q", err, exception, stream)
	}
}

// Ensure that truncation shows as a gap, and a soft delete not at all.
func TestAFollowerOfATruncatedStream(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "s", 5)
	var m esdb.StreamMetadata
	m.SetTruncateBefore(3)
	if _, err := c.SetStreamMetadata(within(t), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, m); err != nil {
		t.Fatal(err)
	}
	call := r.follow(t, within(t), readReq("s", subscribing))
	if got := heard(t, call, 4); got != "confirmed s@3 s@4 caught-up" {
		t.Fatalf("heard %s", got)
	}
	if _, err := c.DeleteStream(within(t), "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	r.put(t, "s", "T", "{}")
	if got := heard(t, call, 1); got != "s@5" {
		t.Errorf("heard %s", got)
	}
}

// Ensure that nobody follows the store any more when the last subscriber has left, and one who comes then misses nothing.
func TestTheLogIsFollowedOnlyForSubscribers(t *testing.T) {
	t.Parallel()
	spy := &storeSpy{}
	r := serve(t, spy.in)
	for round := range 3 {
		ctx, leave := context.WithCancel(within(t))
		call := r.follow(t, ctx, readReq("", ofAll, subscribing, fromTheEnd))
		if got := heard(t, call, 2); got != "confirmed caught-up" {
			t.Fatalf("heard %s", got)
		}
		other := r.follow(t, ctx, readReq("s", subscribing, fromTheEnd))
		if got := heard(t, other, 2); got != "confirmed caught-up" {
			t.Fatalf("heard %s", got)
		}
		if n := spy.following.Load(); n != 1 {
			t.Errorf("the store is followed %d times", n)
		}
		r.put(t, "s", "T", "{}")
		if got, want := heard(t, call, 1), fmt.Sprintf("s@%d", 2*round); got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
		leave()
		spy.quiet(t)
		r.put(t, "s", "T", "{}")
	}
}
