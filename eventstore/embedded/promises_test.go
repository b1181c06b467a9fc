package embedded_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func one(stream string, data []byte) eventstore.Append {
	e := event("x")
	e.Data = data
	return eventstore.Append{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{e}}
}

// appending appends and tells how it ended.
func appending(ctx context.Context, s *embedded.Store, a eventstore.Append) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, a)
		ended <- err
	}()
	return ended
}

// Ensure that a repeat which was decided from an append whose sync then fails is no success.
func TestARepeatOfAFailedAppendIsNoSuccess(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	let := make(chan struct{})
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20},
		errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
				<-let
				return syscall.EIO
			}
			return nil
		})))
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	a := one("s", []byte("x"))
	first := appending(t.Context(), s, a)
	until(func() bool { return s.Applied() == 1 })
	repeat := appending(t.Context(), s, a)
	until(func() bool { return s.Stats().Duplicates == 1 })
	close(let)
	for what, ended := range map[string]<-chan error{"first": first, "repeat": repeat} {
		if err := <-ended; !errors.Is(err, eventstore.ErrOutcomeUnknown) {
			t.Errorf("the %s append returns %v", what, err)
		}
	}
	if s.Close() == nil {
		t.Error("closing a failed store reports nothing")
	}
}

// Ensure that Close ends when the disk does not: what is under way is unknown, and the folder stays locked, for the
// disk may yet write.
func TestCloseEndsOnADiskThatHangs(t *testing.T) {
	t.Parallel()
	g, mem := &gate{}, vfs.NewMem()
	cfg := embedded.Config{Dir: "data", CacheBytes: 1 << 20, CloseTimeout: 50 * time.Millisecond}
	s, err := embedded.OpenFS(cfg, errorfs.Wrap(mem, g))
	if err != nil {
		t.Fatal(err)
	}
	g.close()
	defer g.open()
	ended := appending(t.Context(), s, one("s", []byte("x")))
	until(func() bool { return s.Applied() == 1 })
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "not closed within") {
		t.Errorf("close returns %v", err)
	}
	if err := <-ended; !errors.Is(err, eventstore.ErrOutcomeUnknown) {
		t.Errorf("append returns %v", err)
	}
	if _, err := embedded.OpenFS(cfg, mem); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opening the folder again returns %v", err)
	}
	allUnavailable(t, s)
}

// Ensure that Close waits for an append that is under way, and that reading goes on meanwhile.
func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	g := &gate{}
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20}, errorfs.Wrap(vfs.NewMem(), g))
	if err != nil {
		t.Fatal(err)
	}
	g.close()
	defer g.open()
	ended := appending(t.Context(), s, one("s", []byte("x")))
	until(func() bool { return s.Applied() == 1 })
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	until(func() bool {
		_, err := s.Append(newEndsWhenAsked(t), one("s", []byte("x")))
		return errors.Is(err, eventstore.ErrUnavailable)
	})
	for range 1000 {
		if _, err := s.Head(t.Context()); err != nil {
			t.Errorf("head returns %v", err)
			break
		}
		runtime.Gosched()
	}
	g.open()
	if err := <-ended; err != nil {
		t.Errorf("append returns %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close returns %v", err)
	}
}

// Ensure that nobody sees where an append puts its stream before Pebble has the append: to decide from one of the
// two and not the other stores a revision twice.
func TestAHeadIsCachedAfterItIsApplied(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	arrived, let := make(chan struct{}), make(chan struct{})
	s, err := embedded.OpenFS(embedded.WithSmallTables(embedded.Config{Dir: "data", CacheBytes: 1 << 20}),
		errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".log") && armed.CompareAndSwap(true, false) {
				close(arrived)
				<-let
			}
			return nil
		})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), one("s", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	ended := appending(t.Context(), s, one("s", make([]byte, 300<<10))) // larger than a memtable: it changes the log
	<-arrived
	if l, err := s.Load(newEndsWhenAsked(t), "s"); err != nil || l.Revision != 0 {
		t.Errorf("load returns revision %s, %v", l.Revision, err)
	}
	close(let)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Ensure that a copy which holds more than is durable is not finished before the rest is.
func TestACheckpointIsNeverAheadOfTheStore(t *testing.T) {
	t.Parallel()
	g := &gate{}
	var s *embedded.Store
	var ended <-chan error
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasPrefix(op.Path, "copy/") && strings.HasSuffix(op.Path, ".log") {
			g.close() // Pebble has synced its log and begins to copy it
			ended = appending(t.Context(), s, one("s", []byte("x")))
			until(func() bool { return s.Applied() == 2 })
		}
		if strings.HasPrefix(op.Path, "copy/") {
			return nil
		}
		return g.MaybeError(op)
	}))
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20}, fsys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), one("s", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(newEndsWhenAsked(t), "copy"); !errors.Is(err, errAsked) {
		t.Errorf("checkpoint returns %v", err)
	}
	g.open()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Ensure that events are recorded in the order of their positions when the clock goes back, over a restart too.
func TestRecordedAtNeverGoesBack(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	const late, early = 2000, 1000
	for _, now := range []int64{late, early} {
		at := now
		s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20, Now: func() time.Time { return time.Unix(at, 0) }}, mem)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Append(t.Context(), one("s", []byte("x"))); err != nil {
				t.Fatal(err)
			}
			at -= 500
		}
		for e, err := range s.ReadAll(t.Context(), 0, eventstore.Forward) {
			if err != nil || e.RecordedAt.Unix() != late {
				t.Errorf("position %s is recorded at %s (%v)", e.Position, e.RecordedAt, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Ensure that a new folder is still there after a power loss, with the folders that had to be made for it.
func TestANewFolderSurvivesAPowerLoss(t *testing.T) {
	t.Parallel()
	mem := vfs.NewCrashableMem()
	cfg := embedded.Config{Dir: "a/b/data", CacheBytes: 1 << 20}
	s, err := embedded.OpenFS(cfg, mem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), one("s", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s, err = embedded.OpenFS(cfg, after); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Load(t.Context(), "s"); err != nil || l.Revision != 0 {
		t.Errorf("the stream is at %s (%v)", l.Revision, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
