package claims_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
)

// draft is an append that somebody made. Its data is its own, so that it is known where it is stored.
type draft struct {
	eventstore.Append
	tag string
}

// call is one call of Append through a process, and its answer. One that crashed has none.
type call struct {
	draft
	ended    bool
	answered bool
	result   eventstore.Result
	err      error
}

func firstID(n int) eventstore.EventID { return eventstore.EventID{0: 1, 15: byte(n)} }

// draw makes an append under one of few ids, or takes an earlier one again.
func (w *world) draft() draft {
	if len(w.drafts) > 0 && w.random.IntN(3) == 0 {
		return w.drafts[w.random.IntN(len(w.drafts))]
	}
	n := w.random.IntN(w.ids)
	d := draft{tag: fmt.Sprintf("%d", len(w.drafts))}
	d.Stream = fmt.Sprintf("s%d", w.random.IntN(w.streams))
	count, variant := 1+w.random.IntN(2), byte(w.random.IntN(2)) //nolint:gosec // small
	for i := range count {
		id := firstID(n)
		if i > 0 {
			id = eventstore.EventID{0: 2, 1: variant, 14: byte(i), 15: byte(n)} //nolint:gosec // small
		}
		d.Events = append(d.Events, eventstore.Event{ID: id, Type: "T", Data: []byte(d.tag)})
	}
	loaded, err := w.store.Load(context.Background(), d.Stream)
	if err != nil {
		w.t.Fatal(err)
	}
	actual := loaded.Revision
	d.Expected = []eventstore.Expected{actual, actual, actual, eventstore.Any, actual + 1, max(actual-1, -1)}[w.random.IntN(6)]
	w.drafts = append(w.drafts, d)
	return d
}

// begin lets a process append something.
func (w *world) begin() {
	c := &call{draft: w.draft()}
	w.calls = append(w.calls, c)
	w.send(c, w.newProcess())
}

func (w *world) send(c *call, p *claims.Store) {
	go func() {
		defer func() { c.ended = true }()
		c.result, c.err = p.Append(context.Background(), c.Append)
		c.answered = true
	}()
}

// grow moves a stream on by somebody else's event.
func (w *world) grow() {
	id := eventstore.EventID{0: 3}
	for i := range id[1:] {
		id[i+1] = byte(w.random.IntN(256)) //nolint:gosec // a byte
	}
	_, err := w.store.Append(context.Background(), eventstore.Append{
		Stream: fmt.Sprintf("s%d", w.random.IntN(w.streams)), Expected: eventstore.Any,
		Events: []eventstore.Event{{ID: id, Type: "T", Data: []byte("grown")}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// log reads what is stored, without claims.
func (w *world) log() []eventstore.Recorded {
	var all []eventstore.Recorded
	for r, err := range w.store.ReadAll(context.Background(), 0, eventstore.Forward) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !strings.HasPrefix(r.Stream, claims.StreamPrefix) {
			all = append(all, r)
		}
	}
	return all
}

// once demands that no first id is stored twice.
func (w *world) once() {
	w.t.Helper()
	at := map[eventstore.EventID]eventstore.Recorded{}
	for _, r := range w.log() {
		if was, ok := at[r.ID]; ok && r.ID[0] == 1 {
			w.t.Fatalf("id %s is stored at %s of %s, data %s, and at %s of %s, data %s",
				r.ID, was.Position, was.Stream, was.Data, r.Position, r.Stream, r.Data)
		}
		at[r.ID] = r
	}
}

// truthful compares every answer with what is stored in the end.
func (w *world) truthful() {
	log := w.log()
	at := map[string]eventstore.Recorded{} // where the last event of a draft is stored
	for _, r := range log {
		at[string(r.Data)] = r
	}
	refusals, answers := map[string]int{}, map[string]int{}
	for i, c := range w.calls {
		answers[c.tag]++
		if !c.answered {
			continue
		}
		var reused *eventstore.IDReusedError
		switch {
		case c.err == nil && !c.result.Duplicate:
			if last, ok := at[c.tag]; !ok || last.Revision != c.result.Revision || last.Position != c.result.Position {
				w.t.Errorf("call %d was stored at %+v, it says %+v", i, last, c.result)
			}
		case c.err == nil:
			w.isStored(i, c, c.Stream, c.result, true)
		case errors.As(c.err, &reused):
			w.isStored(i, c, reused.Stream, reused.First, false)
			refusals[c.tag]++
		case errors.Is(c.err, eventstore.ErrOutcomeUnknown):
		case errors.Is(c.err, eventstore.ErrConflict), errors.Is(c.err, eventstore.ErrUnavailable):
			refusals[c.tag]++
		default:
			w.t.Errorf("call %d answers %v", i, c.err)
		}
	}
	for tag, n := range refusals {
		if _, stored := at[tag]; stored && n == answers[tag] {
			w.t.Errorf("append %s is stored, and everybody who sent it was told that it is not", tag)
		}
	}
}

// isStored demands that the first id of a call is stored where an answer says, by the same append or by another.
func (w *world) isStored(i int, c *call, stream string, last eventstore.Result, same bool) {
	w.t.Helper()
	var ids []eventstore.EventID
	var end eventstore.Recorded
	for r, err := range w.store.ReadStream(context.Background(), stream, 0, eventstore.Forward) {
		if err != nil {
			w.t.Errorf("call %d answers stream %s: %v", i, stream, err)
			return
		}
		if begun := len(ids) > 0; (begun || r.ID == c.Events[0].ID) && r.Revision <= last.Revision {
			ids, end = append(ids, r.ID), r
		}
	}
	var want []eventstore.EventID
	for _, e := range c.Events {
		want = append(want, e.ID)
	}
	if len(ids) == 0 || end.Position != last.Position || end.Revision != last.Revision {
		w.t.Errorf("call %d answers %+v in %s; stored are %v up to %s", i, last, stream, ids, end.Position)
	}
	if is := stream == c.Stream && slices.Equal(ids, want); is != same {
		w.t.Errorf("call %d of %v to %s is answered as the same as %v in %s: %v", i, want, c.Stream, ids, stream, same)
	}
}

// alive demands that, once all is calm and the grace is over, everybody gets a definite answer.
func (w *world) alive() {
	for _, d := range w.drafts {
		c := &call{draft: d}
		w.send(c, w.newProcess())
		w.finish(c)
		if c.err != nil && !errors.Is(c.err, eventstore.ErrConflict) && !errors.Is(c.err, eventstore.ErrIDReused) {
			w.t.Errorf("when all is calm, the append of %s answers %v", d.tag, c.err)
		}
		w.calls = append(w.calls, c)
	}
	w.truthful()
}
