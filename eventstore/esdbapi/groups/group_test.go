package groups_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

func TestAGroupDeliversHistoryThenLiveEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 3)
		w.create("a", nil)
		c := w.consumer("a", 10)
		c.acks(names("a", 0, 3)...)
		w.add("b", 1)
		w.add("a", 2)
		c.acks(names("a", 3, 5)...)
		c.hasNothing()
	})
}

func TestAGroupStartsWhereItWasTold(t *testing.T) {
	tests := map[string]struct {
		stream string
		start  groups.Start
		want   []string
	}{
		"stream start":        {"a", groups.Start{From: groups.FromStart}, []string{"a/0", "a/1", "a/2", "a/3"}},
		"stream revision":     {"a", groups.Start{From: groups.FromPlace, At: 1}, []string{"a/1", "a/2", "a/3"}},
		"stream revision 0":   {"a", groups.Start{From: groups.FromPlace}, []string{"a/0", "a/1", "a/2", "a/3"}},
		"stream end":          {"a", groups.Start{From: groups.FromEnd}, []string{"a/3"}},
		"revision to come":    {"a", groups.Start{From: groups.FromPlace, At: 3}, []string{"a/3"}},
		"all start":           {"$all", groups.Start{From: groups.FromStart}, []string{"a/0", "b/0", "a/1", "a/2"}},
		"all position":        {"$all", groups.Start{From: groups.FromPlace, At: 3}, []string{"a/1", "a/2"}},
		"all position 0":      {"$all", groups.Start{From: groups.FromPlace}, []string{"a/0", "b/0", "a/1", "a/2"}},
		"all end":             {"$all", groups.Start{From: groups.FromEnd}, []string{"$persistentSubscriptionConfig/0", "a/3"}},
		"stream to be":        {"c", groups.Start{From: groups.FromEnd}, []string{"c/0"}},
		"stream not there":    {"c", groups.Start{From: groups.FromStart}, []string{"c/0"}},
		"all, position 4":     {"$all", groups.Start{From: groups.FromPlace, At: 4}, []string{"a/2"}},
		"stream of one's own": {"b", groups.Start{From: groups.FromStart}, []string{"b/0"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.add("a", 1)
				w.add("b", 1)
				w.add("a", 2)
				w.create(tt.stream, func(d *groups.Definition) { d.Start = tt.start })
				w.restart() // an end that was found at creation stays where it is
				w.add("a", 1)
				w.add("c", 1)
				w.consumer(tt.stream, 10).acks(tt.want...)
			})
		})
	}
}

func TestConsumersShareTheEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", nil)
		first, second, third := w.consumer("a", 2), w.consumer("a", 2), w.consumer("a", 2)
		w.add("a", 9)
		first.takes("a/0", "a/3")
		first.hasNothing() // its two are not answered
		second.takes("a/1", "a/4")
		ids := third.takes("a/2", "a/5")
		third.Ack(ids...)
		third.acks("a/6", "a/7", "a/8")
		third.hasNothing()
	})
}

func TestDispatchToSingleUsesTheFirstWithRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", func(d *groups.Definition) { d.Settings.Strategy = groups.DispatchToSingle })
		first, second := w.consumer("a", 2), w.consumer("a", 2)
		w.add("a", 3)
		ids := first.takes("a/0", "a/1")
		second.takes("a/2")
		first.Ack(ids...)
		w.add("a", 1)
		first.takes("a/3")
		second.hasNothing()
	})
}

func TestPinnedGivesAStreamToOneConsumer(t *testing.T) {
	for _, strategy := range []groups.Strategy{groups.Pinned, groups.PinnedByCorrelation} {
		t.Run(string(strategy), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.create("$all", func(d *groups.Definition) { d.Settings.Strategy, d.Filter = strategy, []byte("user") })
				consumers := []*consumer{w.consumer("$all", 100), w.consumer("$all", 100), w.consumer("$all", 100)}
				for i := range 60 {
					w.addEvent("user-"+string(rune('a'+i%30)), eventstore.Event{Type: "t", Metadata: []byte(`{"$correlationId":"` + fmt.Sprint(i%29) + `"}`)})
				}
				owner := map[string]int{}
				busy := map[int]bool{}
				for i, c := range consumers {
					for name, d := c.next(); name != ""; name, d = c.next() {
						key := d.Event.Stream
						if strategy == groups.PinnedByCorrelation {
							key = string(d.Event.Metadata)
						}
						if was, known := owner[key]; known && was != i {
							t.Fatalf("%s went to consumers %d and %d", key, was, i)
						}
						owner[key], busy[i] = i, true
						c.Ack(d.Original().ID)
					}
				}
				if len(busy) < 2 {
					t.Errorf("%d of 3 consumers had work", len(busy))
				}
			})
		})
	}
}

