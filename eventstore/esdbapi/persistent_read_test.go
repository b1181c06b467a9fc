package esdbapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// wants compares a failure with what clients look at.
func wants(t testing.TB, got callFailure, code codes.Code, exception, stream, group string) {
	t.Helper()
	if status.Code(got.err) != code {
		t.Fatalf("answers %v, want %v", got.err, code)
	}
	escape := func(s string) string {
		if s == url.PathEscape(s) || !bytes.ContainsAny([]byte(s), "%ü") {
			return s
		}
		return url.PathEscape(s)
	}
	for key, want := range map[string]string{"exception": exception, "stream-name": escape(stream), "group-name": escape(group)} {
		if values := got.trailer[key]; len(values) != 1 || values[0] != want {
			t.Errorf("trailer %s is %q, want %q", key, values, want)
		}
	}
}

func readOptions(stream, group string) *persistent.ReadReq {
	return &persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}},
		GroupName:    group, BufferSize: 10,
		UuidOption: &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{}},
	}}}
}

// persistentRead sends these messages, closes its side, and takes answers to the end.
func persistentRead(t testing.TB, r *rig, messages ...*persistent.ReadReq) callFailure {
	t.Helper()
	call, err := persistent.NewPersistentSubscriptionsClient(r.dial(t)).Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			break // the answer says why
		}
	}
	for err = error(nil); err == nil; {
		_, err = call.Recv()
	}
	return callFailure{err, call.Trailer()}
}

func TestAConsumerThatSaysNonsenseIsTold(t *testing.T) {
	t.Parallel()
	r := serve(t)
	createGroup(t, r.client(t), "s", nil)
	r.seed(t, "s", 1)
	ok := readOptions("s", "g")
	noForm := readOptions("s", "g")
	noForm.GetOptions().UuidOption = nil
	noStream := readOptions("s", "g")
	noStream.GetOptions().StreamOption = nil
	ack := func(ids ...*shared.UUID) *persistent.ReadReq {
		return &persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: ids}}}
	}
	for name, messages := range map[string][]*persistent.ReadReq{
		"empty message":       {{}},
		"ack before options":  {ack()},
		"no form of UUIDs":    {noForm},
		"no stream":           {noStream},
		"no group":            {readOptions("s", "")},
		"options again":       {ok, ok},
		"empty message later": {ok, {}},
		"ack of no UUID":      {ok, ack(&shared.UUID{})},
		"ack of junk":         {ok, ack(&shared.UUID{Value: &shared.UUID_String_{String_: "junk"}})},
	} {
		if got := persistentRead(t, r, messages...); status.Code(got.err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, got.err)
		}
	}
	wants(t, persistentRead(t, r, readOptions("s", "nüll")), codes.NotFound, "persistent-subscription-does-not-exist", "s", "nüll")
}

func TestAConsumerWithStringUUIDs(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "s", 2)
	createGroup(t, c, "s", nil)
	call, err := persistent.NewPersistentSubscriptionsClient(r.dial(t)).Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(readOptions("s", "g")); err != nil {
		t.Fatal(err)
	}
	first, err := call.Recv()
	if err != nil || first.GetSubscriptionConfirmation().GetSubscriptionId() != "s::g" {
		t.Fatalf("first answer %v, %v", first, err)
	}
	m, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	e := m.GetEvent()
	if _, err := uuid.Parse(e.GetEvent().GetId().GetString_()); err != nil || e.GetCommitPosition() != 1 || e.GetCount() == nil {
		t.Errorf("event %v", e)
	}
	unknown := uuid.New().String()
	ack := &persistent.ReadReq_Ack{Ids: []*shared.UUID{{Value: &shared.UUID_String_{String_: unknown}}, e.GetEvent().GetId(), e.GetEvent().GetId()}}
	if err := call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: ack}}); err != nil {
		t.Fatal(err)
	}
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 1 })
	if err := call.CloseSend(); err != nil { // and so it leaves
		t.Fatal(err)
	}
	for err == nil {
		_, err = call.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("a consumer that leaves is told %v", err)
	}
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return len(i.Connections) == 0 })
}

func TestAServerThatCannotListenEnds(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := esdbapi.New(esdbapi.Config{Listener: listener, Store: serve(t).store})
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Run answers nil")
		}
	case <-within(t).Done():
		t.Error("Run does not end")
	}
}

// A client that stops reading holds its buffer, and what the group may hold, while the others go on.
func TestAClientThatStopsReadingIsBounded(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	ctx := within(t)
	call, err := persistent.NewPersistentSubscriptionsClient(r.dial(t)).Read(ctx)
	createGroup(t, c, "s", nil)
	if err != nil {
		t.Fatal(err)
	}
	options := readOptions("s", "g")
	options.GetOptions().BufferSize = 1 << 30
	if err := call.Send(options); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil { // the confirmation, and never again
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte{'x'}, 1<<19)
	for range 60 { // 30 MiB
		a := eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{{ID: eventstore.EventID(uuid.New()), Type: "big", Data: big}}}
		if _, err := r.store.Append(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	info := groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount >= 24 })
	if info.Stats.OutstandingMessagesCount > 34 {
		t.Errorf("%d events of 512 KiB are held, want at most 16 MiB", info.Stats.OutstandingMessagesCount)
	}
	r.stop() // and does not keep the server
}

func TestWhatAConsumerSaysOfItselfIsShown(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	createGroup(t, c, "s", nil)
	ctx := metadata.AppendToOutgoingContext(within(t), "connection-name", "reader", "authorization", "Basic YWRhOnNlY3JldA==")
	call, err := persistent.NewPersistentSubscriptionsClient(r.dial(t)).Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(readOptions("s", "g")); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil {
		t.Fatal(err)
	}
	info := groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return len(i.Connections) == 1 })
	if got := info.Connections[0]; got.ConnectionName != "reader" || got.Username != "" { // nobody has checked the name
		t.Errorf("connection %+v", got)
	}
}

// featuresOf are the features of methods, by service/method.
func featuresOf(t testing.TB, r *rig) map[string][]string {
	t.Helper()
	methods, err := serverfeatures.NewServerFeaturesClient(r.dial(t)).GetSupportedMethods(context.Background(), &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	features := map[string][]string{}
	for _, m := range methods.GetMethods() {
		features[m.GetServiceName()+"/"+m.GetMethodName()] = m.GetFeatures()
	}
	return features
}
