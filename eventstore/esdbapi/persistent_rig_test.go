package esdbapi_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// settings are the defaults of the client, changed.
func settings(change func(*esdb.PersistentSubscriptionSettings)) *esdb.PersistentSubscriptionSettings {
	s := esdb.SubscriptionSettingsDefault()
	if change != nil {
		change(&s)
	}
	return &s
}

// createGroup makes group g on a stream, from its start.
func createGroup(t testing.TB, c *esdb.Client, stream string, change func(*esdb.PersistentSubscriptionSettings)) {
	t.Helper()
	err := c.CreatePersistentSubscription(within(t), stream, "g", esdb.PersistentStreamSubscriptionOptions{
		StartFrom: esdb.Start{}, Settings: settings(change),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// join connects a consumer to group g on a stream.
func join(t testing.TB, c *esdb.Client, stream string, buffer uint32) *esdb.PersistentSubscription {
	t.Helper()
	options := esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: buffer}
	ctx := within(t) // so that no Recv waits for ever
	var sub *esdb.PersistentSubscription
	var err error
	if stream == "$all" {
		sub, err = c.SubscribeToPersistentSubscriptionToAll(ctx, "g", options)
	} else {
		sub, err = c.SubscribeToPersistentSubscription(ctx, stream, "g", options)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// next is the next event of a consumer.
func next(t testing.TB, sub *esdb.PersistentSubscription) *esdb.EventAppeared {
	t.Helper()
	e := sub.Recv()
	if e.EventAppeared == nil {
		t.Fatalf("dropped: %v", e.SubscriptionDropped.Error)
	}
	return e.EventAppeared
}

// takes demands that the next events have these revisions, each by itself with "+retries" when there are some.
func takes(t testing.TB, sub *esdb.PersistentSubscription, want ...string) (events []*esdb.ResolvedEvent) {
	t.Helper()
	for _, w := range want {
		e := next(t, sub)
		got := fmt.Sprint(e.Event.OriginalEvent().EventNumber)
		if e.RetryCount > 0 {
			got += fmt.Sprint("+", e.RetryCount)
		}
		if got != w {
			t.Fatalf("next is %s, want %s", got, w)
		}
		events = append(events, e.Event)
	}
	return events
}

func ack(t testing.TB, sub *esdb.PersistentSubscription, events ...*esdb.ResolvedEvent) {
	t.Helper()
	if err := sub.Ack(events...); err != nil {
		t.Fatal(err)
	}
}

func nack(t testing.TB, sub *esdb.PersistentSubscription, action esdb.NackAction, events ...*esdb.ResolvedEvent) {
	t.Helper()
	if err := sub.Nack("because", action, events...); err != nil {
		t.Fatal(err)
	}
}

// dropped demands that the consumer is told so with a code.
func dropped(t testing.TB, sub *esdb.PersistentSubscription, want codes.Code) {
	t.Helper()
	for {
		e := sub.Recv()
		if e.SubscriptionDropped == nil {
			continue
		}
		if got := status.Code(e.SubscriptionDropped.Error); got != want {
			t.Fatalf("dropped with %v: %v, want %v", got, e.SubscriptionDropped.Error, want)
		}
		return
	}
}

// groupInfo waits until the info of group g on a stream is as wanted.
func groupInfo(t testing.TB, c *esdb.Client, stream string, wanted func(*esdb.PersistentSubscriptionInfo) bool) *esdb.PersistentSubscriptionInfo {
	t.Helper()
	ctx := within(t)
	for {
		info, err := c.GetPersistentSubscriptionInfo(ctx, stream, "g", esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if wanted(info) {
			return info
		}
		if ctx.Err() != nil {
			t.Fatalf("the group is still %+v, %+v", *info, *info.Stats)
		}
	}
}

// codeOf is the code that the official client makes of an error.
func codeOf(t testing.TB, err error) esdb.ErrorCode {
	t.Helper()
	var e *esdb.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no error of the client", err)
	}
	return e.Code()
}

// numbers are the texts of from to to-1.
func numbers(from, to int) (texts []string) {
	for i := range to - from {
		texts = append(texts, fmt.Sprint(from+i))
	}
	return texts
}

func sortedRevisions(events []*esdb.ResolvedEvent) []uint64 {
	var all []uint64
	for _, e := range events {
		all = append(all, e.OriginalEvent().EventNumber)
	}
	slices.Sort(all)
	return all
}
