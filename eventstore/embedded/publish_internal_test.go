package embedded

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/logoutd/logoutd/eventstore"
)

// Ensure that whoever is answered finds the append when reading at once.
func TestTheWatermarkMovesBeforeAnybodyIsAnswered(t *testing.T) {
	t.Parallel()
	s, err := open(Config{Dir: "data", CacheBytes: 1 << 20}, vfs.NewMem())
	if err != nil {
		t.Fatal(err)
	}
	g := <-s.free
	g.last = 7
	first, second := &request{done: make(chan struct{})}, &request{done: make(chan struct{})}
	g.requests = append(g.requests, first, second)
	published := make(chan struct{})
	go func() {
		defer close(published)
		s.publish(g)
	}()
	<-first.done
	if at := s.durable.load(); at != 7 { // the second still waits for its answer
		t.Errorf("answered at watermark %s", at)
	}
	<-second.done
	<-published
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Ensure that an id filter which could not read the ids of former runs knows nothing until it could.
func TestIDFilterIsNotReadyWhileReadingFails(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	var hits atomic.Int64
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && strings.HasSuffix(op.Path, ".sst") && op.Kind == errorfs.OpFileReadAt {
			hits.Add(1)
			return syscall.EIO
		}
		return nil
	}))
	s, err := open(Config{Dir: "data", CacheBytes: 1 << 10, memTableBytes: 256 << 10}, fsys)
	if err != nil {
		t.Fatal(err)
	}
	var stored []eventstore.Append
	for i := range 500 {
		a := eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{
			{ID: eventstore.EventID{13: 1, 14: byte(i >> 8), 15: byte(i)}, Type: "T", Data: make([]byte, 4<<10)}}} //nolint:gosec // small
		if _, err := s.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, a)
	}
	wait := func(reached func() bool) {
		for !reached() {
			runtime.Gosched()
		}
	}
	wait(s.filter.ready.Load)
	s.filter = newIDFilter()
	armed.Store(true)
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		s.fillFilter()
	}()
	wait(func() bool { return hits.Load() >= 2 || s.filter.ready.Load() })
	if s.filter.ready.Load() {
		t.Error("the filter is ready, and has read nothing")
	}
	if _, err := s.Append(t.Context(), stored[0]); err == nil {
		t.Error("an append that cannot be looked up is stored")
	}
	armed.Store(false)
	<-filled
	if res, err := s.Append(t.Context(), stored[0]); err != nil || !res.Duplicate {
		t.Errorf("a repeat returns %+v, %v", res, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Ensure that a log which has failed is not changed for the next one as if nothing were.
func TestAFailedLogIsNotClosedInPeace(t *testing.T) {
	t.Parallel()
	var lost error
	f := &diskFS{FS: vfs.NewMem(), lose: func(err error) {
		lost = err
		runtime.Goexit() // it must not return
	}}
	f.strict.Store(true)
	file, err := f.FS.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	l := &logFile{File: file, fs: f, name: "000001.log"}
	_ = l.note(syscall.EIO)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = l.Close()
	}()
	<-ended
	if !errors.Is(lost, syscall.EIO) {
		t.Errorf("the store is lost for %v", lost)
	}
}
