package esdb_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// database keeps events as EventStoreDB does: positions are places in a log, ids are known per stream and only in
// relation to the expected revision, and the server writes events of its own between those of others.
type database struct {
	mu      sync.Mutex
	log     []*streams.ReadResp_ReadEvent_RecordedEvent
	streams map[string][]*streams.ReadResp_ReadEvent_RecordedEvent
	end     uint64
	ids     int64
	wake    chan struct{}
}

func newDatabase() *database {
	db := &database{streams: map[string][]*streams.ReadResp_ReadEvent_RecordedEvent{}, wake: make(chan struct{}), end: 77}
	db.own("$users")
	db.own("$$$stats")
	return db
}

// own stores an event of the server.
func (db *database) own(stream string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.ids++
	db.store(stream, &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: 1, LeastSignificantBits: db.ids}}},
		Metadata: map[string]string{"type": "$statsCollected", "content-type": "application/json"}, Data: []byte("{}"),
	})
}

func (db *database) store(stream string, m *streams.AppendReq_ProposedMessage) {
	own := db.streams[stream]
	e := &streams.ReadResp_ReadEvent_RecordedEvent{
		Id: m.Id, StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}, StreamRevision: uint64(len(own)),
		CommitPosition: db.end, PreparePosition: db.end, Data: m.Data, CustomMetadata: m.CustomMetadata,
		Metadata: map[string]string{
			"type": m.Metadata["type"], "content-type": m.Metadata["content-type"],
			"created": fmt.Sprint(time.Now().UnixNano() / 100),
		},
	}
	db.end += uint64(100 + len(stream) + len(m.Data) + len(m.CustomMetadata))
	db.streams[stream] = append(own, e)
	db.log = append(db.log, e)
	close(db.wake)
	db.wake = make(chan struct{})
}

// appendCall is all of an append.
type appendCall struct {
	options  *streams.AppendReq_Options
	messages []*streams.AppendReq_ProposedMessage
}

func receiveAppend(stream streams.Streams_AppendServer) (appendCall, error) {
	var a appendCall
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		if o := req.GetOptions(); o != nil {
			a.options = o
		} else {
			a.messages = append(a.messages, req.GetProposedMessage())
		}
	}
}

func (db *database) append(a appendCall) (*streams.AppendResp, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	name := string(a.options.StreamIdentifier.StreamName)
	own := db.streams[name]
	current := int64(len(own)) - 1
	var expected int64
	switch e := a.options.ExpectedStreamRevision.(type) {
	case *streams.AppendReq_Options_NoStream:
		expected = -1
	case *streams.AppendReq_Options_Revision:
		expected = int64(e.Revision) //nolint:gosec // checked by the next line
	default:
		return nil, status.Error(codes.Internal, "the adapter must always expect a revision")
	}
	switch {
	case expected == current:
		for _, m := range a.messages {
			db.store(name, m)
		}
		if db.end%3 == 0 {
			db.store("$stats-127.0.0.1:2113", &streams.AppendReq_ProposedMessage{Id: a.messages[0].Id, Metadata: map[string]string{"type": "$stats"}})
		}
		return success(db.streams[name][expected+int64(len(a.messages))]), nil
	case expected < current && repeated(a.messages, own[expected+1:]):
		return success(own[expected+int64(len(a.messages))]), nil
	default:
		return wrongVersion(expected, current), nil
	}
}

func repeated(messages []*streams.AppendReq_ProposedMessage, stored []*streams.ReadResp_ReadEvent_RecordedEvent) bool {
	if len(stored) < len(messages) {
		return false
	}
	for i, m := range messages {
		a, b := m.Id.GetStructured(), stored[i].Id.GetStructured()
		if a.MostSignificantBits != b.MostSignificantBits || a.LeastSignificantBits != b.LeastSignificantBits {
			return false
		}
	}
	return true
}

func success(last *streams.ReadResp_ReadEvent_RecordedEvent) *streams.AppendResp {
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: last.StreamRevision},
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: last.CommitPosition, PreparePosition: last.PreparePosition,
		}},
	}}}
}

func wrongVersion(expected, current int64) *streams.AppendResp {
	wrong := &streams.AppendResp_WrongExpectedVersion{}
	wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
	if current < 0 {
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
	}
	wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expected)}
	if expected < 0 {
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrong}}
}

// count is how many events of a stream there are.
func (db *database) count(stream string) int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.streams[stream])
}

// snapshot is the log now, and what is closed when there is more.
func (db *database) snapshot() ([]*streams.ReadResp_ReadEvent_RecordedEvent, <-chan struct{}) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clip(db.log), db.wake
}

func visible(e *streams.ReadResp_ReadEvent_RecordedEvent) bool {
	return !strings.HasPrefix(string(e.StreamIdentifier.StreamName), "$")
}
