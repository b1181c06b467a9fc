package eventstoretest

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/logoutd/logoutd/eventstore"
)

func crossingClauses() []Clause {
	return []Clause{
		{"E9", "a read passes appends at the limit", readAcross},
		{"E10", "a subscription passes appends at the limit", subscribeAcross},
	}
}

// window is how many events are read from each place: enough to be past the append that follows.
const window = 3

// atLimit fills n events nearly to the limit of bytes. A type counts twice, as it does for some stores.
func (e *env) atLimit(s string, n int) eventstore.Append {
	a := e.batch(s, eventstore.Any, n)
	for i := range a.Events {
		ev := &a.Events[i]
		ev.ContentType, ev.Metadata = eventstore.OctetStream, nil
		ev.Data = bytes.Repeat([]byte{0xfe}, eventstore.MaxAppendBytes/n-2*len(ev.Type))
	}
	return a
}

// limits stores small appends with large ones between them, in one stream. It returns
// where that begins, what is there now, and the indices worth reading from.
func (e *env) limits(s string) (start eventstore.Position, log []eventstore.Recorded, places []int) {
	e.Helper()
	start = e.head()
	var want []eventstore.Event
	for _, a := range []eventstore.Append{
		e.batch(s, eventstore.NoStream, 2), e.atLimit(s, 1), e.atLimit(s, 1), e.batch(s, eventstore.Any, 1),
		e.atLimit(s, 100), e.batch(s, eventstore.Any, 2),
	} {
		e.must(a)
		want = append(want, a.Events...)
	}
	log = e.read(s)
	e.compare("stream "+s, log, want)
	for i := range log {
		const many = 25 // inside the large batch a few will do
		if i < 2*window || i >= len(log)-2*window || i%many == 0 {
			places = append(places, i)
		}
	}
	return start, log, places
}

// expect demands that a sequence goes on with these events of this run. It reads no more than that.
func (e *env) expect(what string, seq iter.Seq2[eventstore.Recorded, error], want []eventstore.Recorded) {
	e.Helper()
	var got []eventstore.Recorded
	for r, err := range seq {
		if err != nil {
			e.Fatalf("%s: %v", what, err)
		}
		if !e.owns(r) {
			continue
		}
		if got = append(got, r); len(got) >= len(want) {
			break
		}
	}
	e.ordered(what, got, want)
}

func readAcross(e *env) {
	s := e.stream("limits")
	start, log, places := e.limits(s)
	forward := func(from int) []eventstore.Recorded { return log[from:min(from+window, len(log))] }
	backward := func(to int) []eventstore.Recorded {
		want := slices.Clone(log[max(0, to-window):to])
		slices.Reverse(want)
		return want
	}
	e.expect("read all from the start", e.store.ReadAll(e.ctx, start, eventstore.Forward), log)
	for _, i := range places {
		at, revision := log[i].Position, log[i].Revision
		if want := forward(i + 1); len(want) > 0 {
			e.expect(fmt.Sprintf("read all after event %d", i), e.store.ReadAll(e.ctx, at, eventstore.Forward), want)
		}
		if want := backward(i); len(want) > 0 {
			e.expect(fmt.Sprintf("read all before event %d", i), e.store.ReadAll(e.ctx, at, eventstore.Backward), want)
		}
		e.expect(fmt.Sprintf("read of the stream from event %d", i),
			e.store.ReadStream(e.ctx, s, revision, eventstore.Forward), forward(i))
		e.expect(fmt.Sprintf("read of the stream back from event %d", i),
			e.store.ReadStream(e.ctx, s, revision, eventstore.Backward), backward(i+1))
	}
}

func subscribeAcross(e *env) {
	start, log, places := e.limits(e.stream("limits"))
	e.ordered("a subscription from the start", e.follow(e.ctx, start, len(log), nil), log)
	for _, i := range places[:len(places)-1] {
		want := log[i+1 : min(i+1+window, len(log))]
		e.ordered(fmt.Sprintf("a subscription after event %d", i), e.follow(e.ctx, log[i].Position, len(want), nil), want)
	}
}
