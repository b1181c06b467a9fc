package esdbapi_test

//lint:file-ignore SA1019 the forms that are deprecated are tested, too

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

func TestWhatTheClientSaysOfGroupsThatAreThereOrNot(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	createGroup(t, c, "s", nil)
	if err := c.CreatePersistentSubscriptionToAll(ctx, "g", esdb.PersistentAllSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		call func() error
		want esdb.ErrorCode
	}{
		"create again": {func() error {
			return c.CreatePersistentSubscription(ctx, "s", "g", esdb.PersistentStreamSubscriptionOptions{})
		}, esdb.ErrorCodeResourceAlreadyExists},
		"create on $all again": {func() error {
			return c.CreatePersistentSubscriptionToAll(ctx, "g", esdb.PersistentAllSubscriptionOptions{})
		}, esdb.ErrorCodeResourceAlreadyExists},
		"update": {func() error {
			return c.UpdatePersistentSubscription(ctx, "s", "none", esdb.PersistentStreamSubscriptionOptions{})
		}, esdb.ErrorCodeResourceNotFound},
		"delete": {func() error {
			return c.DeletePersistentSubscription(ctx, "s", "none", esdb.DeletePersistentSubscriptionOptions{})
		}, esdb.ErrorCodeResourceNotFound},
		"delete on $all": {func() error {
			return c.DeletePersistentSubscriptionToAll(ctx, "none", esdb.DeletePersistentSubscriptionOptions{})
		}, esdb.ErrorCodeResourceNotFound},
		"replay": {func() error { return c.ReplayParkedMessages(ctx, "s", "none", esdb.ReplayParkedMessagesOptions{}) }, esdb.ErrorCodeResourceNotFound},
		"info": {func() error {
			_, err := c.GetPersistentSubscriptionInfo(ctx, "s", "none", esdb.GetPersistentSubscriptionOptions{})
			return err
		}, esdb.ErrorCodeResourceNotFound},
		"list": {func() error {
			_, err := c.ListPersistentSubscriptionsForStream(ctx, "none", esdb.ListPersistentSubscriptionsOptions{})
			return err
		}, esdb.ErrorCodeResourceNotFound},
		"join": {func() error {
			_, err := c.SubscribeToPersistentSubscription(ctx, "s", "none", esdb.SubscribeToPersistentSubscriptionOptions{})
			return err
		}, esdb.ErrorCodeResourceNotFound},
	}
	for name, tt := range tests {
		if got := codeOf(t, tt.call()); got != tt.want {
			t.Errorf("%s: code %v, want %v", name, got, tt.want)
		}
	}
	if err := c.RestartPersistentSubscriptionSubsystem(ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{}); err != nil {
		t.Errorf("restart: %v", err)
	}
}

func TestInfoAndListArriveWhole(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 20)
	want := settings(func(s *esdb.PersistentSubscriptionSettings) {
		s.ResolveLinkTos, s.ExtraStatistics, s.MaxRetryCount, s.CheckpointLowerBound, s.CheckpointUpperBound = true, true, 3, 4, 50
		s.MaxSubscriberCount, s.LiveBufferSize, s.ReadBatchSize, s.HistoryBufferSize = 6, 70, 8, 90
		s.ConsumerStrategyName, s.MessageTimeout, s.CheckpointAfter = esdb.ConsumerStrategyPinned, 1234, 100
	})
	err := c.CreatePersistentSubscription(ctx, "s", "g", esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Revision(2), Settings: want})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CreatePersistentSubscriptionToAll(ctx, "on all", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Position{Commit: 5, Prepare: 5}}); err != nil {
		t.Fatal(err)
	}
	if err := c.CreatePersistentSubscriptionToAll(ctx, "end", esdb.PersistentAllSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	sub := join(t, c, "s", 10)
	ack(t, sub, takes(t, sub, numbers(2, 12)...)...)
	info := groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.LastCheckpointedEventRevision != nil && *i.Stats.LastCheckpointedEventRevision == 11
	})
	want.StartFrom = info.Settings.StartFrom
	if *info.Settings != *want || info.Settings.StartFrom != esdb.Revision(2) {
		t.Errorf("settings %+v, want %+v", *info.Settings, *want)
	}
	if info.EventSource != "s" || info.GroupName != "g" || info.Status != "Live" || *info.Stats.LastKnownEventRevision != 19 ||
		info.Stats.TotalInFlightMessages != 8 || info.Stats.OutstandingMessagesCount != 8 || info.Stats.TotalItems < 10 {
		t.Errorf("info %+v, %+v", info, info.Stats)
	}
	if len(info.Connections) != 1 || info.Connections[0].AvailableSlots != 2 || !strings.HasPrefix(info.Connections[0].From, "127.0.0.1:") {
		t.Errorf("connections %+v", info.Connections)
	}
	infos, err := c.ListPersistentSubscriptionsToAll(ctx, esdb.ListPersistentSubscriptionsOptions{})
	if err != nil || len(infos) != 2 || infos[0].Settings.StartFrom != (esdb.End{}) {
		t.Fatalf("groups on $all: %+v, %v", infos, err)
	}
	if p, ok := infos[1].Settings.StartFrom.(*esdb.Position); !ok || p.Commit != 5 {
		t.Errorf("start of the group on $all: %+v", infos[1].Settings.StartFrom)
	}
	if infos, err = c.ListAllPersistentSubscriptions(ctx, esdb.ListPersistentSubscriptionsOptions{}); err != nil || len(infos) != 3 {
		t.Errorf("all groups: %d, %v", len(infos), err)
	}
	if infos, err = c.ListPersistentSubscriptionsForStream(ctx, "s", esdb.ListPersistentSubscriptionsOptions{}); err != nil || len(infos) != 1 {
		t.Errorf("groups of the stream: %d, %v", len(infos), err)
	}
}

