package esdbapi_test

import (
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/status"
)

type expects func(*streams.AppendReq_Options)

func expectsAny(o *streams.AppendReq_Options) {
	o.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
}

func expectsNone(o *streams.AppendReq_Options) {
	o.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
}

func expectsExists(o *streams.AppendReq_Options) {
	o.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
}

func expectsRevision(revision uint64) expects {
	return func(o *streams.AppendReq_Options) {
		o.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: revision}
	}
}

// appended is what the server says to an append, in short: where the last event is, or what the stream is instead.
func (r *rig) appended(t *testing.T, stream string, e expects, events ...*streams.AppendReq) string {
	t.Helper()
	first := appendTo(stream)
	e(first.GetOptions())
	resp, trailer, err := rawAppend(t, r, append([]*streams.AppendReq{first}, events...)...)
	if err != nil {
		return fmt.Sprint(status.Code(err), " ", one(trailer, "exception"))
	}
	if ok := resp.GetSuccess(); ok != nil {
		if _, none := ok.GetCurrentRevisionOption().(*streams.AppendResp_Success_NoStream); none {
			return "stored none"
		}
		if ok.GetPosition().GetCommitPosition() != ok.GetPosition().GetPreparePosition() {
			t.Errorf("position %v", ok.GetPosition())
		}
		return fmt.Sprint("stored ", ok.GetCurrentRevision())
	}
	return conflictSaid(t, resp.GetWrongExpectedVersion())
}

// conflictSaid is what a conflict says; both generations of its fields must say the same.
func conflictSaid(t *testing.T, w *streams.AppendResp_WrongExpectedVersion) string {
	t.Helper()
	current, old := "none", "none"
	if _, some := w.GetCurrentRevisionOption().(*streams.AppendResp_WrongExpectedVersion_CurrentRevision); some {
		current = fmt.Sprint(w.GetCurrentRevision())
	}
	if _, some := w.GetCurrentRevisionOption_20_6_0().(*streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0); some {
		old = fmt.Sprint(w.GetCurrentRevision_20_6_0())
	}
	var expected, oldExpected string
	switch e := w.GetExpectedRevisionOption().(type) {
	case *streams.AppendResp_WrongExpectedVersion_ExpectedRevision:
		expected = fmt.Sprint(e.ExpectedRevision)
	case *streams.AppendResp_WrongExpectedVersion_ExpectedNoStream:
		expected = fmt.Sprint(uint64(1<<64 - 1)) // as the old fields say it
	default:
		expected = fmt.Sprintf("%T", e)[len("*streams.AppendResp_WrongExpectedVersion_Expected"):]
	}
	switch e := w.GetExpectedRevisionOption_20_6_0().(type) {
	case *streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0:
		oldExpected = fmt.Sprint(e.ExpectedRevision_20_6_0)
	default:
		oldExpected = fmt.Sprintf("%T", e)[len("*streams.AppendResp_WrongExpectedVersion_"):]
		oldExpected = oldExpected[:len(oldExpected)-len("_20_6_0")]
	}
	if current != old || expected != oldExpected {
		t.Errorf("current %s and %s, expected %s and %s", current, old, expected, oldExpected)
	}
	return "conflict " + current
}

