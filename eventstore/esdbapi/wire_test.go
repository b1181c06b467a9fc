package esdbapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/logoutd/logoutd/eventstore"
)

// readReq is a read of a stream forwards from its start, changed.
func readReq(stream string, changes ...func(*streams.ReadReq_Options)) *streams.ReadReq {
	o := &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: named(stream), RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 1000},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}
	for _, c := range changes {
		c(o)
	}
	return &streams.ReadReq{Options: o}
}

func ofAll(o *streams.ReadReq_Options) {
	o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
		AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
	}}
}

func backwards(o *streams.ReadReq_Options) { o.ReadDirection = streams.ReadReq_Options_Backwards }

func subscribing(o *streams.ReadReq_Options) {
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
}

func compatible(o *streams.ReadReq_Options) {
	o.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
}

func upTo(count uint64) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) { o.CountOption = &streams.ReadReq_Options_Count{Count: count} }
}

// fromRevision starts a read of a stream there; fromTheEnd one of either kind at its end.
func fromRevision(revision uint64) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) {
		o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: revision}
	}
}

func fromPosition(commit, prepare uint64) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) {
		ofAll(o)
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: prepare},
		}
	}
}

func fromTheEnd(o *streams.ReadReq_Options) {
	if o.GetAll() != nil {
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
		return
	}
	o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
}

// follow opens a read of any kind and leaves it open.
func (r *rig) follow(t testing.TB, ctx context.Context, req *streams.ReadReq) streams.Streams_ReadClient {
	t.Helper()
	call, err := streams.NewStreamsClient(r.dial(t)).Read(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// readRaw takes everything that a read answers.
func (r *rig) readRaw(t testing.TB, req *streams.ReadReq) (messages []*streams.ReadResp, trailer metadata.MD, err error) {
	t.Helper()
	call := r.follow(t, within(t), req)
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return messages, call.Trailer(), nil
		}
		if err != nil {
			return messages, call.Trailer(), err
		}
		messages = append(messages, m)
	}
}

// one is the value of a trailer that is there once, else "".
func one(trailer map[string][]string, key string) string {
	if v := trailer[key]; len(v) == 1 {
		return v[0]
	}
	return ""
}

func newID() eventstore.EventID { return eventstore.EventID(uuid.New()) }

// options change a read, in their order.
type options []func(*streams.ReadReq_Options)

// said is what a read answered, in short: revisions of one stream, or positions of all.
func said(messages []*streams.ReadResp, all bool) string {
	var words []string
	for _, m := range messages {
		switch c := m.GetContent().(type) {
		case *streams.ReadResp_Event:
			e := c.Event.GetEvent()
			if all {
				words = append(words, fmt.Sprint(e.GetCommitPosition()))
				continue
			}
			words = append(words, fmt.Sprint(e.GetStreamRevision()))
		case *streams.ReadResp_FirstStreamPosition:
			words = append(words, fmt.Sprint("first=", c.FirstStreamPosition))
		case *streams.ReadResp_LastStreamPosition:
			words = append(words, fmt.Sprint("last=", c.LastStreamPosition))
		case *streams.ReadResp_StreamNotFound_:
			words = append(words, "not-found="+string(c.StreamNotFound.GetStreamIdentifier().GetStreamName()))
		default:
			words = append(words, fmt.Sprintf("%T", c))
		}
	}
	return strings.Join(words, " ")
}
