package eventstoretest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

// errPatience ends every call of a check that takes too long.
var errPatience = errors.New("the store did not answer in time")

// env is one run of one check against one store.
type env struct {
	T

	store  eventstore.Store
	ctx    context.Context //nolint:containedctx // the run is what it bounds
	opts   *options
	prefix string // of every stream of this run
	count  atomic.Int64
}

func newEnv(t T, store eventstore.Store, o *options) (*env, func()) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), o.patience, errPatience)
	var tag [6]byte
	_, _ = rand.Read(tag[:])
	return &env{T: t, store: store, ctx: ctx, opts: o, prefix: "conformance-" + hex.EncodeToString(tag[:])}, cancel
}

// stream names a stream that nobody else uses.
func (e *env) stream(name string) string { return e.prefix + "-" + name }

func newID() (id eventstore.EventID) {
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// events makes n events, each with contents of its own.
func (e *env) events(n int) []eventstore.Event {
	made := make([]eventstore.Event, n)
	for i := range made {
		k := e.count.Add(1)
		made[i] = eventstore.Event{
			ID: newID(), Type: fmt.Sprintf("Checked%d", k%3),
			Data: fmt.Appendf(nil, `{"n":%d}`, k), Metadata: fmt.Appendf(nil, `{"of":%d}`, k),
		}
	}
	return made
}

func (e *env) batch(stream string, expected eventstore.Expected, n int) eventstore.Append {
	return eventstore.Append{Stream: stream, Expected: expected, Events: e.events(n)}
}

// must appends what has to succeed.
func (e *env) must(a eventstore.Append) eventstore.Result {
	e.Helper()
	res, err := e.store.Append(e.ctx, a)
	if err != nil {
		e.Fatalf("append of %d events to %s, expecting %s: %v", len(a.Events), a.Stream, a.Expected, err)
	}
	return res
}

// grow appends n events that do not matter.
func (e *env) grow(stream string, n int) (eventstore.Append, eventstore.Result) {
	e.Helper()
	a := e.batch(stream, eventstore.Any, n)
	return a, e.must(a)
}

func (e *env) load(stream string) eventstore.Loaded {
	e.Helper()
	l, err := e.store.Load(e.ctx, stream)
	if err != nil {
		e.Fatalf("load %s: %v", stream, err)
	}
	return l
}

func (e *env) head() eventstore.Position {
	e.Helper()
	p, err := e.store.Head(e.ctx)
	if err != nil {
		e.Fatalf("head: %v", err)
	}
	return p
}

// collect reads a sequence to its end.
func (e *env) collect(what string, seq iter.Seq2[eventstore.Recorded, error]) []eventstore.Recorded {
	e.Helper()
	var all []eventstore.Recorded
	for r, err := range seq {
		if err != nil {
			e.Fatalf("%s: %v", what, err)
		}
		all = append(all, r)
	}
	return all
}

// read reads a whole stream, and what does not exist as nothing.
func (e *env) read(stream string) []eventstore.Recorded {
	e.Helper()
	if e.load(stream).Revision == eventstore.NoStream {
		return nil
	}
	return e.collect("read "+stream, e.store.ReadStream(e.ctx, stream, 0, eventstore.Forward))
}

// mine reads what this run has stored after a position.
func (e *env) mine(after eventstore.Position) []eventstore.Recorded {
	e.Helper()
	var own []eventstore.Recorded
	for _, r := range e.collect("read all", e.store.ReadAll(e.ctx, after, eventstore.Forward)) {
		if e.owns(r) {
			own = append(own, r)
		}
	}
	return own
}

func (e *env) owns(r eventstore.Recorded) bool {
	return len(r.Stream) > len(e.prefix) && r.Stream[:len(e.prefix)] == e.prefix
}

// within runs what a broken store may never end.
func (e *env) within(what string, f func()) {
	e.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	// Twice the patience of the calls inside: they get the chance to say themselves what is wrong.
	late, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), 2*e.opts.patience)
	defer cancel()
	select {
	case <-done:
		if e.Failed() {
			e.FailNow() // f may have ended before its end
		}
	case <-late.Done():
		e.Fatalf("%s does not end", what)
	}
}

// same compares an event that was read with the one that was appended.
func same(got eventstore.Recorded, want eventstore.Event) bool {
	return got.ID == want.ID && got.Type == want.Type && got.ContentType == want.ContentType &&
		bytes.Equal(got.Data, want.Data) && bytes.Equal(got.Metadata, want.Metadata)
}

// equals demands that a stream holds exactly these events.
func (e *env) equals(stream string, want []eventstore.Event) {
	e.Helper()
	e.compare("stream "+stream, e.read(stream), want)
}

func (e *env) compare(what string, got []eventstore.Recorded, want []eventstore.Event) {
	e.Helper()
	if len(got) != len(want) {
		e.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			e.Fatalf("%s: event %d is %s %s %q, want %s %s %q", what, i,
				got[i].ID, got[i].Type, got[i].Data, want[i].ID, want[i].Type, want[i].Data)
		}
	}
}