// Ensure that every expectation of every state of a stream has the outcome that the protocol says.
func TestEveryExpectationOfEveryState(t *testing.T) {
	t.Parallel()
	const deleted = "FailedPrecondition stream-deleted"
	tests := []struct {
		state                                          string
		any, none, exists, zero, current, beyond       string
		emptyAny, emptyNone, emptyExists, emptyCurrent string
	}{
		{"new", "stored 0", "stored 0", "conflict none", "conflict none", "conflict none", "conflict none",
			"stored none", "stored none", "conflict none", "conflict none"},
		{"two", "stored 2", "conflict 1", "stored 2", "conflict 1", "stored 2", "conflict 1",
			"stored 1", "conflict 1", "stored 1", "stored 1"},
		{"metadata only", "stored 0", "stored 0", "stored 0", "conflict none", "conflict none", "conflict none",
			"stored none", "stored none", "stored none", "conflict none"},
		{"deleted", "stored 2", "stored 2", deleted, "conflict 1", "stored 2", "conflict 1",
			"stored 1", "stored 1", deleted, "stored 1"},
		{"tombstoned", deleted, deleted, deleted, deleted, deleted, deleted, deleted, deleted, deleted, deleted},
	}
	r := serve(t)
	c := r.client(t)
	for _, tt := range tests {
		for name, check := range map[string]struct {
			expects expects
			events  int
			want    string
		}{
			"any": {expectsAny, 1, tt.any}, "none": {expectsNone, 1, tt.none}, "exists": {expectsExists, 1, tt.exists},
			"zero": {expectsRevision(0), 1, tt.zero}, "current": {expectsRevision(1), 1, tt.current}, "beyond": {expectsRevision(9), 1, tt.beyond},
			"nothing, any": {expectsAny, 0, tt.emptyAny}, "nothing, none": {expectsNone, 0, tt.emptyNone},
			"nothing, exists": {expectsExists, 0, tt.emptyExists}, "nothing, current": {expectsRevision(1), 0, tt.emptyCurrent},
		} {
			t.Run(tt.state+"/"+name, func(t *testing.T) {
				t.Parallel()
				stream := tt.state + "-" + name
				r.bring(t, c, stream, tt.state)
				var events []*streams.AppendReq
				for range check.events {
					events = append(events, proposal(nil))
				}
				if got := r.appended(t, stream, check.expects, events...); got != check.want {
					t.Errorf("%s, want %s", got, check.want)
				}
			})
		}
	}
}

// bring makes a stream be in a state.
func (r *rig) bring(t *testing.T, c *esdb.Client, stream, state string) {
	t.Helper()
	var err error
	switch state {
	case "two", "deleted", "tombstoned":
		r.seed(t, stream, 2)
	case "metadata only":
		var m esdb.StreamMetadata
		m.SetMaxCount(10)
		_, err = c.SetStreamMetadata(within(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, m)
	}
	switch state {
	case "deleted":
		_, err = c.DeleteStream(within(t), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	case "tombstoned":
		_, err = c.TombstoneStream(within(t), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Ensure that an append which comes again is the same append, whatever else was stored since, and that a mixture
// of old and new is a conflict.
func TestARepeatedAppendIsStoredOnce(t *testing.T) {
	t.Parallel()
	r := serve(t)
	first := []*streams.AppendReq{proposal(nil), proposal(nil)}
	if got := r.appended(t, "s", expectsNone, first...); got != "stored 1" {
		t.Fatal(got)
	}
	later := proposal(nil)
	if got := r.appended(t, "s", expectsRevision(1), later); got != "stored 2" {
		t.Fatal(got)
	}
	for name, tt := range map[string]struct {
		expects expects
		events  []*streams.AppendReq
		want    string
	}{
		"none":                    {expectsNone, first, "stored 1"},
		"any":                     {expectsAny, first, "stored 1"},
		"exists":                  {expectsExists, first, "stored 1"},
		"the revision before":     {expectsRevision(1), []*streams.AppendReq{later}, "stored 2"},
		"only the first":          {expectsNone, first[:1], "conflict 2"},
		"the first, and a new":    {expectsNone, []*streams.AppendReq{first[0], proposal(nil)}, "conflict 2"},
		"the first, a new, any":   {expectsAny, []*streams.AppendReq{first[0], proposal(nil)}, "conflict 2"},
		"the other way round":     {expectsNone, []*streams.AppendReq{first[1], first[0]}, "conflict 2"},
		"new ones":                {expectsNone, []*streams.AppendReq{proposal(nil)}, "conflict 2"},
		"known in another stream": {nil, first, "AlreadyExists "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, e := "s", tt.expects
			if e == nil {
				stream, e = "other", expectsAny
			}
			if got := r.appended(t, stream, e, tt.events...); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		if head, err := r.store.Head(within(t)); err != nil || head != 3 {
			t.Errorf("head %s, %v: want the three events", head, err)
		}
	})
}
