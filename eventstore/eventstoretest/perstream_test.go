package eventstoretest_test

import (
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// Ensure that the store which others are tested over is weak in one thing only.
func TestPerStreamIsWeakInIDsOnly(t *testing.T) {
	t.Parallel()
	const repeats = "a repeated append is answered like the first"
	eventstoretest.Run(t, func(t *testing.T) eventstore.Store {
		p := eventstoretest.NewPerStream()
		t.Cleanup(func() { _ = p.Close() })
		return p
	},
		eventstoretest.Skip("E6", repeats),
		eventstoretest.Skip("E7", "ids are known per stream"),
		eventstoretest.Skip("E8/a refused or repeated append leaves the snapshot alone", repeats),
		eventstoretest.Skip("model", repeats))
}

// Ensure that it answers a repeated append as EventStoreDB does.
func TestPerStreamRepeats(t *testing.T) {
	t.Parallel()
	p := eventstoretest.NewPerStream()
	event := func(n byte) eventstore.Event { return eventstore.Event{ID: eventstore.EventID{n}, Type: "T"} }
	add := func(stream string, expected eventstore.Expected, ids ...byte) (eventstore.Result, error) {
		a := eventstore.Append{Stream: stream, Expected: expected}
		for _, n := range ids {
			a.Events = append(a.Events, event(n))
		}
		return p.Append(t.Context(), a)
	}
	for i, c := range []struct {
		stream   string
		expected eventstore.Expected
		ids      []byte
		revision uint64
		ok       bool
	}{
		{"s", eventstore.NoStream, []byte{1, 2}, 1, true},
		{"s", 1, []byte{3}, 2, true},
		{"s", eventstore.NoStream, []byte{1, 2}, 1, true}, // the same again, in its place
		{"s", eventstore.NoStream, []byte{1}, 0, true},    // a part of it, too
		{"s", eventstore.NoStream, []byte{1, 9}, 0, false},
		{"s", eventstore.NoStream, []byte{9}, 0, false},
		{"s", 0, []byte{1, 2}, 0, false},
		{"s", 1, []byte{3, 4}, 0, false},
		{"s", 7, []byte{1}, 0, false},
		{"s", 2, []byte{1}, 3, true}, // written again: ids are looked at behind the end only
		{"s", eventstore.Any, []byte{1, 2}, 1, true},
		{"s", eventstore.Any, []byte{5}, 4, true},
		{"other", eventstore.NoStream, []byte{1}, 0, true},
	} {
		res, err := add(c.stream, c.expected, c.ids...)
		if (err == nil) != c.ok || res.Revision != c.revision || res.Duplicate {
			t.Errorf("append %d, of %v to %s expecting %s: %+v, %v", i, c.ids, c.stream, c.expected, res, err)
		}
	}
}
