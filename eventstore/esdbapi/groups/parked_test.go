package groups_test

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

const parkedStream = "$persistentsubscription-a::g-parked"

func (w *world) replay(stopAt ...uint64) {
	w.t.Helper()
	var stop *uint64
	if len(stopAt) > 0 {
		stop = &stopAt[0]
	}
	if err := w.ReplayParked(w.t.Context(), on("a"), stop); err != nil {
		w.t.Fatal(err)
	}
	w.wait()
}

// park parks the first n events of a.
func (w *world) park(n int) *consumer {
	w.t.Helper()
	w.add("a", n)
	w.create("a", nil)
	c := w.consumer("a", 10)
	for i := range n {
		c.Nack(groups.Park, "no good", c.takes(names("a", i, i+1)...)...)
	}
	w.wait()
	return c
}

func TestAParkedMessageIsALinkWithItsReason(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 1)
		w.create("a", nil)
		c := w.consumer("a", 10)
		c.Nack(groups.Park, strings.Repeat("\xffbecause ", 1000), c.takes("a/0")...)
		w.wait()
		parked := w.disk.of(parkedStream)
		if len(parked) != 1 || parked[0].Type != "$>" || string(parked[0].Data) != "0@a" {
			t.Fatalf("parked %+v", parked)
		}
		var meta struct {
			Added  time.Time
			Reason string
			Number uint64 `json:"subscriptionEventNumber"`
		}
		if err := json.Unmarshal(parked[0].Metadata, &meta); err != nil {
			t.Fatal(err)
		}
		if !meta.Added.Equal(time.Now()) || !strings.Contains(meta.Reason, "because") || len(meta.Reason) > 4000 || meta.Number != 0 {
			t.Errorf("metadata %+v", meta)
		}
	})
}

func TestParkedMessagesAreReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.park(3)
		c.hasNothing()
		w.replay()
		w.replay() // the same ones
		if i := w.info("a"); i.Parked != 0 || !i.Replaying || i.Awaiting != 3 {
			t.Errorf("%d parked, replaying %v, %d awaiting", i.Parked, i.Replaying, i.Awaiting)
		}
		got, d := c.next()
		if got != parkedStream+"/0" || d.Event == nil || d.Event.Stream != "a" || d.Event.Revision != 0 || d.Retry != 0 {
			t.Fatalf("replayed %q: %+v", got, d)
		}
		c.Ack(d.Original().ID)
		c.acks(names(parkedStream, 1, 3)...)
		c.hasNothing()
		w.pass(10 * time.Second)
		meta := w.disk.of("$$" + parkedStream)
		if len(meta) != 1 || meta[0].Type != "$metadata" || string(meta[0].Data) != `{"$tb":3}` {
			t.Errorf("metadata of the parked stream: %+v", meta)
		}
		if i := w.info("a"); i.Replaying || i.Awaiting != 0 {
			t.Errorf("replaying %v, %d awaiting", i.Replaying, i.Awaiting)
		}
	})
}

func TestAReplayStopsWhereItWasTold(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.park(5)
		w.replay(2)
		c.acks(names(parkedStream, 0, 2)...)
		c.hasNothing()
		w.replay(1) // has been
		c.hasNothing()
		w.replay(100)
		c.acks(names(parkedStream, 2, 5)...)
		c.hasNothing()
	})
}

func TestWhatIsParkedAgainIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.park(2)
		w.replay()
		c.Nack(groups.Park, "still", c.takes(parkedStream+"/0")...)
		c.acks(parkedStream + "/1")
		c.hasNothing()
		w.pass(10 * time.Second)
		if parked := w.disk.of(parkedStream); len(parked) != 3 || string(parked[2].Data) != "0@a" {
			t.Fatalf("parked: %+v", parked)
		}
		w.restart()
		if i := w.info("a"); i.Parked != 1 {
			t.Errorf("%d parked, want 1", i.Parked)
		}
		w.replay()
		w.consumer("a", 10).acks(parkedStream + "/2")
	})
}

// A process that ends in the middle of a replay leaves parked what was not settled.
func TestACrashDuringAReplayLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.park(4)
		w.replay()
		ids := c.takes(names(parkedStream, 0, 4)...)
		c.Ack(ids[0], ids[2])
		w.pass(10 * time.Second)
		w.crash()
		w.start()
		if i := w.info("a"); i.Parked != 3 {
			t.Errorf("%d parked, want 3: all after the first that is open", i.Parked)
		}
		w.replay()
		w.consumer("a", 10).acks(names(parkedStream, 1, 4)...)
	})
}

func TestAReplayIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 300)
		w.create("a", func(d *groups.Definition) { d.Settings.ReadBatchSize = 7 })
		c := w.consumer("a", 300)
		c.Nack(groups.Park, "", c.takes(names("a", 0, 300)...)...)
		w.wait()
		c.Close()
		w.replay()
		if i := w.info("a"); i.Retrying != 7 || i.Parked != 293 {
			t.Fatalf("%d queued, %d parked; want 7 and 293", i.Retrying, i.Parked)
		}
		w.consumer("a", 10).acks(names(parkedStream, 0, 300)...)
	})
}

