package embedded_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func failingLog(armed *atomic.Bool, kinds ...errorfs.OpKind) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() || !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		for _, k := range kinds {
			if op.Kind == k {
				return syscall.ENOSPC
			}
		}
		return nil
	})
}

// Ensure that a log which cannot be written or synced ends the store: nothing that was under way is called
// stored, nothing is taken any more, and what had been acknowledged is there after a restart.
func TestLogFails(t *testing.T) {
	t.Parallel()
	for name, kinds := range map[string][]errorfs.OpKind{
		"write": {errorfs.OpFileWrite},
		"sync":  {errorfs.OpFileSync, errorfs.OpFileSyncData},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logFails(t, kinds)
		})
	}
}

func logFails(t *testing.T, kinds []errorfs.OpKind) {
	var armed atomic.Bool
	mem := vfs.NewCrashableMem()
	cfg := embedded.Config{Dir: "data", CacheBytes: 1 << 20}
	s, err := embedded.OpenFS(cfg, errorfs.Wrap(mem, failingLog(&armed, kinds...)))
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{loaded: map[string]eventstore.Expected{}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				a := eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{event("0 of 1")}}
				res, err := s.Append(t.Context(), a)
				if err == nil {
					l.mu.Lock()
					l.acked = append(l.acked, acked{a, res})
					if len(l.acked) == 100 {
						armed.Store(true)
					}
					l.mu.Unlock()
					continue
				}
				if !errors.Is(err, eventstore.ErrOutcomeUnknown) && !errors.Is(err, eventstore.ErrUnavailable) {
					t.Errorf("append answers %v", err)
				}
				return
			}
		})
	}
	wg.Wait()
	<-s.Failed()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "restart logoutd") || strings.Contains(err.Error(), "\n") {
		t.Errorf("failed with %q", err)
	}
	allUnavailable(t, s)
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err == nil {
		t.Error("closing a failed store reports nothing")
	}
	verify(t, after, l)
}

// allUnavailable checks every method of a store that can do nothing any more (E16).
func allUnavailable(t *testing.T, s *embedded.Store) {
	t.Helper()
	ctx := t.Context()
	check := func(what string, err error) {
		if !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("%s answers %v", what, err)
		}
	}
	_, err := s.Append(ctx, eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{event("x")}})
	check("append", err)
	_, err = s.Load(ctx, "s")
	check("load", err)
	_, err = s.Head(ctx)
	check("head", err)
	check("checkpoint", s.Checkpoint(ctx, "copy"))
	sequences := 0
	for _, err := range s.ReadStream(ctx, "s", 0, eventstore.Forward) {
		check("read stream", err)
		sequences++
	}
	for _, err := range s.ReadAll(ctx, 0, eventstore.Forward) {
		check("read all", err)
		sequences++
	}
	for _, err := range s.Subscribe(ctx, 0) {
		check("subscribe", err)
		sequences++
	}
	if sequences != 3 {
		t.Errorf("%d errors from three sequences", sequences)
	}
}

// Ensure that a disk with little room left refuses appends, says what it needs, still answers what is
// stored, and takes appends again when there is room.
func TestFreeSpaceFloor(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 300 << 20, TotalBytes: 1 << 30})
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20, MinFreeBytes: 200 << 20}, mem)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := t.Context()
	big := func() eventstore.Append {
		e := event("")
		e.Data = make([]byte, 1<<20-1000)
		return eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{e}}
	}
	stored := big()
	if _, err := s.Append(ctx, stored); err != nil {
		t.Fatal(err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 10 << 20, TotalBytes: 1 << 30})
	for range 20 { // the file system is asked every few megabytes
		if _, err = s.Append(ctx, big()); err != nil {
			break
		}
	}
	if !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("append answers %v", err)
	}
	for _, part := range []string{"data folder data", "10 MiB free", "200 MiB needed"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if res, err := s.Append(ctx, stored); err != nil || !res.Duplicate {
		t.Errorf("a repeated append answers %+v, %v", res, err)
	}
	if told := s.Trouble(); told == nil || told.Error() != err.Error() {
		t.Errorf("the trouble is %v", told)
	}
	if s.Err() != nil {
		t.Errorf("the store failed: %v", s.Err())
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 300 << 20, TotalBytes: 1 << 30})
	until(func() bool { return s.Trouble() == nil })
	if _, err := s.Append(ctx, big()); err != nil {
		t.Errorf("with room again, append answers %v", err)
	}
}

// Ensure that Close answers everybody: appends under way, subscribers, and those who come later.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20}, vfs.NewMem())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, 1)
	for range 4 {
		wg.Go(func() {
			for {
				_, err := s.Append(t.Context(), eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{event("x")}})
				if err != nil {
					if !errors.Is(err, eventstore.ErrUnavailable) {
						t.Errorf("append answers %v", err)
					}
					return
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
		wg.Go(func() {
			var last error
			for _, err := range s.Subscribe(t.Context(), 0) {
				last = err
			}
			if !errors.Is(last, eventstore.ErrUnavailable) {
				t.Errorf("subscription ends with %v", last)
			}
		})
	}
	<-started
	for range 2 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	allUnavailable(t, s)
}
