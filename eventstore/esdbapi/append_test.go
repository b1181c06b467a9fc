package esdbapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

func TestExpectedRevisions(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "three", 3)
	if _, err := c.SetStreamMetadata(ctx, "only-metadata", esdb.AppendToStreamOptions{}, esdb.StreamMetadata{}); err != nil {
		t.Fatal(err)
	}
	const conflict = esdb.ErrorCodeWrongExpectedVersion
	tests := []struct {
		stream   string
		expected esdb.ExpectedRevision
		code     esdb.ErrorCode
	}{
		{"new-1", esdb.NoStream{}, -1},
		{"new-2", esdb.Any{}, -1},
		{"new-3", esdb.StreamExists{}, conflict},
		{"new-4", esdb.Revision(0), conflict},
		{"three", esdb.NoStream{}, conflict},
		{"three", esdb.Revision(1), conflict},
		{"three", esdb.Revision(3), conflict},
		{"three", esdb.Revision(2), -1},
		{"three", esdb.StreamExists{}, -1},
		{"three", esdb.Any{}, -1},
		{"only-metadata", esdb.StreamExists{}, -1},
	}
	for _, tt := range tests {
		e := event("A", "{}")
		result, err := c.AppendToStream(ctx, tt.stream, esdb.AppendToStreamOptions{ExpectedRevision: tt.expected}, e)
		if grade(err) != tt.code {
			t.Errorf("%s at %T%v: %v, want code %d", tt.stream, tt.expected, tt.expected, err, tt.code)
		}
		if err != nil {
			continue
		}
		again, err := c.AppendToStream(ctx, tt.stream, esdb.AppendToStreamOptions{ExpectedRevision: tt.expected}, e)
		if err != nil || *again != *result {
			t.Errorf("%s at %v, repeated: %+v, %v, want %+v", tt.stream, tt.expected, again, err, result)
		}
	}
}

func TestAnIDThatIsKnownElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	e := event("A", "{}")
	if _, err := c.AppendToStream(ctx, "here", esdb.AppendToStreamOptions{}, e); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AppendToStream(ctx, "there", esdb.AppendToStreamOptions{}, e); grade(err) != esdb.ErrorCodeResourceAlreadyExists || !strings.Contains(err.Error(), "here") {
		t.Errorf("in another stream: %v", err)
	}
	if _, err := c.AppendToStream(ctx, "here", esdb.AppendToStreamOptions{}, e, event("B", "{}")); grade(err) != esdb.ErrorCodeWrongExpectedVersion {
		t.Errorf("with another event: %v", err)
	}
}

func TestAnAppendOfNothing(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "three", 3)
	if w, err := c.AppendToStream(ctx, "three", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(2)}); err != nil || w.NextExpectedVersion != 2 {
		t.Errorf("at the end: %+v, %v", w, err)
	}
	if _, err := c.AppendToStream(ctx, "three", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(1)}); grade(err) != esdb.ErrorCodeWrongExpectedVersion {
		t.Errorf("elsewhere: %v", err)
	}
	if _, err := c.AppendToStream(ctx, "none", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}); err != nil {
		t.Errorf("to no stream: %v", err)
	}
}

// rawAppend sends messages and answers what came back, with the trailers.
func rawAppend(t *testing.T, r *rig, messages ...*streams.AppendReq) (*streams.AppendResp, map[string][]string, error) {
	t.Helper()
	c, err := streams.NewStreamsClient(r.dial(t)).Append(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := c.Send(m); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	resp, err := c.CloseAndRecv()
	return resp, c.Trailer(), err
}

func appendTo(stream string) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

func proposal(change func(*streams.AppendReq_ProposedMessage)) *streams.AppendReq {
	m := &streams.AppendReq_ProposedMessage{
		Id: textUUID(uuid.NewString()), Metadata: map[string]string{"type": "T", "content-type": "application/json"}, Data: []byte("{}"),
	}
	if change != nil {
		change(m)
	}
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: m}}
}