func TestAReplayIncludesWhatIsBeingParked(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 2)
		w.create("a", nil)
		c := w.consumer("a", 10)
		w.store.set(away)
		c.Nack(groups.Park, "", c.takes("a/0")...)
		w.wait()
		w.replay()
		c.Nack(groups.Park, "", c.takes("a/1")...) // after the replay was asked for
		w.store.set(well)
		w.pass(10 * time.Second)
		c.acks(parkedStream + "/0")
		c.hasNothing()
	})
}

// Messages that somebody holds for ever may fill the memory of a group. Parked ones then come one by one.
func TestAReplayGoesOnInAFullGroup(t *testing.T) {
	t.Parallel()
	inWorld(t, groups.Config{GroupBytes: 10 << 10}, func(t *testing.T, w *world) {
		w.add("a", 3)
		w.create("a", nil)
		c := w.consumer("a", 10)
		c.Nack(groups.Park, "", c.takes(names("a", 0, 3)...)...)
		w.addEvent("a", eventstore.Event{Type: "big", Data: make([]byte, 20<<10)})
		w.wait()
		c.takes("a/3")
		w.replay()
		if i := w.info("a"); i.InFlight+i.Retrying > 4 {
			t.Errorf("%d in flight, %d queued", i.InFlight, i.Retrying)
		}
		c.acks(names(parkedStream, 0, 3)...)
	})
}

func TestEventsParkedByAnEarlierGroupAreNotReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.park(2)
		w.replay(1)
		c.acks(parkedStream + "/0")
		w.pass(10 * time.Second)
		if err := w.Delete(t.Context(), on("a")); err != nil {
			t.Fatal(err)
		}
		w.create("a", nil)
		if i := w.info("a"); i.Parked != 0 {
			t.Errorf("%d parked, want 0", i.Parked)
		}
		w.replay()
		c = w.consumer("a", 10)
		c.acks("a/0", "a/1")
		c.hasNothing()
	})
}

// follows makes links in stream l and says what a group that follows links delivers.
func TestLinksAreFollowed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 2)
		links := []string{"1@a", "0@a", "2@a", "0@none", "x", "-1@a", "18446744073709551615@a", "0@", "0@\x00"}
		for _, l := range links {
			w.addEvent("l", eventstore.Event{Type: "$>", Data: []byte(l)})
		}
		w.add("l", 1)
		w.create("l", func(d *groups.Definition) { d.Settings.ResolveLinks = true })
		c := w.consumer("l", 20)
		var got []string
		for name, d := c.next(); name != ""; name, d = c.next() {
			text := name
			if d.Event != nil && d.Link != nil {
				text += "=" + show(groups.Delivery{Event: d.Event})
			}
			if d.Event == nil {
				text += "=?"
			}
			got = append(got, text)
			c.Ack(d.Original().ID)
		}
		want := []string{"l/0=a/1", "l/1=a/0", "l/2=?", "l/3=?", "l/4=?", "l/5=?", "l/6=?", "l/7=?", "l/8=?", "l/9"}
		if !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
		if i := w.info("l"); i.Awaiting != 0 {
			t.Errorf("%d awaiting after all were acknowledged by the ids of the links", i.Awaiting)
		}
	})
}

// hiding shows the events of a stream from a revision on.
type hiding struct {
	*conn
	before map[string]uint64
}

func (h hiding) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	if dir == eventstore.Backward {
		return h.conn.ReadStream(ctx, stream, from, dir)
	}
	return h.conn.ReadStream(ctx, stream, max(from, h.before[stream]), dir)
}

func TestWhatTheSourceHidesIsNotDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		w.config.Source = hiding{connect(w.disk), map[string]uint64{"a": 2, parkedStream: 1000}}
		w.start()
		w.add("a", 4)
		w.addEvent("l", eventstore.Event{Type: "$>", Data: []byte("1@a")})
		w.create("a", nil)
		c := w.consumer("a", 10)
		c.acks("a/2")
		c.Nack(groups.Park, "", c.takes("a/3")...)
		w.wait()
		w.replay() // what groups write is never hidden from them
		c.acks(parkedStream + "/0")
		c.hasNothing()
		w.create("l", func(d *groups.Definition) { d.Settings.ResolveLinks = true })
		if got, d := w.consumer("l", 1).next(); got != "l/0" || d.Event != nil {
			t.Errorf("delivered %q with event %v", got, d.Event)
		}
	})
}

func TestWhatIsShownAgainIsDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		source := hiding{connect(w.disk), map[string]uint64{"a": 1000}}
		w.stop()
		w.config.Source = source
		w.start()
		w.add("a", 4)
		w.create("a", nil)
		c := w.consumer("a", 10)
		c.hasNothing()
		source.before["a"] = 3
		w.add("$$a", 1)
		c.acks("a/3")
	})
}

func TestLinksAreEventsLikeAnyUnlessFollowed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 1)
		w.addEvent("l", eventstore.Event{Type: "$>", Data: []byte("0@a")})
		w.create("l", nil)
		if got, d := w.consumer("l", 1).next(); got != "l/0" || d.Link != nil {
			t.Errorf("delivered %q, link %v", got, d.Link)
		}
	})
}