func TestTheMaximumOfSubscribers(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	createGroup(t, c, "s", func(s *esdb.PersistentSubscriptionSettings) { s.MaxSubscriberCount = 1 })
	join(t, c, "s", 1)
	wants(t, persistentRead(t, r, readOptions("s", "g")), codes.FailedPrecondition, "maximum-subscribers-reached", "s", "g")
}

// rawSettings are settings as a client might send them.
func rawSettings(change func(*persistent.CreateReq_Settings)) *persistent.CreateReq_Settings {
	s := &persistent.CreateReq_Settings{
		MaxRetryCount: 1, MinCheckpointCount: 1, MaxCheckpointCount: 1, LiveBufferSize: 10, HistoryBufferSize: 10, ReadBatchSize: 5,
		ConsumerStrategy: "RoundRobin",
	}
	if change != nil {
		change(s)
	}
	return s
}

func rawCreate(change func(*persistent.CreateReq_Options)) *persistent.CreateReq {
	o := &persistent.CreateReq_Options{
		GroupName: "g", Settings: rawSettings(nil),
		StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			RevisionOption:   &persistent.CreateReq_StreamOptions_Start{Start: &shared.Empty{}},
		}},
	}
	if change != nil {
		change(o)
	}
	return &persistent.CreateReq{Options: o}
}

func onStream(name string, revision uint64) func(*persistent.CreateReq_Options) {
	return func(o *persistent.CreateReq_Options) {
		o.StreamOption = &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)},
			RevisionOption:   &persistent.CreateReq_StreamOptions_Revision{Revision: revision},
		}}
	}
}

func onAll(all *persistent.CreateReq_AllOptions) func(*persistent.CreateReq_Options) {
	return func(o *persistent.CreateReq_Options) { o.StreamOption = &persistent.CreateReq_Options_All{All: all} }
}

func withSettings(change func(*persistent.CreateReq_Settings)) func(*persistent.CreateReq_Options) {
	return func(o *persistent.CreateReq_Options) { o.Settings = rawSettings(change) }
}

