package embedded_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// gate holds every sync of the write-ahead log while it is shut: the time between "applied" and
// "durable", as long as a test wants it.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while open
}

func (g *gate) MaybeError(op errorfs.Op) error {
	if strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut != nil {
			<-shut
		}
	}
	return nil
}

func (g *gate) String() string { return "gate" }

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func openGated(t *testing.T) (*embedded.Store, *gate) {
	t.Helper()
	g := &gate{}
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20}, errorfs.Wrap(vfs.NewMem(), g))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.open()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, g
}

// until waits for a state that is certain to come.
func until(reached func() bool) {
	for !reached() {
		runtime.Gosched()
	}
}

// endsWhenAsked is a context that ends when somebody starts to wait for it: a call that would wait answers
// errAsked, every other one is not touched.
type endsWhenAsked struct {
	context.Context //nolint:containedctx // it is one
	end             context.CancelCauseFunc
}

var errAsked = errors.New("the call waits")

func newEndsWhenAsked(t *testing.T) endsWhenAsked {
	t.Helper()
	ctx, end := context.WithCancelCause(t.Context())
	return endsWhenAsked{ctx, end}
}

func (c endsWhenAsked) Done() <-chan struct{} {
	c.end(errAsked)
	return c.Context.Done()
}

// Ensure that nobody is shown an event, or an answer that follows from it, between the moment when Pebble
// has it and the moment when it is durable.
func TestNothingIsSeenBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	s, g := openGated(t)
	base := eventstore.Append{Stream: "s", Expected: eventstore.NoStream, Events: []eventstore.Event{event("0 of 1")}}
	if _, err := s.Append(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	g.close()
	second := eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{event("0 of 1")}}
	answered := make(chan error, 1)
	go func() {
		_, err := s.Append(t.Context(), second)
		answered <- err
	}()
	until(func() bool { return s.Applied() == 2 })

	if p, err := s.Head(t.Context()); p != 1 || err != nil {
		t.Errorf("head %s, %v", p, err)
	}
	if l, err := s.Load(newEndsWhenAsked(t), "s"); !errors.Is(err, errAsked) {
		t.Errorf("load answers %+v, %v", l, err)
	}
	for e, err := range s.ReadStream(newEndsWhenAsked(t), "s", 0, eventstore.Forward) {
		if !errors.Is(err, errAsked) {
			t.Errorf("stream read yields %+v, %v", e, err)
		}
	}
	for _, dir := range []eventstore.Direction{eventstore.Forward, eventstore.Backward} {
		from := eventstore.Position(0)
		if dir == eventstore.Backward {
			from = eventstore.Position(eventstore.End)
		}
		for e, err := range s.ReadAll(t.Context(), from, dir) {
			if e.Position != 1 || err != nil {
				t.Errorf("read yields %+v, %v", e, err)
			}
		}
	}
	for e, err := range s.Subscribe(newEndsWhenAsked(t), 1) {
		if !errors.Is(err, errAsked) {
			t.Errorf("subscription yields %+v, %v", e, err)
		}
	}
	refused := base
	refused.Events = []eventstore.Event{event("0 of 1")}
	for what, a := range map[string]eventstore.Append{"conflict": refused, "duplicate": second} {
		ctx, cancel := context.WithCancelCause(t.Context())
		queued := make(chan error, 1)
		go func() {
			_, err := s.Append(ctx, a)
			queued <- err
		}()
		until(func() bool { // it is decided, but must not be answered
			st := s.Stats()
			return what == "conflict" && st.Conflicts == 1 || what == "duplicate" && st.Duplicates == 1
		})
		cancel(errAsked)
		if err := <-queued; !errors.Is(err, errAsked) {
			t.Errorf("%s is answered with %v", what, err)
		}
	}
	g.open()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if l, err := s.Load(t.Context(), "s"); l.Position != 2 || err != nil {
		t.Errorf("load answers %+v, %v", l, err)
	}
}

// Ensure that a context is obeyed on both sides of the moment when an append is accepted (E12).
func TestAppendCancelled(t *testing.T) {
	t.Parallel()
	s, g := openGated(t)
	g.close()
	type outcome struct {
		id  eventstore.EventID
		err error
	}
	outcomes := make(chan outcome)
	ctx, cancel := context.WithCancelCause(t.Context())
	send := func() {
		e := event("x")
		_, err := s.Append(ctx, eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{e}})
		outcomes <- outcome{e.ID, err}
	}
	// Groups of one fill the pipeline; what comes after that stays in the queue.
	const accepted, queued = 3, 5
	for n := range uint64(accepted) {
		go send()
		until(func() bool { return s.Applied() == eventstore.Position(n+1) })
	}
	for range queued {
		go send()
	}
	until(func() bool { return s.Stats().Queued == queued })
	cancel(errAsked)
	unknown, nothing := map[eventstore.EventID]bool{}, map[eventstore.EventID]bool{}
	for range accepted + queued {
		o := <-outcomes
		switch {
		case !errors.Is(o.err, errAsked):
			t.Errorf("append answers %v", o.err)
		case errors.Is(o.err, eventstore.ErrOutcomeUnknown):
			unknown[o.id] = true
		default:
			nothing[o.id] = true
		}
	}
	g.open()
	if len(unknown) != accepted || len(nothing) != queued {
		t.Errorf("%d unknown and %d not stored, want %d and %d", len(unknown), len(nothing), accepted, queued)
	}
	last, err := s.Append(t.Context(), eventstore.Append{Stream: "t", Expected: eventstore.Any, Events: []eventstore.Event{event("x")}})
	if err != nil || last.Position != accepted+1 {
		t.Errorf("next append: %+v, %v", last, err)
	}
	for e, err := range s.ReadAll(t.Context(), 0, eventstore.Forward) {
		if err != nil || nothing[e.ID] {
			t.Errorf("%s is stored (%v)", e.ID, err)
		}
	}
}
