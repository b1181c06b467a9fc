package esdbapi_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func TestTheOfficialClientAppendsReadsAndSubscribes(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	first, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, event("A", `{"n":1}`), event("B", `{"n":2}`))
	if err != nil {
		t.Fatal(err)
	}
	if first.NextExpectedVersion != 1 || first.CommitPosition != 2 || first.PreparePosition != 2 {
		t.Errorf("first append: %+v", first)
	}
	read, err := c.ReadStream(ctx, "s", esdb.ReadStreamOptions{}, 10)
	events := all(t, read, err)
	if len(events) != 2 || events[0].Event.EventType != "A" || string(events[1].Event.Data) != `{"n":2}` || events[1].Event.EventNumber != 1 {
		t.Fatalf("read %d events", len(events))
	}
	read, err = c.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 10)
	if events = all(t, read, err); len(events) != 2 || events[0].Event.EventType != "B" {
		t.Fatalf("read %d events of all", len(events))
	}
	sub, err := c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, want := range []string{"A", "B"} {
		if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.EventType != want {
			t.Fatalf("got %+v, want %s", e, want)
		}
	}
	if e := sub.Recv(); e.CaughtUp == nil {
		t.Fatalf("got %+v, want caught up", e)
	}
	if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(1)}, event("C", `{}`)); err != nil {
		t.Fatal(err)
	}
	if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.EventType != "C" {
		t.Fatalf("got %+v, want C", e)
	}
}
