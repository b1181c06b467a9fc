package embedded

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/logoutd/logoutd/eventstore"
)

func TestHeadCacheNeverPutsAnOldHeadOverANewOne(t *testing.T) {
	t.Parallel()
	c := newHeadCache(32 << 20)
	t.Cleanup(c.close)
	key := []byte("h/stream")
	before := c.before(key) // a loader begins,
	c.written(key, []byte("new"))
	c.loaded(key, []byte("old"), before) // and ends after the sequencer has written
	if got := c.get(key); string(got) != "new" {
		t.Errorf("cache holds %q, want the head that was written last", got)
	}
	c.loaded(key, []byte("new again"), c.before(key))
	if got := c.get(key); string(got) != "new again" {
		t.Errorf("cache holds %q, want what an undisturbed loader read", got)
	}
}

func TestHeadCacheForgetsWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	c := newHeadCache(32 << 20)
	t.Cleanup(c.close)
	key := []byte("h/stream")
	c.written(key, []byte("small"))
	c.written(key, bytes.Repeat([]byte("x"), 100<<10))
	if got := c.get(key); got != nil {
		t.Errorf("cache holds %d bytes of an older head", len(got))
	}
}

func TestIDFilterNeverCallsAStoredIDNew(t *testing.T) {
	t.Parallel()
	f := newIDFilter()
	const stored, probes = 200_000, 200_000
	id := func(n int) (id eventstore.EventID) {
		binary.BigEndian.PutUint64(id[8:], uint64(n))
		return id
	}
	if f.add(id(0)); f.isNew(id(1)) {
		t.Error("a filter that is not filled yet must know nothing")
	}
	f.ready.Store(true)
	for n := range stored {
		f.add(id(n))
	}
	for n := range stored {
		if f.isNew(id(n)) {
			t.Fatalf("id %d was added and is called new", n)
		}
	}
	wrong := 0
	for n := range probes {
		if !f.isNew(id(stored + n)) {
			wrong++
		}
	}
	if wrong > probes/100 {
		t.Errorf("%d of %d new ids need a look-up: the filter filters nothing", wrong, probes)
	}
}

func TestIDFilterIsFilledFromFormerRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := eventstore.EventID{15: 1}
	write := func(s *Store, stream string, id eventstore.EventID) error {
		_, err := s.Append(t.Context(), eventstore.Append{
			Stream: stream, Expected: eventstore.NoStream, Events: []eventstore.Event{{ID: id, Type: "T", Data: []byte("{}")}},
		})
		return err
	}
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(s, "a", first); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.fillFilter() // once more, so that the test need not wait for the first
	if !s.filter.ready.Load() || s.filter.isNew(first) {
		t.Error("the filter does not know the id of a former run")
	}
	if err := write(s, "b", first); err == nil {
		t.Error("an id of a former run was stored again in another stream")
	}
}
