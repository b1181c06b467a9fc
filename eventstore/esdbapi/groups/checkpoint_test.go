package groups_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

func TestACheckpointNeverPassesAnOutstandingEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 6)
		w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount, d.Settings.MessageTimeout = 1, 0 })
		c := w.consumer("a", 10)
		ids := c.takes(names("a", 0, 6)...)
		c.Ack(ids[0], ids[1], ids[3], ids[5])
		w.pass(3 * time.Second)
		c.Nack(groups.Retry, "", ids[2])
		w.pass(3 * time.Second)
		if got := w.checkpoints("a"); !slices.Equal(got, []string{"1"}) {
			t.Fatalf("checkpoints %v, want [1]: 2 is outstanding", got)
		}
		c.acks("a/2+1")
		w.pass(3 * time.Second)
		c.Ack(ids[4])
		w.pass(3 * time.Second)
		if got := w.checkpoints("a"); !slices.Equal(got, []string{"1", "3", "5"}) {
			t.Fatalf("checkpoints %v, want [1 3 5]", got)
		}
	})
}

func TestAGroupGoesOnFromItsCheckpoint(t *testing.T) {
	for _, stream := range []string{"a", "$all"} {
		t.Run(stream, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.add("a", 6)
				w.create(stream, func(d *groups.Definition) { d.Filter = []byte("a"); d.Settings.MinCheckpointCount = 1 })
				c := w.consumer(stream, 10)
				ids := c.takes(names("a", 0, 6)...)
				c.Ack(ids[:2]...)
				w.pass(3 * time.Second) // written: all below 2
				c.Ack(ids[2:4]...)
				w.crash()
				w.start()
				c = w.consumer(stream, 10)
				ids = c.takes("a/2", "a/3", "a/4", "a/5") // two of them again
				c.Ack(ids[:3]...)
				w.restart() // in order: the checkpoint is written at the end
				w.consumer(stream, 10).acks("a/5")
			})
		})
	}
}

func TestCheckpointsAreFewAndWrittenOnlyWhenMoved(t *testing.T) {
	tests := map[string]struct {
		change func(*groups.Settings)
		want   int // in 20 seconds of 80 events each
	}{
		"every 2 s":                       {func(*groups.Settings) {}, 10},
		"every 5 s":                       {func(s *groups.Settings) { s.CheckpointAfter = 5 * time.Second }, 4},
		"at most ten a second":            {func(s *groups.Settings) { s.CheckpointAfter, s.MinCheckpointCount = 0, 0 }, 200},
		"not for the maximum either":      {func(s *groups.Settings) { s.MaxCheckpointCount = 1 }, 10},
		"never before the minimum":        {func(s *groups.Settings) { s.MinCheckpointCount, s.MaxCheckpointCount = 100_000, 100_000 }, 0},
		"the maximum is less, it decides": {func(s *groups.Settings) { s.MinCheckpointCount, s.MaxCheckpointCount = 100_000, 500 }, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.create("a", func(d *groups.Definition) { tt.change(&d.Settings) })
				c := w.consumer("a", 1000)
				for i := range 400 {
					w.add("a", 4)
					c.Ack(c.takes(names("a", 4*i, 4*i+4)...)...)
					w.pass(50 * time.Millisecond)
				}
				if got := len(w.checkpoints("a")); got > tt.want || got < tt.want*9/10 {
					t.Errorf("%d checkpoints, want %d", got, tt.want)
				}
				w.pass(time.Hour)
				was := len(w.disk.of("$all"))
				w.pass(100 * time.Hour)
				if now := len(w.disk.of("$all")); now != was {
					t.Errorf("an idle group wrote %d events", now-was)
				}
			})
		})
	}
}

// Groups on $all that counted what groups write would write because they have written.
func TestGroupsDoNotWakeEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for i := range 3 {
			w.create("$all", func(d *groups.Definition) {
				d.Key.Group = fmt.Sprint("g", i)
				d.Settings.MinCheckpointCount = 1
				d.Filter = []byte("nothing")
			})
		}
		w.add("a", 100)
		w.pass(time.Minute)
		was := len(w.disk.of("$all"))
		if was != 100+3+3 {
			t.Errorf("%d events, want 100, 3 configurations and 3 checkpoints", was)
		}
		w.pass(24 * time.Hour)
		if now := len(w.disk.of("$all")); now != was {
			t.Errorf("idle groups wrote %d events", now-was)
		}
	})
}

func TestAFilteredGroupDeliversWhatMatchesAndMovesOnWithTheRest(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("user-1", 1)
		w.add("other", 30)
		w.create("$all", func(d *groups.Definition) { d.Filter = []byte("user-") })
		c := w.consumer("$all", 10)
		c.acks("user-1/0")
		c.hasNothing()
		w.pass(time.Minute)
		w.restart()
		w.store.reads = 0
		w.add("user-2", 1)
		w.consumer("$all", 10).acks("user-2/0")
		if w.store.reads > 10 {
			t.Errorf("%d events were read again, of which nothing was of interest", w.store.reads)
		}
	})
}

