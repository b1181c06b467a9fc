package eventstoretest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/logoutd/logoutd/eventstore"
)

func readClauses() []Clause {
	return []Clause{
		{"E9", "a stream reads from any revision in both directions", readStreamAnywhere},
		{"E9", "the global order reads from any position in both directions", readAllAnywhere},
		{"E9", "a stream that does not exist is not found", readNothing},
		{"E9", "a read sees what was acknowledged before it began", readOwnWrites},
		{"E9", "a read that is left early can be begun again", readTwice},
		{"E15", "what is read is what was appended, byte for byte", bytesSurvive},
		{"E15", "slices of the caller and of readers are their own", slicesAreOwn},
	}
}

func readStreamAnywhere(e *env) {
	const n = 40 // more than a first page of any store
	s := e.stream("read")
	var want []eventstore.Event
	for len(want) < n {
		a, _ := e.grow(s, 1+len(want)%4)
		want = append(want, a.Events...)
		e.grow(e.stream("other"), 1)
	}
	check := func(from uint64, dir eventstore.Direction, want []eventstore.Event) {
		e.Helper()
		what := fmt.Sprintf("read of %d events from revision %d, direction %d", len(want), from, dir)
		got := e.collect(what, e.store.ReadStream(e.ctx, s, from, dir))
		e.compare(what, got, want)
		for i, r := range got {
			revision := from + uint64(i)
			if dir == eventstore.Backward {
				revision = uint64(len(want) - 1 - i)
			}
			if r.Revision != revision || r.Stream != s {
				e.Fatalf("%s: event %d is revision %d of %s", what, i, r.Revision, r.Stream)
			}
		}
	}
	for from := range uint64(len(want)) {
		back := slices.Clone(want[:from+1])
		slices.Reverse(back)
		check(from, eventstore.Forward, want[from:])
		check(from, eventstore.Backward, back)
	}
	back := slices.Clone(want)
	slices.Reverse(back)
	check(eventstore.End, eventstore.Backward, back)
	for _, past := range []uint64{uint64(len(want)), uint64(len(want)) + 100} {
		check(past, eventstore.Forward, nil)
	}
}

func readAllAnywhere(e *env) {
	start := e.head()
	var want []eventstore.Event
	for i := range 24 {
		a, _ := e.grow(e.stream(fmt.Sprint(i%5)), 1+i%3)
		want = append(want, a.Events...)
	}
	own := e.mine(start)
	e.compare("global order", own, want)
	e.rising(own)
	for i, at := range own {
		forward := e.mine(at.Position)
		e.compare(fmt.Sprintf("read all after event %d", i), forward, want[i+1:])
		backward := e.mineBackward(at.Position, start)
		slices.Reverse(backward)
		e.compare(fmt.Sprintf("read all before event %d", i), backward, want[:i])
	}
	backward := e.mineBackward(eventstore.Position(eventstore.End), start)
	slices.Reverse(backward)
	e.compare("read all from the end", backward, want)
	for range e.store.ReadAll(e.ctx, 0, eventstore.Backward) {
		e.Fatalf("there is something before the first position")
	}
	for _, past := range []eventstore.Position{e.head() + 1<<40, eventstore.Position(eventstore.End)} {
		for r, err := range e.store.ReadAll(e.ctx, past, eventstore.Forward) {
			e.Fatalf("there is something after position %s: %+v, %v", past, r, err)
		}
	}
}

// mineBackward reads what this run has stored before one position and after another.
func (e *env) mineBackward(before, after eventstore.Position) []eventstore.Recorded {
	e.Helper()
	var own []eventstore.Recorded
	last := before
	for r, err := range e.store.ReadAll(e.ctx, before, eventstore.Backward) {
		if err != nil {
			e.Fatalf("read all before %s: %v", before, err)
		}
		if r.Position >= last {
			e.Fatalf("backwards, position %s comes after %s", r.Position, last)
		}
		last = r.Position
		if r.Position <= after {
			break
		}
		if e.owns(r) {
			own = append(own, r)
		}
	}
	return own
}

func readNothing(e *env) {
	e.grow(e.stream("some"), 1)
	for _, dir := range []eventstore.Direction{eventstore.Forward, eventstore.Backward} {
		for _, from := range []uint64{0, 3, eventstore.End} {
			yields := 0
			for r, err := range e.store.ReadStream(e.ctx, e.stream("none"), from, dir) {
				yields++
				if !errors.Is(err, eventstore.ErrStreamNotFound) {
					e.Errorf("a stream that does not exist yields %+v, %v", r, err)
				}
			}
			if yields != 1 {
				e.Errorf("a stream that does not exist yields %d times", yields)
			}
		}
	}
}

