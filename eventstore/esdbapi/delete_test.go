package esdbapi_test

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// revisions reads a stream and answers the revisions of its events.
func revisions(t *testing.T, c *esdb.Client, stream string, o esdb.ReadStreamOptions) ([]uint64, error) {
	t.Helper()
	read, err := c.ReadStream(within(t), stream, o, 1000)
	if err != nil {
		return nil, err
	}
	defer read.Close()
	got := []uint64{}
	for {
		e, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, e.OriginalEvent().EventNumber)
	}
}

func TestASoftDeletedStreamIsGoneUntilItIsWrittenTo(t *testing.T) {
	t.Parallel()
	for name, expected := range map[string]esdb.ExpectedRevision{"no stream": esdb.NoStream{}, "any": esdb.Any{}, "exact": esdb.Revision(2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t)
			c, ctx := r.client(t), within(t)
			r.seed(t, "s", 3)
			for range 2 { // a repeated deletion succeeds
				if _, err := c.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := revisions(t, c, "s", esdb.ReadStreamOptions{}); grade(err) != esdb.ErrorCodeResourceNotFound {
				t.Errorf("deleted: read %v, %v", got, err)
			}
			if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.StreamExists{}}, event("A", "{}")); grade(err) != esdb.ErrorCodeStreamDeleted {
				t.Errorf("deleted: %v", err)
			}
			w, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, event("A", "{}"), event("B", "{}"))
			if err != nil || w.NextExpectedVersion != 4 {
				t.Fatalf("undelete: %+v, %v", w, err)
			}
			if got, err := revisions(t, c, "s", esdb.ReadStreamOptions{}); err != nil || len(got) != 2 || got[0] != 3 {
				t.Errorf("undeleted: read %v, %v", got, err)
			}
			if got, err := revisions(t, c, "s", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}); err != nil || len(got) != 2 || got[1] != 3 {
				t.Errorf("undeleted: read backwards %v, %v", got, err)
			}
		})
	}
}

func TestAWriteOfMetadataUndeletes(t *testing.T) {
	t.Parallel()
	for _, written := range []string{`{"$tb":9223372036854775807,"keep":"me"}`, `{"keep":"me"}`, `not JSON`} {
		r := serve(t)
		c, ctx := r.client(t), within(t)
		r.seed(t, "s", 3)
		if _, err := c.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.AppendToStream(ctx, "$$s", esdb.AppendToStreamOptions{}, event("$metadata", written)); err != nil {
			t.Fatal(err)
		}
		m, err := c.GetStreamMetadata(ctx, "s", esdb.ReadStreamOptions{})
		if err != nil || m.TruncateBefore() == nil || *m.TruncateBefore() != 3 {
			t.Fatalf("%s: metadata %+v, %v", written, m, err)
		}
		if got, err := revisions(t, c, "s", esdb.ReadStreamOptions{}); err != nil || len(got) != 0 {
			t.Errorf("%s: read %v, %v", written, got, err)
		}
	}
}

func TestARepeatOfAWriteBeforeTheDeletionBringsNothingBack(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	e := event("A", "{}")
	for range 2 {
		if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, e); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, e); err != nil {
		t.Fatal(err)
	}
	if got, err := revisions(t, c, "s", esdb.ReadStreamOptions{}); grade(err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestATombstonedStreamIsGoneForEver(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 3)
	sub, err := c.SubscribeToStream(ctx, "s", esdb.SubscribeToStreamOptions{From: esdb.End{}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if e := sub.Recv(); e.CaughtUp == nil {
		t.Fatalf("got %+v", e)
	}
	if _, err := c.TombstoneStream(ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(2)}); err != nil {
		t.Fatal(err)
	}
	if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.EventType != "$streamDeleted" || e.EventAppeared.Event.EventNumber != math.MaxInt64 {
		t.Errorf("the subscriber got %+v", e)
	}
	if e := sub.Recv(); e.SubscriptionDropped == nil {
		t.Errorf("then the subscriber got %+v", e)
	}
	if _, err := revisions(t, c, "s", esdb.ReadStreamOptions{}); grade(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("read: %v", err)
	}
	if _, err := revisions(t, c, "$$s", esdb.ReadStreamOptions{}); grade(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("read of the metastream: %v", err)
	}
	if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, event("A", "{}")); grade(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("append: %v", err)
	}
	if _, err := c.AppendToStream(ctx, "$$s", esdb.AppendToStreamOptions{}, event("$metadata", "{}")); grade(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("append of metadata: %v", err)
	}
	if _, err := c.SubscribeToStream(ctx, "s", esdb.SubscribeToStreamOptions{}); err == nil {
		t.Error("a subscription to it began")
	}
	read, err := c.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	if events := all(t, read, err); len(events) != 1 || events[0].Event.StreamID != "s" || events[0].Event.EventNumber != math.MaxInt64 {
		t.Errorf("in $all: %+v", events)
	}
	if _, err := c.TombstoneStream(ctx, "never", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.NoStream{}}); err != nil {
		t.Errorf("a stream that never was: %v", err)
	}
}

// endedRaw deletes or tombstones with raw stubs, and answers the trailers.
func endedRaw(ctx context.Context, c streams.StreamsClient, stream string, tombstone bool) (metadata.MD, error) {
	var trailer metadata.MD
	var err error
	if tombstone {
		_, err = c.Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
			StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.TombstoneReq_Options_Revision{Revision: 7},
		}}, grpc.Trailer(&trailer))
	} else {
		_, err = c.Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
			StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 7},
		}}, grpc.Trailer(&trailer))
	}
	return trailer, err
}

func TestADeletionThatIsRefusedSaysWhy(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := streams.NewStreamsClient(r.dial(t))
	r.seed(t, "stréam", 3)
	r.seed(t, "refreshToken-1", 3)
	wrong := map[string]string{"exception": "wrong-expected-version", "stream-name": "str%C3%A9am", "expected-version": "7", "actual-version": "2"}
	denied := map[string]string{"exception": "access-denied"}
	tests := []struct {
		stream   string
		code     codes.Code
		trailers map[string]string
	}{
		{"stréam", codes.FailedPrecondition, wrong},
		{"refreshToken-1", codes.PermissionDenied, denied},
		{"$$stréam", codes.PermissionDenied, denied},
		{"$all", codes.PermissionDenied, denied},
		{"", codes.InvalidArgument, nil},
	}
	for _, tt := range tests {
		for _, tombstone := range []bool{false, true} {
			trailer, err := endedRaw(within(t), c, tt.stream, tombstone)
			if status.Code(err) != tt.code {
				t.Errorf("%q: %v, want %s", tt.stream, err, tt.code)
			}
			for key, want := range tt.trailers {
				if got := trailer.Get(key); len(got) != 1 || got[0] != want {
					t.Errorf("%q: trailer %s is %q, want %q", tt.stream, key, got, want)
				}
			}
		}
	}
	if _, err := c.Delete(within(t), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: named("never"), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a stream that never was: %v", err)
	}
	if _, err := c.Delete(within(t), &streams.DeleteReq{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no options: %v", err)
	}
}
