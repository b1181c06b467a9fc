package embedded_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// childEnv makes the test binary act as another process: see child_test.go.
const childEnv = "LOGOUTD_EMBEDDED_TEST_CHILD"

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], dir) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // a folder of this test
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(b)
	}
	return found
}

// Ensure that a folder is held by one process at a time, and that the second one says so and changes nothing.
func TestFolderInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := child(t, "hold", dir)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatal(line, err)
	}
	before := files(t, dir)
	_, err = embedded.Open(embedded.Config{Dir: dir})
	want := "data folder " + dir + " is in use by another logoutd; stop it or choose another --data"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	after := files(t, dir)
	if len(before) == 0 || len(before) != len(after) {
		t.Errorf("%d files before, %d after", len(before), len(after))
	}
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s has changed", name)
		}
	}
	if err := errors.Join(in.Close(), holder.Wait()); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, embedded.Config{Dir: dir})
	if _, err := embedded.Open(embedded.Config{Dir: dir}); err == nil || err.Error() != want {
		t.Errorf("within one process: got %v, want %s", err, want)
	}
	if _, err := s.Head(t.Context()); err != nil {
		t.Error(err)
	}
}

// Ensure that a folder which is not, or is no longer, a store of this version is refused in one line
// that says what to do, and is left as it was.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(dir string) error
		says    string
		corrupt bool
	}{
		"newer format": {write("FORMAT", "logoutd event store 2\n"), "start the newer logoutd", false},
		"garbage":      {write("FORMAT", "\x00\x00\x00"), "restore the folder from a backup", true},
		"empty marker": {write("FORMAT", ""), "restore the folder from a backup", true},
		"no marker":    {os.Remove, "restore the one that was here", false},
		"other files":  {func(dir string) error { return errors.Join(clear(dir), write("notes.txt", "mine")(dir)) }, "choose an empty folder", false},
		"no manifest":  {remove("marker.manifest.*"), "no manifest", true},
		"lost table":   {remove("*.sst"), "restore the folder from a backup", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "made", "by", "open")
			fill(t, dir)
			prepare := c.prepare
			if name == "no marker" {
				prepare = remove("FORMAT")
			}
			if err := prepare(dir); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			s, err := embedded.Open(embedded.Config{Dir: dir})
			if err == nil {
				t.Fatal("opened", s.Close())
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
				t.Errorf("says %q, want %q, the folder, and one line", err, c.says)
			}
			if errors.Is(err, eventstore.ErrCorrupt) != c.corrupt {
				t.Errorf("corrupt is %v: %v", !c.corrupt, err)
			}
			after := files(t, dir)
			for name := range before {
				if _, ok := after[name]; !ok {
					t.Errorf("%s is gone", name)
				}
			}
		})
	}
}

// fill makes a store with a table in it.
func fill(t *testing.T, dir string) {
	t.Helper()
	for range 2 { // the second start writes what the log holds to a table
		s, err := embedded.Open(embedded.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Append(t.Context(), eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{event("x")}})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func write(name, text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
}

func remove(pattern string) func(string) error {
	return func(dir string) error {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if len(found) == 0 {
			return errors.New("nothing matches " + pattern)
		}
		for _, f := range found {
			err = errors.Join(err, os.Remove(f))
		}
		return err
	}
}

func clear(dir string) error { return remove("*")(dir) }

// Ensure that the folder is private, and that an interrupted first start is no obstacle.
func TestOpenCreates(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	mustOpen(t, embedded.Config{Dir: dir})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	started := t.TempDir()
	if err := errors.Join(write("LOCK", "")(started), write("FORMAT.tmp", "logo")(started), os.Mkdir(filepath.Join(started, "lost+found"), 0o700)); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, embedded.Config{Dir: started})
	if _, err := embedded.Open(embedded.Config{CacheBytes: -1}); err == nil ||
		!strings.Contains(err.Error(), "no data folder") || !strings.Contains(err.Error(), "negative") {
		t.Errorf("an invalid configuration answers %v", err)
	}
	if os.Getuid() != 0 { // root may write everywhere
		if _, err := embedded.Open(embedded.Config{Dir: "/proc/1/data"}); err == nil || !strings.Contains(err.Error(), "owner and mode") {
			t.Errorf("a folder without permission answers %v", err)
		}
	}
}

// Ensure that a copy taken under load opens, holds what was durable, and is refused when it is not finished.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	cfg := embedded.Config{Dir: "data", CacheBytes: 1 << 20}
	s, err := embedded.OpenFS(cfg, mem)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := s.Append(t.Context(), eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{event("0 of 1")}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Checkpoint(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(t.Context(), "copy"); err == nil {
		t.Error("a copy was written over another")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = "copy"
	c, err := embedded.OpenFS(cfg, mem)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := c.Head(t.Context()); p != 20 || err != nil {
		t.Errorf("the copy ends at %s (%v)", p, err)
	}
	if err := errors.Join(c.Close(), mem.Remove("copy/FORMAT")); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.OpenFS(cfg, mem); err == nil {
		t.Error("a copy without its last file was opened")
	}
}