func TestAMalformedAppendIsRefusedWithItsTrailers(t *testing.T) {
	t.Parallel()
	r := serve(t)
	noExpectation := appendTo("s")
	noExpectation.GetOptions().ExpectedStreamRevision = nil
	far := appendTo("s")
	far.GetOptions().ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: math.MaxInt64 + 1}
	tooMany := []*streams.AppendReq{appendTo("s")}
	for range 1001 {
		tooMany = append(tooMany, proposal(nil))
	}
	lacks := func(key string) *streams.AppendReq {
		return proposal(func(m *streams.AppendReq_ProposedMessage) { delete(m.Metadata, key) })
	}
	tests := []struct {
		name     string
		messages []*streams.AppendReq
		code     codes.Code
		trailers map[string]string
	}{
		{"nothing", nil, codes.InvalidArgument, nil},
		{"no options", []*streams.AppendReq{proposal(nil)}, codes.InvalidArgument, nil},
		{"empty message", []*streams.AppendReq{{}}, codes.InvalidArgument, nil},
		{"options twice", []*streams.AppendReq{appendTo("s"), appendTo("s")}, codes.InvalidArgument, nil},
		{"no expectation", []*streams.AppendReq{noExpectation, proposal(nil)}, codes.InvalidArgument, nil},
		{"revision out of range", []*streams.AppendReq{far, proposal(nil)}, codes.InvalidArgument, nil},
		{"empty name", []*streams.AppendReq{appendTo(""), proposal(nil)}, codes.InvalidArgument, nil},
		{"name $$", []*streams.AppendReq{appendTo("$$"), proposal(nil)}, codes.InvalidArgument, nil},
		{"long name", []*streams.AppendReq{appendTo(strings.Repeat("x", 513)), proposal(nil)}, codes.InvalidArgument, nil},
		{"name not UTF-8", []*streams.AppendReq{appendTo("\xff\xfe"), proposal(nil)}, codes.InvalidArgument, nil},
		{"to $all", []*streams.AppendReq{appendTo("$all"), proposal(nil)}, codes.PermissionDenied, map[string]string{"exception": "access-denied"}},
		{"protected metadata", []*streams.AppendReq{appendTo("$$refreshToken-1"), proposal(nil)}, codes.PermissionDenied, map[string]string{"exception": "access-denied"}},
		{"no type", []*streams.AppendReq{appendTo("s"), lacks("type")}, codes.InvalidArgument, map[string]string{
			"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type",
		}},
		{"no content type", []*streams.AppendReq{appendTo("s"), lacks("content-type")}, codes.InvalidArgument, map[string]string{
			"exception": "missing-required-metadata-property",
		}},
		{"empty type", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Metadata["type"] = "" })}, codes.InvalidArgument, nil},
		{"long type", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Metadata["type"] = strings.Repeat("x", 513) })}, codes.InvalidArgument, nil},
		{"type of a tombstone", []*streams.AppendReq{appendTo("$$s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Metadata["type"] = "$streamDeleted" })}, codes.InvalidArgument, nil},
		{"no id", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Id = nil })}, codes.InvalidArgument, nil},
		{"zero id", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Id = textUUID(uuid.Nil.String()) })}, codes.InvalidArgument, nil},
		{"id no UUID", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Id = textUUID("seven") })}, codes.InvalidArgument, nil},
		{"one id twice", []*streams.AppendReq{appendTo("s"), proposal(sameID), proposal(sameID)}, codes.InvalidArgument, nil},
		{"too big", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Data = make([]byte, 1<<20) })}, codes.InvalidArgument, map[string]string{
			"exception": "maximum-append-size-exceeded", "maximum-append-size": "1048576",
		}},
		{"too many", tooMany, codes.InvalidArgument, nil},
		{"message too big for any", []*streams.AppendReq{appendTo("s"), proposal(func(m *streams.AppendReq_ProposedMessage) { m.Data = make([]byte, 17<<20) })}, codes.ResourceExhausted, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, trailer, err := rawAppend(t, r, tt.messages...)
			if status.Code(err) != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
			for key, want := range tt.trailers {
				if got := trailer[key]; len(got) != 1 || got[0] != want {
					t.Errorf("trailer %s is %q, want %s", key, got, want)
				}
			}
		})
	}
}

func sameID(m *streams.AppendReq_ProposedMessage) {
	m.Id = textUUID("0198c0de-0000-7000-8000-000000000001")
}

// The official client loses the status of an error that comes before it has sent everything.
func TestAnErrorWaitsForTheClientToFinish(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.AllowAppend = false })
	c := r.client(t)
	var events []esdb.EventData
	for range 200 {
		events = append(events, event("A", fmt.Sprintf("%q", strings.Repeat("x", 2000))))
	}
	for range 20 {
		if _, err := c.AppendToStream(within(t), "s", esdb.AppendToStreamOptions{}, events...); grade(err) != esdb.ErrorCodeAccessDenied {
			t.Fatalf("got %v", err)
		}
	}
}

func TestAnAppendThatNeverEndsIsEnded(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.ReceiveTimeout = 50 * time.Millisecond })
	c, err := streams.NewStreamsClient(r.dial(t)).Append(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Send(appendTo("s")), c.Send(proposal(nil))); err != nil {
		t.Fatal(err)
	}
	if err := c.RecvMsg(&streams.AppendResp{}); status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "not complete in time") {
		t.Errorf("got %v", err)
	}
	if head, err := r.store.Head(context.Background()); err != nil || head != 0 {
		t.Errorf("something was stored: %v, %v", head, err)
	}
}

func TestAppendsBeyondTheMemoryForThemAreTurnedAway(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.AppendMemory = 100_000 })
	big := proposal(func(m *streams.AppendReq_ProposedMessage) { m.Data = make([]byte, 60_000) })
	half, err := streams.NewStreamsClient(r.dial(t)).Append(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(half.Send(appendTo("s")), half.Send(big)); err != nil {
		t.Fatal(err)
	}
	// One of the two that hold an event each is turned away, whichever came second.
	_, _, second := rawAppend(t, r, appendTo("t"), big, proposal(func(m *streams.AppendReq_ProposedMessage) { m.Data = make([]byte, 60_000) }))
	if status.Code(second) != codes.Unavailable {
		t.Errorf("got %v", second)
	}
	_, first := half.CloseAndRecv()
	if first != nil && status.Code(first) != codes.Unavailable {
		t.Errorf("got %v", first)
	}
	if _, _, err := rawAppend(t, r, appendTo("u"), proposal(nil)); err != nil {
		t.Errorf("after that: %v", err)
	}
}
