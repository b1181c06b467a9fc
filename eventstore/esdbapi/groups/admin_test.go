package groups_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

func TestWhatIsNoGroupIsRefused(t *testing.T) {
	tests := map[string]func(*groups.Definition){
		"empty stream":        func(d *groups.Definition) { d.Key.Stream = "" },
		"stream $$":           func(d *groups.Definition) { d.Key.Stream = "$$" },
		"empty group":         func(d *groups.Definition) { d.Key.Group = "" },
		"control character":   func(d *groups.Definition) { d.Key.Group = "a\x00" },
		"not UTF-8":           func(d *groups.Definition) { d.Key.Stream = "\xff" },
		"group with ::":       func(d *groups.Definition) { d.Key.Group = "a::b" },
		"group that begins :": func(d *groups.Definition) { d.Key.Group = ":b" },
		"names too long together": func(d *groups.Definition) {
			d.Key.Stream = strings.Repeat("s", 240)
			d.Key.Group = strings.Repeat("g", 240)
		},
		"group name huge":      func(d *groups.Definition) { d.Key.Group = strings.Repeat("g", 1<<20) },
		"unknown strategy":     func(d *groups.Definition) { d.Settings.Strategy = "Random" },
		"no strategy":          func(d *groups.Definition) { d.Settings.Strategy = "" },
		"batch equals history": func(d *groups.Definition) { d.Settings.ReadBatchSize = d.Settings.HistoryBufferSize },
		"batch 0":              func(d *groups.Definition) { d.Settings.ReadBatchSize = 0 },
		"live buffer 0":        func(d *groups.Definition) { d.Settings.LiveBufferSize = 0 },
		"history huge":         func(d *groups.Definition) { d.Settings.HistoryBufferSize = math.MaxInt32 + 1 },
		"negative retries":     func(d *groups.Definition) { d.Settings.MaxRetryCount = -1 },
		"negative minimum":     func(d *groups.Definition) { d.Settings.MinCheckpointCount = -1 },
		"maximum 0":            func(d *groups.Definition) { d.Settings.MaxCheckpointCount = 0 },
		"negative subscribers": func(d *groups.Definition) { d.Settings.MaxSubscriberCount = -1 },
		"negative timeout":     func(d *groups.Definition) { d.Settings.MessageTimeout = -1 },
		"negative pause":       func(d *groups.Definition) { d.Settings.CheckpointAfter = -1 },
		"no start":             func(d *groups.Definition) { d.Start = groups.Start{} },
		"start past int64":     func(d *groups.Definition) { d.Start = groups.Start{From: groups.FromPlace, At: 1 << 63} },
		"position past the end": func(d *groups.Definition) {
			d.Key.Stream = "$all"
			d.Start = groups.Start{From: groups.FromPlace, At: 1}
		},
	}
	inBubble(t, func(t *testing.T, w *world) {
		for name, change := range tests {
			if err := w.Create(t.Context(), definition("a", change)); !errors.Is(err, groups.ErrInvalid) {
				t.Errorf("%s: create answers %v", name, err)
			}
			if err := w.Update(t.Context(), definition("a", change)); !errors.Is(err, groups.ErrInvalid) && !errors.Is(err, groups.ErrNotFound) {
				t.Errorf("%s: update answers %v", name, err)
			}
		}
		if err := w.Create(t.Context(), definition("a", func(d *groups.Definition) { d.Filter = []byte("bad") })); err == nil {
			t.Error("a filter that cannot be read: no error")
		}
		if n := len(w.disk.of("$all")); n != 0 {
			t.Errorf("%d events were written for groups that are none", n)
		}
	})
}

// Names that read the same when joined must not share a state.
func TestOddNamesAreNames(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		keys := []groups.Key{
			{"a", "b"}, {"a::b", "c"}, {"a:", "c"}, {"Äö/ü %2F", "grüße ✓"}, {"$ce-x", "g"}, {"a", "b-checkpoint"}, {"a", "b-parked"},
			{"$all", "b"}, {"$persistentsubscription-a::b-parked", "g"}, {strings.Repeat("s", 200), strings.Repeat("g", 200)},
		}
		for _, k := range keys {
			if err := w.Create(t.Context(), definition("", func(d *groups.Definition) { d.Key = k })); err != nil {
				t.Errorf("%s: %v", k, err)
			}
		}
		w.restart()
		if all, err := w.List(t.Context()); err != nil || len(all) != len(keys) {
			t.Errorf("%d groups, want %d, %v", len(all), len(keys), err)
		}
	})
}

