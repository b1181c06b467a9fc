package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestNEW12ARebuiltReadModelEqualsTheLiveOne: deleted and built again from the events, the read
// model is the same, byte for byte.
func TestNEW12ARebuiltReadModelEqualsTheLiveOne(t *testing.T) {
	t.Parallel()
	inEveryWorld(t, rebuiltEqualsLive)
}

func rebuiltEqualsLive(t *testing.T, w *world) {
	data := t.TempDir()
	s := w.start(t, data)
	for i := range 40 {
		user := fmt.Sprintf("user-%d", i)
		_, token := s.token(user)
		switch i % 4 {
		case 0: // stays
		case 1:
			s.logout(newID(), user, token)
		case 2:
			s.logout(newID(), "mallory", token)
		case 3:
			s.logout(newID(), user, token)
			s.logout(newID(), user, token)
		}
	}
	live := dumpReadModel(t, s)
	s.stop()
	for _, file := range must(filepath.Glob(filepath.Join(data, "readmodel.db*"))) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if rebuilt := dumpReadModel(t, w.start(t, data)); !bytes.Equal(live, rebuilt) {
		t.Errorf("rebuilt:\n%s\nlive:\n%s", rebuilt, live)
	}
}