func readOwnWrites(e *env) {
	for i := range 50 {
		s := e.stream(fmt.Sprint(i % 7))
		e.grow(s, 1)
		before := e.load(s).Position
		a, res := e.grow(s, 2)
		last := a.Events[1]
		for r, err := range e.store.ReadStream(e.ctx, s, eventstore.End, eventstore.Backward) {
			if err != nil || !same(r, last) || r.Revision != res.Revision {
				e.Fatalf("right after an append its stream ends with %+v (%v)", r, err)
			}
			break
		}
		seen := false
		for r, err := range e.store.ReadAll(e.ctx, before, eventstore.Forward) {
			if seen = err == nil && r.ID == last.ID; seen || err != nil {
				break
			}
		}
		if l := e.load(s); !seen || l.Position < res.Position {
			e.Fatalf("right after an append at %s the global order shows it: %v, a load is at %s", res.Position, seen, l.Position)
		}
	}
}

func readTwice(e *env) {
	s := e.stream("twice")
	start := e.head()
	a, _ := e.grow(s, 6)
	stream := e.store.ReadStream(e.ctx, s, 0, eventstore.Forward)
	everything := e.store.ReadAll(e.ctx, start, eventstore.Forward)
	for range 3 {
		for r, err := range stream {
			if err != nil || !same(r, a.Events[0]) {
				e.Fatalf("the stream begins with %+v, %v", r, err)
			}
			break
		}
		for _, err := range everything {
			if err != nil {
				e.Fatalf("read all: %v", err)
			}
			break
		}
	}
	e.compare("the same sequence again", e.collect("read", stream), a.Events)
}

func bytesSurvive(e *env) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	s := e.stream("bytes äöü 🚪 /:%#?")
	a := eventstore.Append{Stream: s, Expected: eventstore.NoStream, Events: []eventstore.Event{
		{ID: newID(), Type: "Json", Data: []byte("{\n\t\"a\" : 1e3,\"a\": \"\\u00e4\\/\" }  "), Metadata: []byte(` {"$correlationId": "x"}`)},
		{ID: newID(), Type: "Bytes", ContentType: eventstore.OctetStream, Data: every, Metadata: []byte(`{}`)},
		{ID: newID(), Type: "Empty", ContentType: eventstore.OctetStream, Data: nil, Metadata: nil},
		{ID: newID(), Type: "AlsoEmpty", ContentType: eventstore.OctetStream, Data: []byte{}, Metadata: []byte{}},
		{ID: newID(), Type: "Typ mit Ümlaut und 空白", Data: []byte(`{"same":"metadata"}`), Metadata: []byte(`{"x":1}`)},
		{ID: newID(), Type: "Json", Data: []byte(`{"same":"metadata"}`), Metadata: []byte(`{"x":1}`)},
		{ID: eventstore.EventID{15: 1}, Type: "Json", Data: []byte(`{}`), Metadata: []byte(`{"x":1} `)},
	}}
	a.Events[6].ID = newID()
	a.Events[6].ID[0], a.Events[6].ID[15] = 0, 0xff
	start := e.head()
	e.must(a)
	e.equals(s, a.Events)
	e.compare("global order", e.mine(start), a.Events)
	for _, r := range e.read(s) {
		if r.Stream != s {
			e.Errorf("stream %q reads as %q", s, r.Stream)
		}
		if r.RecordedAt.IsZero() {
			e.Errorf("revision %d was recorded at no time", r.Revision)
		}
	}
}

func slicesAreOwn(e *env) {
	s := e.stream("own")
	a, _ := e.grow(s, 3)
	a.Snapshot = nil
	want := make([]eventstore.Event, len(a.Events))
	for i, ev := range a.Events {
		ev.Data, ev.Metadata = slices.Clone(ev.Data), slices.Clone(ev.Metadata)
		want[i] = ev
	}
	scribble := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	for i := range a.Events {
		scribble(a.Events[i].Data)
		scribble(a.Events[i].Metadata)
		a.Events[i].ID, a.Events[i].Type = newID(), "Scribbled"
	}
	e.equals(s, want)
	for _, r := range e.read(s) {
		scribble(r.Data)
		scribble(r.Metadata)
		_ = append(r.Data, "beyond the end"...)
	}
	e.equals(s, want)
	snap := e.batch(s, eventstore.Any, 1)
	snap.Snapshot = []byte("snapshot")
	e.must(snap)
	scribble(snap.Snapshot)
	if l := e.load(s); l.Snapshot != nil && string(l.Snapshot) != "snapshot" {
		e.Errorf("the snapshot has become %q", l.Snapshot)
	} else {
		scribble(l.Snapshot)
	}
	if l := e.load(s); l.Snapshot != nil && string(l.Snapshot) != "snapshot" {
		e.Errorf("the snapshot has become %q", l.Snapshot)
	}
}
