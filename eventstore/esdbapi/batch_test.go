package esdbapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

func textUUID(s string) *shared.UUID { return &shared.UUID{Value: &shared.UUID_String_{String_: s}} }

func named(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

// batchOf is a whole append to a stream, whatever its state.
func batchOf(stream string, events int) *streams.BatchAppendReq {
	m := &streams.BatchAppendReq{
		CorrelationId: textUUID(uuid.NewString()), IsFinal: true,
		Options: &streams.BatchAppendReq_Options{
			StreamIdentifier:       named(stream),
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		},
	}
	for range events {
		m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id:       textUUID(uuid.NewString()),
			Metadata: map[string]string{"type": "T", "content-type": "application/json"}, Data: []byte("{}"),
		})
	}
	return m
}

func (r *rig) batch(t *testing.T, ctx context.Context) streams.Streams_BatchAppendClient {
	t.Helper()
	c, err := streams.NewStreamsClient(r.dial(t)).BatchAppend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFloodOfBatchesIsAnsweredOncePerCorrelation(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.batch(t, within(t))
	const n, streamCount = 5000, 7
	sent := make(chan error, 1)
	ids := make(chan string, n)
	go func() {
		for i := range n {
			m := batchOf(fmt.Sprintf("flood-%d", i%streamCount), 1)
			ids <- m.GetCorrelationId().GetString_()
			if err := c.Send(m); err != nil {
				sent <- err
				return
			}
		}
		close(ids)
		sent <- c.CloseSend()
	}()
	answers := map[string]int{}
	last := map[string]uint64{}
	for {
		a, err := c.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		answers[a.GetCorrelationId().GetString_()]++
		stream, revision := string(a.GetStreamIdentifier().GetStreamName()), a.GetSuccess().GetCurrentRevision()
		if a.GetSuccess() == nil {
			t.Fatalf("answer %v", a)
		}
		if want := last[stream]; revision != want { // stored, and answered, in the order sent
			t.Fatalf("stream %s: revision %d, want %d", stream, revision, want)
		}
		last[stream]++
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for id := range ids {
		if answers[id] != 1 {
			t.Errorf("correlation %s was answered %d times", id, answers[id])
		}
	}
	if len(answers) != n {
		t.Errorf("%d answers, want %d", len(answers), n)
	}
}

func TestABatchComesInParts(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.batch(t, within(t))
	first, second := batchOf("parts", 2), batchOf("other", 1)
	rest := batchOf("parts", 3)
	rest.CorrelationId, rest.Options = first.GetCorrelationId(), nil
	first.IsFinal = false
	for _, m := range []*streams.BatchAppendReq{first, second, rest} {
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]uint64{}
	for range 2 {
		a, err := c.Recv()
		if err != nil {
			t.Fatal(err)
		}
		got[string(a.GetStreamIdentifier().GetStreamName())] = a.GetSuccess().GetCurrentRevision()
	}
	if got["parts"] != 4 || got["other"] != 0 || len(got) != 2 {
		t.Errorf("answers %v", got)
	}
	if err := c.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", a, err)
	}
}

func TestBatchErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*streams.BatchAppendReq)
		code   code.Code
		text   string
	}{
		{"wrong version", func(m *streams.BatchAppendReq) {
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: 7}
		}, code.Code_ALREADY_EXISTS, "WrongExpectedVersion"},
		{"exists, and does not", func(m *streams.BatchAppendReq) {
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
		}, code.Code_ALREADY_EXISTS, "WrongExpectedVersion"},
		{"protected metadata", func(m *streams.BatchAppendReq) {
			m.Options.StreamIdentifier = named("$$refreshToken-1")
		}, code.Code_PERMISSION_DENIED, "AccessDenied"},
		{"deadline in the past", func(m *streams.BatchAppendReq) {
			m.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Unix(1, 0))}
		}, code.Code_DEADLINE_EXCEEDED, "Timeout"},
		{"never complete", func(m *streams.BatchAppendReq) {
			m.IsFinal = false
			m.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(20 * time.Millisecond)}
		}, code.Code_DEADLINE_EXCEEDED, "Timeout"},
		{"too big", func(m *streams.BatchAppendReq) {
			m.ProposedMessages[0].Data = make([]byte, 1<<20+1)
		}, code.Code_INVALID_ARGUMENT, "MaximumAppendSizeExceeded"},
		{"no expectation", func(m *streams.BatchAppendReq) {
			m.Options.ExpectedStreamPosition = nil
		}, code.Code_INVALID_ARGUMENT, "BadRequest"},
		{"no name", func(m *streams.BatchAppendReq) {
			m.Options.StreamIdentifier = nil
		}, code.Code_INVALID_ARGUMENT, "BadRequest"},
		{"zero id", func(m *streams.BatchAppendReq) {
			m.ProposedMessages[0].Id = textUUID(uuid.Nil.String())
		}, code.Code_INVALID_ARGUMENT, "BadRequest"},
	}
	r := serve(t, func(c *esdbapi.Config) { c.WriteTimeout = patience })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.batch(t, within(t))
			m := batchOf("batch-errors", 1)
			tt.change(m)
			after := batchOf("after", 1)
			if err := errors.Join(c.Send(m), c.Send(after)); err != nil {
				t.Fatal(err)
			}
			answers := map[string]*streams.BatchAppendResp{}
			for range 2 {
				a, err := c.Recv()
				if err != nil {
					t.Fatal(err)
				}
				answers[a.GetCorrelationId().GetString_()] = a
			}
			e := answers[m.GetCorrelationId().GetString_()].GetError()
			if e.GetCode() != int32(tt.code) || e.GetMessage() != tt.text || len(e.GetDetails()) != 1 {
				t.Errorf("answer %v", e)
			}
			if answers[after.GetCorrelationId().GetString_()].GetSuccess() == nil {
				t.Error("the call did not go on")
			}
		})
	}
}

func TestABatchThatIsNotCompleteWhenTheCallEndsIsAnswered(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.WriteTimeout = patience })
	c := r.batch(t, within(t))
	m := batchOf("half", 1)
	m.IsFinal = false
	if err := errors.Join(c.Send(m), c.CloseSend()); err != nil {
		t.Fatal(err)
	}
	a, err := c.Recv()
	if err != nil || a.GetError().GetMessage() != "BadRequest" {
		t.Errorf("answer %v, %v", a, err)
	}
	if a, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", a, err)
	}
}

// TestAClientThatLeavesTakesNothingFromItsWriters: with the race detector, whatever is given back too early is seen.
func TestAClientThatLeavesTakesNothingFromItsWriters(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for round := range 20 {
		ctx, cancel := context.WithCancel(within(t))
		c := r.batch(t, ctx)
		for i := range 200 {
			if err := c.Send(batchOf(fmt.Sprintf("leave-%d-%d", round, i%50), 1)); err != nil {
				t.Fatal(err)
			}
		}
		for range round { // leave somewhere in the middle of it
			if _, err := c.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
	}
}