func TestWhatIsNoGroupIsNotCreated(t *testing.T) {
	t.Parallel()
	start := &persistent.CreateReq_AllOptions_Start{Start: &shared.Empty{}}
	filter := func(f *persistent.CreateReq_AllOptions_FilterOptions) func(*persistent.CreateReq_Options) {
		return onAll(&persistent.CreateReq_AllOptions{AllOption: start, FilterOption: &persistent.CreateReq_AllOptions_Filter{Filter: f}})
	}
	position := func(commit, prepare uint64) func(*persistent.CreateReq_Options) {
		return onAll(&persistent.CreateReq_AllOptions{
			AllOption:    &persistent.CreateReq_AllOptions_Position{Position: &persistent.CreateReq_Position{CommitPosition: commit, PreparePosition: prepare}},
			FilterOption: &persistent.CreateReq_AllOptions_NoFilter{NoFilter: &shared.Empty{}},
		})
	}
	regex := &persistent.CreateReq_AllOptions_FilterOptions_EventType{
		EventType: &persistent.CreateReq_AllOptions_FilterOptions_Expression{Regex: "(?=x)"},
	}
	tests := map[string]struct {
		change func(*persistent.CreateReq_Options)
		want   codes.Code // INTERNAL comes with persistent-subscription-failed
	}{
		"nothing":             {func(o *persistent.CreateReq_Options) { *o = persistent.CreateReq_Options{} }, codes.InvalidArgument},
		"empty stream":        {onStream("", 0), codes.InvalidArgument},
		"stream $$":           {onStream("$$", 0), codes.InvalidArgument},
		"stream $all":         {onStream("$all", 0), codes.InvalidArgument},
		"huge stream":         {onStream(strings.Repeat("s", 1<<20), 0), codes.InvalidArgument},
		"revision over int64": {onStream("s", math.MaxInt64+1), codes.InvalidArgument},
		"no start":            {onAll(&persistent.CreateReq_AllOptions{}), codes.InvalidArgument},
		"no filter option":    {onAll(&persistent.CreateReq_AllOptions{AllOption: start}), codes.InvalidArgument},
		"empty filter":        {filter(&persistent.CreateReq_AllOptions_FilterOptions{}), codes.InvalidArgument},
		"filter, no window":   {filter(&persistent.CreateReq_AllOptions_FilterOptions{Filter: regex}), codes.InvalidArgument},
		"look-around": {filter(&persistent.CreateReq_AllOptions_FilterOptions{
			Filter: regex, Window: &persistent.CreateReq_AllOptions_FilterOptions_Max{Max: 1},
		}), codes.InvalidArgument},
		"commit < prepare":  {position(1, 2), codes.InvalidArgument},
		"position past end": {position(1000, 1000), codes.Internal},
		"empty group":       {func(o *persistent.CreateReq_Options) { o.GroupName = "" }, codes.InvalidArgument},
		"huge group":        {func(o *persistent.CreateReq_Options) { o.GroupName = strings.Repeat("ü", 1<<19) }, codes.InvalidArgument},
		"group with ::":     {func(o *persistent.CreateReq_Options) { o.GroupName = "a::b" }, codes.Internal},
		"no settings":       {func(o *persistent.CreateReq_Options) { o.Settings = nil }, codes.Internal},
		"unknown strategy":  {withSettings(func(s *persistent.CreateReq_Settings) { s.ConsumerStrategy = "Best\n" }), codes.Internal},
		"batch = history":   {withSettings(func(s *persistent.CreateReq_Settings) { s.ReadBatchSize = 10 }), codes.Internal},
		"negative live":     {withSettings(func(s *persistent.CreateReq_Settings) { s.LiveBufferSize = -1 }), codes.Internal},
		"negative retries":  {withSettings(func(s *persistent.CreateReq_Settings) { s.MaxRetryCount = -1 }), codes.Internal},
		"negative timeout ms": {withSettings(func(s *persistent.CreateReq_Settings) {
			s.MessageTimeout = &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: -1}
		}), codes.Internal},
		"negative ticks": {withSettings(func(s *persistent.CreateReq_Settings) {
			s.CheckpointAfter = &persistent.CreateReq_Settings_CheckpointAfterTicks{CheckpointAfterTicks: math.MinInt64}
		}), codes.Internal},
		"unknown legacy strategy": {withSettings(func(s *persistent.CreateReq_Settings) { s.ConsumerStrategy, s.NamedConsumerStrategy = "", 77 }), codes.Internal},
	}
	r := serve(t)
	groups := persistent.NewPersistentSubscriptionsClient(r.dial(t))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var trailer metadata.MD
			_, err := groups.Create(within(t), rawCreate(tt.change), grpc.Trailer(&trailer))
			if got := status.Code(err); got != tt.want {
				t.Fatalf("answers %v, want %v", err, tt.want)
			}
			if exception := strings.Join(trailer["exception"], ""); tt.want == codes.Internal && exception != "persistent-subscription-failed" {
				t.Errorf("exception %q, trailers %v", exception, trailer)
			}
		})
	}
}

