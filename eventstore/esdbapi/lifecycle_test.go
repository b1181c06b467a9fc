package esdbapi_test

import (
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// ends deletes or tombstones a stream, and is what the server says to that, in short.
func (r *rig) ends(t testing.TB, tombstone bool, stream string, revision int64) (string, metadata.MD) {
	t.Helper()
	c, ctx := streams.NewStreamsClient(r.dial(t)), within(t)
	var trailer metadata.MD
	var err error
	var position uint64
	if tombstone {
		o := &streams.TombstoneReq_Options{StreamIdentifier: named(stream)}
		switch revision {
		case -2:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}
		case -1:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: &shared.Empty{}}
		case -4:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: &shared.Empty{}}
		case -9:
		default:
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: uint64(revision)}
		}
		var resp *streams.TombstoneResp
		resp, err = c.Tombstone(ctx, &streams.TombstoneReq{Options: o}, grpc.Trailer(&trailer))
		position = resp.GetPosition().GetCommitPosition()
	} else {
		o := &streams.DeleteReq_Options{StreamIdentifier: named(stream)}
		switch revision {
		case -2:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}
		case -1:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: &shared.Empty{}}
		case -4:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: &shared.Empty{}}
		case -9:
		default:
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: uint64(revision)}
		}
		var resp *streams.DeleteResp
		resp, err = c.Delete(ctx, &streams.DeleteReq{Options: o}, grpc.Trailer(&trailer))
		position = resp.GetPosition().GetCommitPosition()
	}
	if err != nil {
		return fmt.Sprint(status.Code(err), " ", one(trailer, "exception")), trailer
	}
	if position == 0 {
		t.Error("an end without a position")
	}
	return "ended", trailer
}

// Ensure that every expectation of every state of a stream has the outcome that the protocol says, for both ways to end it.
func TestDeleteAndTombstone(t *testing.T) {
	t.Parallel()
	const gone, wrong = "FailedPrecondition stream-deleted", "FailedPrecondition wrong-expected-version"
	const any, none, exists, zero, last, missing = -2, -1, -4, 0, 1, -9
	const bad = "InvalidArgument "
	tests := []struct {
		state             string
		delete, tombstone map[int64]string
	}{
		{"new", map[int64]string{any: wrong, none: wrong, exists: wrong, zero: wrong, missing: bad},
			map[int64]string{any: "ended", none: "ended", exists: wrong, zero: wrong, missing: bad}},
		{"two", map[int64]string{any: "ended", none: wrong, exists: "ended", zero: wrong, last: "ended", 9: wrong},
			map[int64]string{any: "ended", none: wrong, exists: "ended", zero: wrong, last: "ended", 9: wrong}},
		{"metadata only", map[int64]string{any: "ended", none: "ended", exists: "ended", zero: wrong},
			map[int64]string{any: "ended", none: "ended", exists: "ended", zero: wrong}},
		{"deleted", map[int64]string{any: "ended", none: "ended", exists: gone, zero: wrong, last: "ended"},
			map[int64]string{any: "ended", none: "ended", exists: gone, zero: wrong, last: "ended"}},
		{"tombstoned", map[int64]string{any: gone, none: gone, exists: gone, zero: gone, last: gone},
			map[int64]string{any: gone, none: gone, exists: gone, zero: gone, last: gone}},
	}
	r := serve(t)
	c := r.client(t)
	for _, tt := range tests {
		for tombstone, outcomes := range map[bool]map[int64]string{false: tt.delete, true: tt.tombstone} {
			for revision, want := range outcomes {
				t.Run(fmt.Sprint(tt.state, "/", tombstone, "/", revision), func(t *testing.T) {
					t.Parallel()
					stream := fmt.Sprintf("%s %t ü %d", tt.state, tombstone, revision)
					r.bring(t, c, stream, tt.state)
					got, trailer := r.ends(t, tombstone, stream, revision)
					if got != want {
						t.Errorf("%s, want %s", got, want)
					}
					if got == gone && one(trailer, "stream-name") == "" {
						t.Error("the official client crashes without the name of the stream")
					}
					if got == wrong && (one(trailer, "expected-version") != fmt.Sprint(revision) || one(trailer, "actual-version") == "") {
						t.Errorf("trailers %v", trailer)
					}
				})
			}
		}
	}
}