func TestAnAnswerForWhatIsNotHeldIsIgnored(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 3)
		w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount = 1 })
		c, other := w.consumer("a", 3), w.consumer("a", 1)
		events := w.disk.of("a")
		c.Ack(events[0].ID) // given, but not taken yet
		other.Ack(events[0].ID, eventstore.EventID{1})
		ids := c.takes("a/0")
		c.Ack(ids...)
		c.Ack(ids...)
		c.Nack(groups.Park, "", ids...)
		c.Nack(groups.Retry, "", ids...)
		w.pass(3 * time.Second)
		if got := w.checkpoints("a"); len(got) != 1 || got[0] != "0" {
			t.Fatalf("checkpoints %v, want one at 0", got)
		}
		if i := w.info("a"); i.Parked != 0 || i.Awaiting != 2 {
			t.Fatalf("%d parked, %d awaiting; want 0 and 2", i.Parked, i.Awaiting)
		}
	})
}

func TestAMessageIsDeliveredAgainWhenItsTimeIsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 2)
		w.create("a", func(d *groups.Definition) { d.Settings.MessageTimeout, d.Settings.MaxRetryCount = 10*time.Second, 2 })
		c := w.consumer("a", 10)
		late := c.takes("a/0")
		c.acks("a/1")
		w.pass(9 * time.Second)
		c.hasNothing()
		w.pass(2 * time.Second)
		c.Ack(late...) // too late: it waits in the mailbox again
		c.takes("a/0+1")
		w.pass(11 * time.Second)
		c.takes("a/0+2")
		w.pass(11 * time.Second)
		c.hasNothing()
		if i := w.info("a"); i.Parked != 1 {
			t.Fatalf("%d parked, want 1", i.Parked)
		}
	})
}

func TestWithoutATimeoutAMessageIsNeverTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 1)
		w.create("a", func(d *groups.Definition) { d.Settings.MessageTimeout = 0 })
		c := w.consumer("a", 10)
		ids := c.takes("a/0")
		w.pass(1000 * time.Hour)
		c.hasNothing()
		c.Ack(ids...)
		if i := w.info("a"); i.Awaiting != 0 {
			t.Fatalf("%d awaiting after the acknowledgement", i.Awaiting)
		}
	})
}

func TestAConsumerThatLeavesGivesBackWhatItHad(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 4)
		w.create("a", nil)
		leaves := w.consumer("a", 3)
		ids := leaves.takes("a/0", "a/1") // and a/2 in the mailbox, never looked at
		stays := w.consumer("a", 10)
		stays.takes("a/3")
		leaves.Close()
		leaves.Close()
		leaves.Ack(ids...)
		stays.takes("a/0+1", "a/1+1", "a/2")
		if _, err := leaves.Next(t.Context()); !errors.Is(err, groups.ErrClosed) {
			t.Fatalf("Next of a closed consumer answers %v", err)
		}
	})
}

func TestOneWhoNeverLooksHoldsUpNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", func(d *groups.Definition) { d.Settings.MaxRetryCount = 0 })
		stalled, busy := w.consumer("a", 5), w.consumer("a", 5)
		w.add("a", 20)
		for got, d := busy.next(); got != ""; got, d = busy.next() {
			busy.Ack(d.Original().ID)
		}
		if i := w.info("a"); i.Awaiting != 5 {
			t.Fatalf("%d awaiting, want the mailbox of the stalled consumer", i.Awaiting)
		}
		w.pass(31 * time.Second)
		busy.acks("a/0", "a/2", "a/4", "a/6", "a/8") // no retries: nobody has seen them
		w.add("a", 2)
		busy.acks("a/20", "a/21") // the stalled one gets nothing
		stalled.hasNothing()      // and now it looks
		w.add("a", 2)
		stalled.acks("a/22")
		if i := w.info("a"); i.Parked != 0 {
			t.Fatalf("%d parked, want none", i.Parked)
		}
	})
}

func TestOneWhoIsSilentLosesItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 1)
		w.create("a", func(d *groups.Definition) { d.Settings.Strategy = groups.DispatchToSingle })
		silent, other := w.consumer("a", 1), w.consumer("a", 1)
		silent.takes("a/0")
		w.pass(31 * time.Second) // it is the first, so it is given the event again
		other.hasNothing()
		w.pass(31 * time.Second) // and has not looked
		other.acks("a/0+1")
	})
}

func TestRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 5)
		w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount = 1 })
		c := w.consumer("a", 10)
		ids := c.takes(names("a", 0, 5)...)
		c.Nack(groups.Skip, "", ids[0])
		c.Nack(groups.Retry, "", ids[1])
		c.Nack(groups.Unknown, "", ids[2])
		c.Nack(groups.Stop, "", ids[3])
		c.Nack(groups.Park, "", ids[4])
		c.acks("a/1+1", "a/2+1", "a/3+1")
		c.hasNothing()
		w.pass(3 * time.Second)
		if i := w.info("a"); i.Parked != 1 || i.Awaiting != 0 || i.Checkpoint != 5 {
			t.Fatalf("%d parked, %d awaiting, checkpoint %d", i.Parked, i.Awaiting, i.Checkpoint)
		}
	})
}

func TestTheMaximumOfConsumers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", func(d *groups.Definition) { d.Settings.MaxSubscriberCount = 2 })
		first := w.consumer("a", 1)
		w.consumer("a", 1)
		if _, err := w.Connect(t.Context(), on("a"), groups.ConsumerInfo{}); !errors.Is(err, groups.ErrFull) {
			t.Fatalf("a third consumer: %v", err)
		}
		first.Close()
		w.consumer("a", 0)
	})
}
