package embedded_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func sample() eventstore.Append {
	a := eventstore.Append{Stream: "refreshToken-1", Events: []eventstore.Event{event("one"), event("two"), event("three")}}
	a.Events[1].ContentType = eventstore.OctetStream
	a.Events[2].Metadata = nil
	return a
}

// Ensure that a record gives back what was put in, and that no single damaged byte goes unnoticed, not even
// when the record is whole but under another record's key.
func TestRecordDamage(t *testing.T) {
	t.Parallel()
	a := sample()
	rec := embedded.EncodeRecord(a, 12345, 7, 42)
	events, err := embedded.DecodeRecord(42, rec)
	if err != nil || len(events) != len(a.Events) {
		t.Fatal(events, err)
	}
	for i, e := range events {
		want := a.Events[i]
		if e.ID != want.ID || e.Type != want.Type || e.ContentType != want.ContentType ||
			!bytes.Equal(e.Data, want.Data) || !bytes.Equal(e.Metadata, want.Metadata) ||
			e.Stream != a.Stream || e.Revision != uint64(7+i) || e.Position != eventstore.Position(42+i) || //nolint:gosec // small
			e.RecordedAt.UnixNano() != 12345 {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	for i := range rec {
		damaged := bytes.Clone(rec)
		damaged[i] ^= 0x10
		if _, err := embedded.DecodeRecord(42, damaged); err == nil {
			t.Errorf("byte %d is damaged and nobody notices", i)
		}
		if _, err := embedded.DecodeRecord(42, rec[:i]); err == nil {
			t.Errorf("only %d bytes are left and nobody notices", i)
		}
	}
	if _, err := embedded.DecodeRecord(43, rec); err == nil {
		t.Error("a record under another key is taken")
	}
}

// FuzzRecord feeds bytes with a valid checksum: whatever a writer of another mind may have produced, decoding ends
// with an error or with events, and what decodes encodes to the same bytes.
func FuzzRecord(f *testing.F) {
	rec := embedded.EncodeRecord(sample(), 1, 2, 3)
	f.Add(rec)
	f.Add(rec[:30])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = embedded.Reseal(b, 3)
		events, err := embedded.DecodeRecord(3, b)
		if err != nil || len(b) == 0 {
			return
		}
		a := eventstore.Append{Stream: events[0].Stream}
		for _, e := range events {
			a.Events = append(a.Events, e.Event)
		}
		again, err := embedded.DecodeRecord(3, embedded.EncodeRecord(a, events[0].RecordedAt.UnixNano(), events[0].Revision, 3))
		if err != nil || len(again) != len(events) {
			t.Fatal(again, err)
		}
		for i := range events {
			if again[i].ID != events[i].ID || !bytes.Equal(again[i].Data, events[i].Data) || !bytes.Equal(again[i].Metadata, events[i].Metadata) {
				t.Fatalf("%+v became %+v", events[i], again[i])
			}
		}
	})
}

// Ensure that damage anywhere in the folder is reported as such by whoever meets it.
func TestStoredDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := embedded.Open(embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	a, b := sample(), sample()
	a.Expected, b.Expected, b.Stream, b.Snapshot = eventstore.Any, eventstore.Any, "other", []byte("snap")
	_, errA := s.Append(t.Context(), a)
	_, errB := s.Append(t.Context(), b)
	_, errC := s.Append(t.Context(), eventstore.Append{Stream: "last", Expected: eventstore.Any, Events: []eventstore.Event{event("x")}})
	if err := errors.Join(errA, errB, errC, s.Close()); err != nil {
		t.Fatal(err)
	}
	damage(t, dir, []byte("g/\x00\x00\x00\x00\x00\x00\x00\x01"), []byte("h/other"))
	s = mustOpen(t, embedded.Config{Dir: dir})
	check := func(what string, err error) {
		if !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s answers %v", what, err)
		}
	}
	_, err = s.Load(t.Context(), a.Stream)
	check("load through a damaged record", err)
	_, err = s.Load(t.Context(), "other")
	check("load of a damaged head", err)
	_, err = s.Append(t.Context(), a)
	check("repeated append", err)
	b.Events[0].ID = newID()
	_, err = s.Append(t.Context(), b)
	check("append on a damaged head", err)
	for _, err := range s.ReadAll(t.Context(), 0, eventstore.Forward) {
		check("read", err)
	}
	for _, err := range s.Subscribe(t.Context(), 0) {
		check("subscription", err)
	}
	for _, err := range s.ReadStream(t.Context(), a.Stream, eventstore.End, eventstore.Backward) {
		check("stream read", err)
	}
	if l, err := s.Load(t.Context(), "last"); err != nil || l.Revision != 0 {
		t.Errorf("a stream that is not damaged answers %+v, %v", l, err)
	}
}

// damage flips the last byte of values, behind the back of the store.
func damage(t *testing.T, dir string, keys ...[]byte) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FS: vfs.Default, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		v, closer, err := db.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		v = bytes.Clone(v)
		v[len(v)-1] ^= 1
		if err := errors.Join(closer.Close(), db.Set(key, v, pebble.Sync)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