// What odd clients send, and newer and older ones do.
func TestEveryFormOfADefinitionIsUnderstood(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 5)
	groups := persistent.NewPersistentSubscriptionsClient(r.dial(t))
	tests := map[string]struct {
		change   func(*persistent.CreateReq_Options)
		start    string
		strategy string
		timeout  int32
	}{
		"names": {withSettings(func(s *persistent.CreateReq_Settings) {
			s.ConsumerStrategy, s.MessageTimeout = "PinnedByCorrelation", &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 77}
		}), "0", "PinnedByCorrelation", 77},
		"ticks": {withSettings(func(s *persistent.CreateReq_Settings) {
			s.MessageTimeout = &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 770_000}
		}), "0", "RoundRobin", 77},
		"endless ticks": {withSettings(func(s *persistent.CreateReq_Settings) {
			s.MessageTimeout = &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: math.MaxInt64}
		}), "0", "RoundRobin", math.MaxInt32},
		"legacy": {func(o *persistent.CreateReq_Options) {
			o.StreamOption, o.StreamIdentifier = nil, &shared.StreamIdentifier{StreamName: []byte("s")}
			o.Settings.ConsumerStrategy, o.Settings.NamedConsumerStrategy, o.Settings.Revision = "", persistent.CreateReq_Pinned, 3
		}, "3", "Pinned", 0},
		"legacy end": {func(o *persistent.CreateReq_Options) {
			o.StreamOption, o.StreamIdentifier = nil, &shared.StreamIdentifier{StreamName: []byte("s")}
			o.Settings.Revision = math.MaxUint64
		}, "-1", "RoundRobin", 0},
		"odd name /%2F 'ü'": {nil, "0", "RoundRobin", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			req := rawCreate(tt.change)
			req.Options.GroupName = name
			if _, err := groups.Create(ctx, req); err != nil {
				t.Fatal(err)
			}
			info, err := groups.GetInfo(ctx, &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
				StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}},
				GroupName:    name,
			}})
			if err != nil {
				t.Fatal(err)
			}
			i := info.GetSubscriptionInfo()
			if i.GetStartFrom() != tt.start || i.GetNamedConsumerStrategy() != tt.strategy || i.GetMessageTimeoutMilliseconds() != tt.timeout {
				t.Errorf("start %s, strategy %s, timeout %d", i.GetStartFrom(), i.GetNamedConsumerStrategy(), i.GetMessageTimeoutMilliseconds())
			}
			wants(t, callError(func(trailer *metadata.MD) error {
				_, err := groups.Create(ctx, req, grpc.Trailer(trailer))
				return err
			}), codes.AlreadyExists, "persistent-subscription-exists", "s", name)
		})
	}
}

func TestAReadOnlyServerCreatesNoGroups(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.AllowAppend = false })
	groups := persistent.NewPersistentSubscriptionsClient(r.dial(t))
	ctx := within(t)
	stream := &shared.StreamIdentifier{StreamName: []byte("s")}
	update := &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{GroupName: "g", StreamOption: &persistent.UpdateReq_Options_Stream{
		Stream: &persistent.UpdateReq_StreamOptions{StreamIdentifier: stream, RevisionOption: &persistent.UpdateReq_StreamOptions_Start{}},
	}}}
	for name, call := range map[string]func() error{
		"create": func() error { _, err := groups.Create(ctx, rawCreate(nil)); return err },
		"update": func() error { _, err := groups.Update(ctx, update); return err },
		"delete": func() error {
			_, err := groups.Delete(ctx, &persistent.DeleteReq{Options: &persistent.DeleteReq_Options{
				GroupName: "g", StreamOption: &persistent.DeleteReq_Options_StreamIdentifier{StreamIdentifier: stream},
			}})
			return err
		},
		"replay": func() error {
			_, err := groups.ReplayParked(ctx, &persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{
				GroupName: "g", StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: stream},
				StopAtOption: &persistent.ReplayParkedReq_Options_NoLimit{},
			}})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNobodyWritesWhereGroupsKeepTheirState(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	streams := []string{"$persistentSubscriptionConfig", "$persistentsubscription-s::g-checkpoint", "$$$persistentsubscription-s::g-parked"}
	for _, stream := range streams {
		if _, err := c.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, event("X", "{}")); codeOf(t, err) != esdb.ErrorCodeAccessDenied {
			t.Errorf("append to %s: %v", stream, err)
		}
		if _, err := c.DeleteStream(ctx, stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); status.Code(unwrapped(err)) != codes.PermissionDenied {
			t.Errorf("delete %s: %v", stream, err)
		}
	}
}

func TestClientsFindTheMethodsOfGroups(t *testing.T) {
	t.Parallel()
	r := serve(t)
	features := featuresOf(t, r)
	for _, method := range []string{"create", "update", "delete", "read", "getinfo", "list", "replayparked", "restartsubsystem"} {
		got := features["event_store.client.persistent_subscriptions.persistentsubscriptions/"+method]
		if !slices.Equal(got, []string{"stream", "all"}) {
			t.Errorf("%s has the features %v", method, got)
		}
	}
}

// callError is the error of a call with its trailers.
func callError(call func(*metadata.MD) error) callFailure {
	var trailer metadata.MD
	err := call(&trailer)
	return callFailure{err, trailer}
}

type callFailure struct {
	err     error
	trailer metadata.MD
}

func unwrapped(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || status.Code(err) != codes.Unknown {
			return err
		}
		err = u.Unwrap()
	}
}
