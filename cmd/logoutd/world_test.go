package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// world is what a logoutd under test keeps its events in.
type world struct {
	name  string
	flags []string // of the logoutd under test
}

// inEveryWorld runs an acceptance test on the embedded store, and against a second logoutd that
// serves the EventStoreDB protocol, over real sockets and through the official client.
func inEveryWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, name := range []string{"embedded", "esdb"} {
		t.Run(name, func(t *testing.T) {
			w := &world{name: name}
			if name == "esdb" {
				data := t.TempDir()
				store := startServer(t, data, "--esdb-allow-append")
				// With the floor that it has by default, thousands of commands in a row take minutes.
				w.flags = []string{"--store", store.ESDB, "--key-file", filepath.Join(data, "keys"), "--esdb-listen", "", "--reply-floor", "1ms"}
			}
			test(t, w)
		})
	}
}

// gapless tells whether positions count events one by one (E5).
func (w *world) gapless() bool { return w.name == "embedded" }

func (w *world) start(t testing.TB, data string, extra ...string) *server {
	t.Helper()
	return startServer(t, data, append(slices.Clone(w.flags), extra...)...)
}

func (w *world) startProcess(t testing.TB, data string) *process {
	t.Helper()
	return startProcess(t, data, w.flags...)
}
