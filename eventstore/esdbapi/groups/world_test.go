package groups_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// world is one store and the process that runs groups on it, in a bubble of synctest: time passes when
// everybody waits, and wait() is when nobody has anything to do any more.
type world struct {
	t     *testing.T
	disk  *disk
	store *conn
	*groups.Manager
	config  groups.Config // of the next process
	cancel  context.CancelFunc
	stopped chan error
	told    []error // what Trouble was told
}

func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	inWorld(t, groups.Config{}, test)
}

func inWorld(t *testing.T, config groups.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: newDisk(), config: config}
		w.start()
		defer func() { w.stop() }()
		test(t, w)
	})
}

// start begins a process. It returns when that has done what it does at first.
func (w *world) start() {
	w.t.Helper()
	w.startWith(well)
}

func (w *world) startWith(h health) {
	w.t.Helper()
	w.store = connect(w.disk)
	w.store.set(h)
	w.config.Store, w.config.Now, w.config.Match = w.store, time.Now, match
	m, err := groups.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.Manager, w.cancel, w.stopped = m, cancel, make(chan error, 1)
	go func(stopped chan error) { stopped <- m.Run(ctx) }(w.stopped)
	w.wait()
}

// stop ends a process in order.
func (w *world) stop() {
	w.t.Helper()
	if w.stopped == nil {
		return // a test that fails between two processes
	}
	w.cancel()
	err := <-w.stopped
	w.stopped = nil
	if err != nil {
		w.t.Fatal(err)
	}
}

// crash ends a process so that it writes no more.
func (w *world) crash() {
	w.t.Helper()
	w.store.set(gone)
	w.stop()
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *world) wait() { synctest.Wait() }

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// match is the filter of these tests: a prefix of the stream name.
func match(filter []byte) (func(*eventstore.Recorded) bool, error) {
	if string(filter) == "bad" {
		return nil, errors.New("bad filter")
	}
	return func(e *eventstore.Recorded) bool { return strings.HasPrefix(e.Stream, string(filter)) }, nil
}

// add appends n events to a stream.
func (w *world) add(stream string, n int) {
	w.t.Helper()
	for range n {
		w.addEvent(stream, eventstore.Event{Type: "happened", Data: []byte("{}")})
	}
	w.wait()
}

func (w *world) addEvent(stream string, e eventstore.Event) eventstore.EventID {
	w.t.Helper()
	rand.Read(e.ID[:])
	if _, err := w.disk.append(eventstore.Append{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{e}}); err != nil {
		w.t.Fatal(err)
	}
	return e.ID
}

// on is the key of group g on a stream.
func on(stream string) groups.Key { return groups.Key{Stream: stream, Group: "g"} }

// create makes group g on a stream, from its start, with settings changed.
func (w *world) create(stream string, change func(d *groups.Definition)) {
	w.t.Helper()
	if err := w.Create(w.t.Context(), definition(stream, change)); err != nil {
		w.t.Fatal(err)
	}
	w.wait()
}

func definition(stream string, change func(d *groups.Definition)) groups.Definition {
	d := groups.Definition{Key: on(stream), Start: groups.Start{From: groups.FromStart}, Settings: groups.DefaultSettings()}
	if change != nil {
		change(&d)
	}
	return d
}

// consumer connects to group g on a stream.
func (w *world) consumer(stream string, buffer int) *consumer {
	w.t.Helper()
	c, err := w.Connect(w.t.Context(), on(stream), groups.ConsumerInfo{Buffer: buffer})
	if err != nil {
		w.t.Fatal(err)
	}
	w.wait()
	return &consumer{w: w, Consumer: c}
}

func (w *world) info(stream string) groups.Info {
	w.t.Helper()
	i, err := w.Info(w.t.Context(), on(stream))
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// checkpoints are the checkpoints written for group g on a stream.
func (w *world) checkpoints(stream string) []string {
	w.t.Helper()
	var all []string
	for _, e := range w.disk.of("$persistentsubscription-" + stream + "::g-checkpoint") {
		var text string
		if err := json.Unmarshal(e.Data, &text); err != nil || e.Type != "$SubscriptionCheckpoint" {
			w.t.Fatalf("checkpoint %s %s: %v", e.Type, e.Data, err)
		}
		all = append(all, text)
	}
	return all
}

// consumer is a consumer whose Next never waits.
type consumer struct {
	w *world
	*groups.Consumer
}

// next is what the consumer gets now, as "stream/revision", with "+retries" when there are some, or "" when there is nothing.
func (c *consumer) next() (string, groups.Delivery) {
	c.w.t.Helper()
	c.w.wait()
	ctx, cancel := context.WithCancel(c.w.t.Context())
	cancel()
	d, err := c.Next(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		return "", d
	case err != nil:
		return err.Error(), d
	}
	return show(d), d
}

func show(d groups.Delivery) string {
	text := fmt.Sprintf("%s/%d", d.Original().Stream, d.Original().Revision)
	if d.Retry > 0 {
		text += fmt.Sprintf("+%d", d.Retry)
	}
	return text
}

// takes demands that these are next.
func (c *consumer) takes(want ...string) (ids []eventstore.EventID) {
	c.w.t.Helper()
	for _, w := range want {
		got, d := c.next()
		if got != w {
			c.w.t.Fatalf("next is %q, want %q", got, w)
		}
		ids = append(ids, d.Original().ID)
	}
	return ids
}

// hasNothing demands that nothing is next.
func (c *consumer) hasNothing() {
	c.w.t.Helper()
	if got, _ := c.next(); got != "" {
		c.w.t.Fatalf("next is %q, want nothing", got)
	}
}

// acks takes these and acknowledges them one by one.
func (c *consumer) acks(want ...string) {
	c.w.t.Helper()
	for _, w := range want {
		c.Ack(c.takes(w)...)
	}
}

// names are stream/from to stream/to-1.
func names(stream string, from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%s/%d", stream, i))
	}
	return all
}