func TestGroupsThatAreThereOrNot(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.create("a", nil)
		if err := w.Create(ctx, definition("a", nil)); !errors.Is(err, groups.ErrExists) {
			t.Errorf("create again: %v", err)
		}
		for what, call := range map[string]func() error{
			"update":  func() error { return w.Update(ctx, definition("b", nil)) },
			"delete":  func() error { return w.Delete(ctx, on("b")) },
			"connect": func() error { _, err := w.Connect(ctx, on("b"), groups.ConsumerInfo{}); return err },
			"replay":  func() error { return w.ReplayParked(ctx, on("b"), nil) },
			"info":    func() error { _, err := w.Info(ctx, on("b")); return err },
		} {
			if err := call(); !errors.Is(err, groups.ErrNotFound) {
				t.Errorf("%s of a group that is not there: %v", what, err)
			}
		}
		if err := w.Delete(ctx, on("a")); err != nil {
			t.Error(err)
		}
		w.create("a", nil)
	})
}

func TestTheConfigurationIsBounded(t *testing.T) {
	t.Parallel()
	inWorld(t, groups.Config{MaxGroups: 1000}, func(t *testing.T, w *world) {
		filter := func(n int) func(*groups.Definition) {
			return func(d *groups.Definition) { d.Filter = make([]byte, n) }
		}
		if err := w.Create(t.Context(), definition("a", filter(4097))); !errors.Is(err, groups.ErrInvalid) {
			t.Errorf("a long filter: %v", err)
		}
		w.create("s", filter(4096))
		own := string(w.disk.of("$persistentSubscriptionConfig")[0].Data)
		group := own[strings.Index(own, "[")+1 : len(own)-2]
		all := []string{group}
		for i := 0; len(all)*len(group) < eventstore.MaxAppendBytes-2*len(group); i++ {
			all = append(all, strings.Replace(group, `"s"`, fmt.Sprintf(`"s%d"`, i), 1))
		}
		w.addEvent("$persistentSubscriptionConfig",
			eventstore.Event{Type: "$PersistentConfig", Data: []byte(strings.Replace(own, group, strings.Join(all, ","), 1))})
		w.restart()
		var err error
		for i := 0; err == nil && i < 5; i++ {
			err = w.Create(t.Context(), definition(fmt.Sprint("more", i), filter(4096)))
		}
		if !errors.Is(err, groups.ErrInvalid) || !errors.Is(err, eventstore.ErrTooLarge) {
			t.Errorf("a group too many: %v", err)
		}
	})
}

func TestThereAreOnlySoManyGroups(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, w *world) {
		for i := range 3 {
			err := w.Create(t.Context(), definition(fmt.Sprint("s", i), nil))
			if want := i == 2; errors.Is(err, groups.ErrInvalid) != want {
				t.Errorf("group %d of 2: %v", i+1, err)
			}
		}
	}
	inWorld(t, groups.Config{MaxGroups: 2}, test)
}

func TestAnUpdateDropsTheConsumersAndGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 6)
		w.create("a", func(d *groups.Definition) { d.Filter = []byte("a") })
		c := w.consumer("a", 10)
		ids := c.takes("a/0", "a/1", "a/2")
		c.Ack(ids[0], ids[1])
		waiting := make(chan error, 1)
		other := w.consumer("a", 1)
		go func() {
			_, err := other.Next(context.Background())
			for err == nil {
				_, err = other.Next(context.Background())
			}
			waiting <- err
		}()
		w.wait()
		if err := w.Update(t.Context(), definition("a", func(d *groups.Definition) {
			d.Start, d.Settings.MaxRetryCount, d.Settings.MaxSubscriberCount = groups.Start{From: groups.FromEnd}, 77, 1
		})); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; !errors.Is(err, groups.ErrDropped) {
			t.Errorf("a waiting consumer is told %v", err)
		}
		if got, _ := c.next(); got != groups.ErrDropped.Error() {
			t.Errorf("a consumer is told %q", got)
		}
		c.Ack(ids[2])
		c.Close()
		w.restart()
		c = w.consumer("a", 10)
		c.acks(names("a", 2, 6)...)
		if i := w.info("a"); i.Settings.MaxRetryCount != 77 || string(i.Filter) != "a" || i.Start.From != groups.FromEnd {
			t.Errorf("the group is %+v", i.Definition)
		}
	})
}

func TestConnectingDuringAnUpdateWaitsForIt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 3)
		w.create("a", nil)
		for i := range 20 {
			updated := make(chan error, 1)
			go func() {
				updated <- w.Update(t.Context(), definition("a", func(d *groups.Definition) { d.Settings.MaxRetryCount = i }))
			}()
			for connected := false; !connected; {
				if c, err := w.Connect(t.Context(), on("a"), groups.ConsumerInfo{}); err != nil {
					t.Fatal(err)
				} else {
					c.Close()
				}
				select {
				case err := <-updated:
					connected = true
					if err != nil {
						t.Fatal(err)
					}
				default:
				}
			}
		}
	})
}

