package esdbapi_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

func TestThreeConsumersGetEachEventOnceBetweenThem(t *testing.T) {
	t.Parallel()
	const events = 500
	r := serve(t)
	c := r.client(t)
	createGroup(t, c, "s", nil)
	var mu sync.Mutex
	var got []*esdb.ResolvedEvent
	var busy [3]int
	var consumers sync.WaitGroup
	enough := make(chan struct{})
	for i := range busy {
		sub := join(t, c, "s", 5)
		consumers.Go(func() {
			for e := sub.Recv(); e.EventAppeared != nil; e = sub.Recv() {
				if err := sub.Ack(e.EventAppeared.Event); err != nil {
					return
				}
				mu.Lock()
				got = append(got, e.EventAppeared.Event)
				busy[i]++
				if len(got) == events {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	r.seed(t, "s", events)
	<-enough
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 0 })
	r.stop() // ends the consumers
	consumers.Wait()
	revisions := sortedRevisions(got)
	if len(revisions) != events || revisions[events-1] != events-1 || len(slices.Compact(revisions)) != events {
		t.Errorf("%d deliveries of %d events", len(got), events)
	}
	if slices.Contains(busy[:], 0) {
		t.Errorf("deliveries by consumer: %v", busy)
	}
}

func TestAGroupOnAllDeliversWhatItsFilterChooses(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]*esdb.SubscriptionFilter{
		"stream prefix": {Type: esdb.StreamFilterType, Prefixes: []string{"x-", "wanted-"}},
		"stream regex":  {Type: esdb.StreamFilterType, Regex: "^want.*[0-9]$"},
		"type prefix":   {Type: esdb.EventFilterType, Prefixes: []string{"Good"}},
		"type regex":    {Type: esdb.EventFilterType, Regex: "od$"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t)
			c, ctx := r.client(t), within(t)
			for i := range 3 {
				for stream, typ := range map[string]string{fmt.Sprint("wanted-", i): "Good", fmt.Sprint("other-", i): "Bad"} {
					if _, err := c.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, event(typ, "{}")); err != nil {
						t.Fatal(err)
					}
				}
			}
			err := c.CreatePersistentSubscriptionToAll(ctx, "g", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}, Filter: filter})
			if err != nil {
				t.Fatal(err)
			}
			sub := join(t, c, "$all", 10)
			for i := range 3 {
				e := next(t, sub).Event
				if want := fmt.Sprint("wanted-", i); e.Event.StreamID != want || e.Link != nil || *e.Commit != e.Event.Position.Commit {
					t.Fatalf("delivered %+v, want an event of %s", e.Event, want)
				}
				ack(t, sub, e)
			}
			groupInfo(t, c, "$all", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 0 })
		})
	}
}

func TestEveryFieldOfAnEventArrives(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	sent := event("Type", `{"n":1}`)
	sent.ContentType = esdb.ContentTypeBinary
	if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, sent); err != nil {
		t.Fatal(err)
	}
	read, err := c.ReadStream(ctx, "s", esdb.ReadStreamOptions{}, 1)
	want := all(t, read, err)[0].Event
	createGroup(t, c, "s", nil)
	got := next(t, join(t, c, "s", 1)).Event.Event
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || got.EventID != sent.EventID {
		t.Errorf("delivered\n%+v, read\n%+v", got, want)
	}
}

func TestRefusedEventsAreRetriedSkippedOrParked(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 5)
	createGroup(t, c, "s", func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount = 1 })
	sub := join(t, c, "s", 10)
	events := takes(t, sub, numbers(0, 5)...)
	nack(t, sub, esdb.NackActionRetry, events[0])
	takes(t, sub, "0+1")
	nack(t, sub, esdb.NackActionUnknown, events[1])
	takes(t, sub, "1+1")
	nack(t, sub, esdb.NackActionSkip, events[2])
	nack(t, sub, esdb.NackActionPark, events[3])
	nack(t, sub, esdb.NackActionRetry, events[0]) // its last retry has been
	ack(t, sub, events[1], events[4])
	info := groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 0 })
	if info.Stats.ParkedMessagesCount != 2 {
		t.Fatalf("%d parked, want 2", info.Stats.ParkedMessagesCount)
	}
	if err := c.ReplayParkedMessages(ctx, "s", "g", esdb.ReplayParkedMessagesOptions{StopAt: 1}); err != nil {
		t.Fatal(err)
	}
	replayed := next(t, sub)
	if replayed.Event.Event.EventNumber != 3 || replayed.Event.Link == nil || replayed.Event.Link.EventType != "$>" {
		t.Errorf("replayed %+v", replayed.Event.Event)
	}
	ack(t, sub, replayed.Event)
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.OutstandingMessagesCount == 0 && i.Stats.ParkedMessagesCount == 1
	})
	if err := c.ReplayParkedMessages(ctx, "s", "g", esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, sub).Event; e.Event.EventNumber != 0 {
		t.Errorf("replayed %+v", e.Event)
	}
}

func TestAnEventIsDeliveredAgainWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "s", 1)
	createGroup(t, c, "s", func(s *esdb.PersistentSubscriptionSettings) { s.MessageTimeout = 50 })
	sub := join(t, c, "s", 10)
	takes(t, sub, "0")
	ack(t, sub, takes(t, sub, "0+1")...)
}

