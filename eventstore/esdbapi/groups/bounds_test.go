package groups_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

func TestAGroupReadsNoFurtherAheadThanItsBuffer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 500)
		w.create("a", func(d *groups.Definition) {
			d.Settings.HistoryBufferSize, d.Settings.LiveBufferSize, d.Settings.ReadBatchSize = 50, 20, 10
		})
		if i := w.info("a"); i.Buffered != 50 || i.Live {
			t.Errorf("%d buffered, live %v; want 50, not live", i.Buffered, i.Live)
		}
		c := w.consumer("a", 500)
		c.Ack(c.takes(names("a", 0, 500)...)...)
		w.wait()
		if i := w.info("a"); i.Buffered != 0 || !i.Live || i.Known != 500 {
			t.Errorf("%d buffered, live %v, known %d; want 0, live, 500", i.Buffered, i.Live, i.Known)
		}
		c.Close()
		w.add("a", 20)
		if i := w.info("a"); i.Buffered != 20 || !i.Live {
			t.Errorf("%d buffered, live %v; want 20, live", i.Buffered, i.Live)
		}
		w.add("a", 480) // no longer live: history again
		if i := w.info("a"); i.Buffered > 50 || i.Live {
			t.Errorf("%d buffered, live %v; want at most 50, not live", i.Buffered, i.Live)
		}
		c = w.consumer("a", 1)
		c.acks(names("a", 500, 1000)...)
		if w.store.reads > 3000 {
			t.Errorf("%d events were read to deliver 1000", w.store.reads)
		}
	})
}

func TestAGroupHoldsOnlySoManyBytes(t *testing.T) {
	t.Parallel()
	inWorld(t, groups.Config{GroupBytes: 100 << 10}, func(t *testing.T, w *world) {
		big := bytes.Repeat([]byte{'x'}, 20<<10)
		for range 30 {
			w.addEvent("a", eventstore.Event{Type: "big", Data: big})
		}
		w.addEvent("a", eventstore.Event{Type: "larger than all", Data: bytes.Repeat(big, 10)})
		w.addEvent("a", eventstore.Event{Type: "big", Data: big})
		w.create("a", nil)
		c := w.consumer("a", 1000)
		if i := w.info("a"); i.Awaiting > 6 {
			t.Errorf("%d events of 20 KiB are held, want 100 KiB", i.Awaiting)
		}
		c.acks(names("a", 0, 20)...)
		ids := c.takes("a/20")
		c.Nack(groups.Park, "", ids...)
		c.acks(names("a", 21, 32)...)
		w.replay() // as do parked messages
		c.acks(parkedStream + "/0")
		c.hasNothing()
	})
}

// A consumer that acknowledges nothing for ever costs what is bounded, and the others nothing.
func TestOneEventHeldForEverCostsNoMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", func(d *groups.Definition) { d.Settings.MessageTimeout = 0 })
		holds, works := w.consumer("a", 1), w.consumer("a", 100)
		w.add("a", 1)
		holds.takes("a/0")
		for i := range 50 {
			w.add("a", 100)
			works.Ack(works.takes(names("a", 1+100*i, 101+100*i)...)...)
			if i := w.info("a"); i.Awaiting != 1 || i.Checkpoint != 0 {
				t.Fatalf("%d awaiting, checkpoint %d", i.Awaiting, i.Checkpoint)
			}
		}
	})
}

func TestInfoSaysWhatAGroupDoes(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 10)
		w.create("a", nil)
		c, err := w.Connect(t.Context(), on("a"), groups.ConsumerInfo{Buffer: 4, From: "1.2.3.4:5", Username: "ada", Name: "reader"})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := c.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(10 * time.Second)
		i := w.info("a")
		if i.Buffered != 6 || i.InFlight != 4 || i.Awaiting != 10 || i.Retrying != 0 || !i.Ready || !i.Live || i.Known != 10 {
			t.Errorf("info %+v", i)
		}
		want := groups.Rate{Total: 2, SinceLast: 2, PerSecond: 0.2}
		if i.Rate != want || len(i.Connections) != 1 || i.Connections[0].Rate != want {
			t.Errorf("rates %+v, %+v; want %+v", i.Rate, i.Connections, want)
		}
		if got := i.Connections[0]; got.Username != "ada" || got.From != "1.2.3.4:5" || got.Name != "reader" || got.Slots != 0 || got.InFlight != 4 {
			t.Errorf("connection %+v", got)
		}
		w.pass(10 * time.Second)
		if i := w.info("a"); i.Rate != (groups.Rate{Total: 2}) {
			t.Errorf("later rate %+v", i.Rate)
		}
		if all, err := w.List(t.Context()); err != nil || len(all) != 1 || all[0].Key != on("a") {
			t.Errorf("list %+v, %v", all, err)
		}
	})
}