func TestADeletedGroupDropsItsConsumers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 3)
		w.create("a", nil)
		c := w.consumer("a", 10)
		c.acks("a/0")
		if err := w.Delete(t.Context(), on("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next(t.Context()); !errors.Is(err, groups.ErrDeleted) {
			t.Errorf("its consumer is told %v", err)
		}
		w.restart()
		if all, err := w.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("after the restart: %v, %v", all, err)
		}
	})
}

func TestWhenTheManagerStopsEverybodyIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", nil)
		c := w.consumer("a", 1)
		w.stop()
		if _, err := c.Next(t.Context()); !errors.Is(err, groups.ErrStopped) {
			t.Errorf("its consumer is told %v", err)
		}
		for what, err := range map[string]error{
			"create": w.Create(t.Context(), definition("b", nil)),
			"delete": w.Delete(t.Context(), on("a")),
			"run":    w.Run(t.Context()),
		} {
			if err == nil || what != "run" && !errors.Is(err, groups.ErrStopped) {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.start()
	})
}

func TestACallWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	m, err := groups.New(groups.Config{Store: connect(newDisk()), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("list of a manager that does not run: %v", err)
	}
	if _, err := groups.New(groups.Config{}); err == nil {
		t.Error("a manager without a store")
	}
}

// What is stored although nobody was told is found out, and a configuration that somebody else
// changed is read again.
func TestAChangeOfUnknownOutcomeIsReadBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		stored := 0
		for i := range 20 {
			stream := fmt.Sprint("s", i)
			w.store.set(vague)
			if err := w.Create(t.Context(), definition(stream, nil)); !errors.Is(err, eventstore.ErrOutcomeUnknown) {
				t.Fatalf("create answers %v", err)
			}
			w.store.set(well)
			w.pass(10 * time.Second)
			configs := w.disk.of("$persistentSubscriptionConfig")
			_, err := w.Info(t.Context(), on(stream))
			if is := len(configs) > stored; is != (err == nil) {
				t.Errorf("%s stored: %v; info answers %v", stream, is, err)
			}
			stored = len(configs)
		}
		if stored == 0 || stored == 20 {
			t.Errorf("%d of 20 were stored, the test is blind", stored)
		}
	})
}

func TestAConfigurationChangedElsewhereIsReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create("a", nil)
		own := string(w.disk.of("$persistentSubscriptionConfig")[0].Data)
		group := own[strings.Index(own, "[")+1 : len(own)-2]
		for _, junk := range []string{
			"", "{", "{}", `{"version":1,"entries":[{}]}`, `{"version":99,"entries":[]}`,
			strings.Replace(own, `"read_batch_size":20`, `"read_batch_size":-20`, 1),
		} {
			if junk == own {
				t.Fatal("the configuration has another form, the test is blind")
			}
			w.addEvent("$persistentSubscriptionConfig", eventstore.Event{Type: "$PersistentConfig", Data: []byte(junk)})
			w.restart()
			all, err := w.List(t.Context())
			if err != nil || len(all) != 1 || all[0].Key != on("a") || all[0].Settings != groups.DefaultSettings() {
				t.Errorf("after %q there are %+v, %v", junk, all, err)
			}
			w.addEvent("$persistentSubscriptionConfig", eventstore.Event{Type: "junk", Data: []byte(own)})
			w.create("b", nil)
			if err := w.Delete(t.Context(), on("b")); err != nil {
				t.Fatal(err)
			}
		}
		twice := strings.Replace(own, group, group+","+group, 1)
		w.addEvent("$persistentSubscriptionConfig", eventstore.Event{Type: "$PersistentConfig", Data: []byte(twice)})
		w.restart()
		if err := w.Delete(t.Context(), on("a")); err != nil {
			t.Fatal(err)
		}
		if all, err := w.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("after deletion there are %+v, %v", all, err)
		}
	})
}

func TestWithoutTheStoreGroupsAreUnavailable(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.add("a", 2)
		w.create("a", nil)
		w.stop()
		w.config.Trouble = func(_ groups.Key, err error) { w.told = append(w.told, err) }
		w.startWith(away)
		if _, err := w.List(t.Context()); !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("list: %v", err)
		}
		if len(w.told) == 0 || !errors.Is(w.told[0], eventstore.ErrUnavailable) {
			t.Errorf("trouble told: %v", w.told)
		}
		w.store.set(well)
		w.pass(10 * time.Second)
		w.consumer("a", 10).acks("a/0", "a/1")
		if err := w.Delete(t.Context(), on("a")); err != nil {
			t.Error(err)
		}
		w.store.set(away)
		if err := w.Create(t.Context(), definition("a", nil)); !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("create: %v", err)
		}
	})
}
