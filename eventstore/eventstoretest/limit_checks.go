package eventstoretest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/logoutd/logoutd/eventstore"
)

func limitClauses() []Clause {
	return []Clause{
		{"E14", "an append that breaks a rule is invalid and stores nothing", invalidAppends},
		{"E14", "an append over a limit is too large and stores nothing", largeAppends},
		{"E14", "an append at the limit is stored", atTheLimit},
	}
}

// refused demands that an append fails with a kind of error and leaves nothing behind.
func (e *env) refused(what string, a eventstore.Append, kind error) {
	e.Helper()
	at := e.head()
	if _, err := e.store.Append(e.ctx, a); !errors.Is(err, kind) {
		e.Errorf("%s answers %v, want %v", what, err, kind)
	}
	if own := e.mine(at); len(own) != 0 {
		e.Errorf("%s has stored %d events", what, len(own))
	}
}

func invalidAppends(e *env) {
	s := e.stream("invalid")
	e.grow(s, 1)
	for what, spoil := range map[string]func(*eventstore.Append){
		"no event":            func(a *eventstore.Append) { a.Events = nil },
		"an event without id": func(a *eventstore.Append) { a.Events[1].ID = eventstore.EventID{} },
		"the same id twice":   func(a *eventstore.Append) { a.Events[1].ID = a.Events[0].ID },
		"the same id far apart": func(a *eventstore.Append) {
			a.Events = append(e.events(20), a.Events...)
			a.Events[21].ID = a.Events[0].ID
		},
		"no stream":                   func(a *eventstore.Append) { a.Stream = "" },
		"a stream with a line break":  func(a *eventstore.Append) { a.Stream += "\n" },
		"a stream with a zero byte":   func(a *eventstore.Append) { a.Stream += "\x00" },
		"a stream that is not UTF-8":  func(a *eventstore.Append) { a.Stream += "\xff" },
		"a stream of too many bytes":  func(a *eventstore.Append) { a.Stream += strings.Repeat("s", eventstore.MaxNameBytes) },
		"no type":                     func(a *eventstore.Append) { a.Events[1].Type = "" },
		"a type with a control byte":  func(a *eventstore.Append) { a.Events[1].Type += "\x1f" },
		"a type with a delete":        func(a *eventstore.Append) { a.Events[1].Type += "\x7f" },
		"a type that is not UTF-8":    func(a *eventstore.Append) { a.Events[0].Type += "\xc3" },
		"a type of too many bytes":    func(a *eventstore.Append) { a.Events[0].Type = strings.Repeat("t", eventstore.MaxNameBytes+1) },
		"an expectation out of range": func(a *eventstore.Append) { a.Expected = eventstore.Any - 1 },
	} {
		a := e.batch(s, eventstore.Any, 2)
		spoil(&a)
		e.refused(what, a, eventstore.ErrInvalid)
	}
	if n := len(e.read(s)); n != 1 {
		e.Errorf("%d events in a stream of one", n)
	}
}

func largeAppends(e *env) {
	s := e.stream("large")
	much := bytes.Repeat([]byte{'m'}, eventstore.MaxAppendBytes/2)
	for what, spoil := range map[string]func(*eventstore.Append){
		"too many events":     func(a *eventstore.Append) { a.Events = e.events(eventstore.MaxAppendEvents + 1) },
		"too much data":       func(a *eventstore.Append) { a.Events[0].Data, a.Events[1].Data = much, much },
		"too much metadata":   func(a *eventstore.Append) { a.Events[0].Metadata, a.Events[1].Metadata = much, much },
		"too much altogether": func(a *eventstore.Append) { a.Events[0].Data, a.Events[1].Metadata = much, much },
	} {
		a := e.batch(s, eventstore.Any, 2)
		spoil(&a)
		e.refused(what, a, eventstore.ErrTooLarge)
	}
	if l := e.load(s); l.Revision != eventstore.NoStream {
		e.Errorf("the stream exists, at %s", l.Revision)
	}
}

func atTheLimit(e *env) {
	a := e.batch(e.stream("bytes"), eventstore.NoStream, 1)
	ev := &a.Events[0]
	ev.ContentType, ev.Metadata = eventstore.OctetStream, nil
	ev.Data = bytes.Repeat([]byte{0xfe}, eventstore.MaxAppendBytes-len(ev.Type))
	e.must(a)
	e.equals(a.Stream, a.Events)

	many := e.batch(e.stream("many"), eventstore.NoStream, eventstore.MaxAppendEvents)
	e.must(many)
	e.equals(many.Stream, many.Events)

	long := e.batch(e.stream(""), eventstore.NoStream, 1)
	long.Stream += strings.Repeat("n", eventstore.MaxNameBytes-len(long.Stream))
	long.Events[0].Type = strings.Repeat("t", eventstore.MaxNameBytes)
	e.must(long)
	e.equals(long.Stream, long.Events)
}