func TestTheEventsOfAKilledConsumerGoToTheOthers(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "s", 6)
	createGroup(t, c, "s", nil)
	killed := join(t, r.client(t), "s", 4)
	events := takes(t, killed, numbers(0, 4)...)
	other := join(t, c, "s", 10)
	rest := takes(t, other, "4", "5")
	ack(t, killed, events[0])
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 5 })
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	ack(t, other, takes(t, other, "1+1", "2+1", "3+1")...)
	ack(t, other, rest...)
	info := groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 0 })
	if len(info.Connections) != 1 {
		t.Errorf("%d connections, want 1", len(info.Connections))
	}
}

func TestAnUpdatedGroupDropsItsConsumersAndGoesOn(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 5)
	createGroup(t, c, "s", nil)
	sub := join(t, c, "s", 10)
	ack(t, sub, takes(t, sub, numbers(0, 5)...)[:3]...)
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 2 })
	changed := settings(func(s *esdb.PersistentSubscriptionSettings) {
		s.MaxRetryCount, s.ConsumerStrategyName = 7, esdb.ConsumerStrategyDispatchToSingle
	})
	if err := c.UpdatePersistentSubscription(ctx, "s", "g", esdb.PersistentStreamSubscriptionOptions{Settings: changed}); err != nil {
		t.Fatal(err)
	}
	dropped(t, sub, codes.Canceled)
	takes(t, join(t, c, "s", 10), "3", "4")
	info := groupInfo(t, c, "s", func(*esdb.PersistentSubscriptionInfo) bool { return true })
	if info.Settings.MaxRetryCount != 7 || info.Settings.ConsumerStrategyName != esdb.ConsumerStrategyDispatchToSingle {
		t.Errorf("settings %+v", info.Settings)
	}
}

func TestAGroupOnAllIsUpdatedReplayedAndDeleted(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 2)
	filter := &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"s"}}
	if err := c.CreatePersistentSubscriptionToAll(ctx, "g", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}, Filter: filter}); err != nil {
		t.Fatal(err)
	}
	sub := join(t, c, "$all", 10)
	nack(t, sub, esdb.NackActionPark, takes(t, sub, "0")...)
	groupInfo(t, c, "$all", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == 1 })
	changed := settings(func(s *esdb.PersistentSubscriptionSettings) { s.ResolveLinkTos = true })
	if err := c.UpdatePersistentSubscriptionToAll(ctx, "g", esdb.PersistentAllSubscriptionOptions{Settings: changed}); err != nil {
		t.Fatal(err)
	}
	dropped(t, sub, codes.Canceled)
	sub = join(t, c, "$all", 10)
	ack(t, sub, takes(t, sub, "1")...) // the filter stays
	if err := c.ReplayParkedMessagesToAll(ctx, "g", esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, sub).Event; e.Event.StreamID != "s" || e.Event.EventNumber != 0 {
		t.Errorf("replayed %+v", e.Event)
	}
	if err := c.DeletePersistentSubscriptionToAll(ctx, "g", esdb.DeletePersistentSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	dropped(t, sub, codes.Canceled)
}

func TestADeletedGroupDropsItsConsumers(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	createGroup(t, c, "s", nil)
	sub := join(t, c, "s", 10)
	if err := c.DeletePersistentSubscription(ctx, "s", "g", esdb.DeletePersistentSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	dropped(t, sub, codes.Canceled)
	if _, err := c.SubscribeToPersistentSubscription(ctx, "s", "g", esdb.SubscribeToPersistentSubscriptionOptions{}); codeOf(t, err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("joining it: %v", err)
	}
	createGroup(t, c, "s", nil)
}

func TestARestartedServerGoesOnFromTheCheckpoint(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "s", 10)
	createGroup(t, c, "s", nil)
	sub := join(t, c, "s", 10)
	events := takes(t, sub, numbers(0, 10)...)
	ack(t, sub, events[:4]...)
	ack(t, sub, events[6])
	groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.OutstandingMessagesCount == 5 })
	r.stop()
	dropped(t, sub, codes.Unavailable)
	again := serve(t, func(config *esdbapi.Config) { config.Store = r.store })
	c = again.client(t)
	info := groupInfo(t, c, "s", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.LastCheckpointedEventRevision != nil })
	if *info.Stats.LastCheckpointedEventRevision != 3 {
		t.Errorf("the checkpoint is %d, want 3", *info.Stats.LastCheckpointedEventRevision)
	}
	takes(t, join(t, c, "s", 10), numbers(4, 10)...)
}

func TestTruncatedAndDeletedEventsAreNotDelivered(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 5)
	meta := esdb.StreamMetadata{}
	meta.SetTruncateBefore(3)
	if _, err := c.SetStreamMetadata(ctx, "s", esdb.AppendToStreamOptions{}, meta); err != nil {
		t.Fatal(err)
	}
	createGroup(t, c, "s", nil)
	takes(t, join(t, c, "s", 10), "3", "4")
	r.seed(t, "gone", 2)
	if _, err := c.DeleteStream(ctx, "gone", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	createGroup(t, c, "gone", nil)
	sub := join(t, c, "gone", 10)
	if _, err := c.AppendToStream(ctx, "gone", esdb.AppendToStreamOptions{}, event("Back", "{}")); err != nil {
		t.Fatal(err)
	}
	takes(t, sub, "2")
	r.seed(t, "dead", 2)
	if _, err := c.TombstoneStream(ctx, "dead", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	createGroup(t, c, "dead", nil)
	info := groupInfo(t, c, "dead", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Status == "Live" })
	if info.Stats.OutstandingMessagesCount != 0 {
		t.Errorf("%d events of a tombstoned stream", info.Stats.OutstandingMessagesCount)
	}
}