func TestACheckpointOfAnEarlierGroupMeansNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 3)
		first := func(d *groups.Definition) { d.Settings.MinCheckpointCount = 1 }
		w.create("a", first)
		w.consumer("a", 10).acks(names("a", 0, 3)...)
		w.pass(3 * time.Second)
		old := w.disk.of("$persistentsubscription-a::g-checkpoint")
		if len(old) != 1 {
			t.Fatalf("%d checkpoints, want 1", len(old))
		}
		if err := w.Delete(t.Context(), on("a")); err != nil {
			t.Fatal(err)
		}
		w.create("a", first)
		w.consumer("a", 10).takes(names("a", 0, 3)...)
		late := old[0].Event // one that was under way all the time
		w.addEvent(old[0].Stream, late)
		w.crash()
		w.start()
		w.consumer("a", 10).takes(names("a", 0, 3)...)
	})
}

func TestTheCheckpointsOfEarlierGroupsAreNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount = 1 })
		c := w.consumer("a", 1)
		for i := range 100 {
			w.add("a", 1)
			c.acks(names("a", i, i+1)...)
			w.pass(3 * time.Second)
		}
		if err := w.Delete(t.Context(), on("a")); err != nil {
			t.Fatal(err)
		}
		w.create("a", func(d *groups.Definition) { d.Start.From = groups.FromEnd })
		w.restart()
		if w.store.reads > 10 {
			t.Errorf("%d events were read to find no checkpoint", w.store.reads)
		}
	})
}

// An event that comes after a group has read its stream, and before the log is followed, is noticed.
func TestNothingIsMissedBeforeTheLogIsFollowed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.store.set(blind)
		w.create("a", nil)
		c := w.consumer("a", 1)
		w.add("a", 1)
		c.hasNothing()
		w.store.set(well)
		w.pass(10 * time.Second)
		c.acks("a/0")
	})
}

func TestAGroupOnAllDoesNotSeeWhatGroupsWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount = 1 })
		c := w.consumer("a", 10)
		w.add("a", 2)
		c.acks("a/0")
		c.Nack(groups.Park, "", c.takes("a/1")...)
		w.pass(time.Minute)
		w.replay()
		c.acks(parkedStream + "/0")
		w.pass(time.Minute)
		if len(w.checkpoints("a")) == 0 || len(w.disk.of(parkedStream)) == 0 || len(w.disk.of("$$"+parkedStream)) == 0 {
			t.Fatal("nothing was written, the test is blind")
		}
		w.create("$all", nil)
		c = w.consumer("$all", 10)
		c.acks("$persistentSubscriptionConfig/0", "a/0", "a/1", "$persistentSubscriptionConfig/1")
		c.hasNothing()
	})
}

// Ids are unique in a store, but only the first of an append is checked against other streams.
func TestTwoEventsOfOneIDAreBothDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		twin := eventstore.Event{ID: eventstore.EventID{1}, Type: "twin"}
		for i, stream := range []string{"a", "b"} {
			first := eventstore.Event{ID: eventstore.EventID{2, byte(i)}, Type: "first"}
			if _, err := w.disk.append(eventstore.Append{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{first, twin}}); err != nil {
				t.Fatal(err)
			}
		}
		w.create("$all", nil)
		c := w.consumer("$all", 10)
		c.acks("a/0")
		id := c.takes("a/1")
		c.acks("b/0")
		c.hasNothing()
		c.Ack(id...)
		c.acks("b/1", "$persistentSubscriptionConfig/0")
	})
}

func TestWhatIsNoCheckpointIsPassedOver(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 4)
		w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount = 1 })
		w.consumer("a", 10).acks("a/0", "a/1")
		w.pass(3 * time.Second)
		own := w.disk.of("$persistentsubscription-a::g-checkpoint")[0]
		for _, data := range []string{"", "{", `"x"`, `"-1"`, `"99999999999999999999"`, "7", `"C:1/P:1"`} {
			w.addEvent(own.Stream, eventstore.Event{Type: own.Type, Data: []byte(data), Metadata: own.Metadata})
		}
		w.addEvent(own.Stream, eventstore.Event{Type: own.Type, Data: []byte(`"3"`), Metadata: []byte("{")})
		w.crash()
		w.start()
		w.consumer("a", 10).takes("a/2", "a/3")
	})
}

func TestAStoreThatIsAwayPausesAGroup(t *testing.T) {
	for _, h := range []health{away, vague} {
		t.Run(fmt.Sprint(h), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.add("a", 4)
				w.create("a", func(d *groups.Definition) { d.Settings.MinCheckpointCount, d.Settings.ReadBatchSize = 1, 1 })
				c := w.consumer("a", 10)
				ids := c.takes(names("a", 0, 4)...)
				w.store.set(h)
				c.Ack(ids[0])
				c.Nack(groups.Park, "", ids[1])
				c.Nack(groups.Retry, "", ids[2])
				w.add("a", 3)
				w.pass(time.Minute)
				if i := w.info("a"); !errors.Is(i.Trouble, eventstore.ErrUnavailable) && !errors.Is(i.Trouble, eventstore.ErrOutcomeUnknown) {
					t.Errorf("trouble is %v", i.Trouble)
				}
				if w.store.appends > 60 {
					t.Errorf("%d attempts to append in a minute", w.store.appends)
				}
				w.store.set(well)
				w.pass(10 * time.Second)
				c.takes("a/2+1", "a/3+1", "a/4", "a/5", "a/6")
				if i := w.info("a"); i.Parked != 1 || i.Checkpoint != 2 || i.Trouble != nil {
					t.Errorf("%d parked, checkpoint %d, trouble %v", i.Parked, i.Checkpoint, i.Trouble)
				}
				if parked := w.disk.of("$persistentsubscription-a::g-parked"); len(parked) != 1 {
					t.Errorf("parked %d times, want once", len(parked))
				}
			})
		})
	}
}
