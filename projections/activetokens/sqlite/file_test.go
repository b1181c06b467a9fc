package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// execute runs statements on a file, as somebody else would.
func execute(tb testing.TB, path string, statements ...string) {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

func TestRefusesFilesThatAreNotItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(tb testing.TB, path string)
		is    error
		says  string
	}{
		"newer": {
			spoil: func(tb testing.TB, path string) { execute(tb, path, "PRAGMA user_version = 3") },
			is:    projections.ErrVersion, says: "has version 3, this logoutd needs 2",
		},
		"older": {
			spoil: func(tb testing.TB, path string) { execute(tb, path, "PRAGMA user_version = 0") },
			is:    projections.ErrVersion, says: "has version 0",
		},
		"somebody else's": {
			spoil: func(tb testing.TB, path string) {
				remove(tb, path)
				execute(tb, path, "CREATE TABLE mine (a)")
			},
			says: "not a read model of logoutd",
		},
		"no database": {
			spoil: func(tb testing.TB, path string) {
				if err := os.WriteFile(path, []byte(strings.Repeat("these are my notes ", 999)), 0o600); err != nil {
					tb.Fatal(err)
				}
			},
			is: projections.ErrCorrupt, says: "corrupt",
		},
		"cut short": {
			spoil: func(tb testing.TB, path string) {
				if err := os.Truncate(path, 4096); err != nil {
					tb.Fatal(err)
				}
			},
			is: projections.ErrCorrupt, says: "corrupt",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "read.db")
			s := open(t, path)
			if err := errors.Join(acquire(s), s.Close()); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			err = acquire(s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err == nil || (c.is != nil && !errors.Is(err, c.is)) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("open: %v, want %q and the path", err, c.says)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func acquire(s *sqlite.Store) error {
	_, err := s.Acquire(context.Background())
	return err
}

func remove(tb testing.TB, path string) {
	tb.Helper()
	if err := os.Remove(path); err != nil {
		tb.Fatal(err)
	}
}

func TestAnyPathIsAPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a?b=c&mode=ro #%41 ü.db")
	s := open(t, path)
	if err := errors.Join(acquire(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("the file has mode %s and %d bytes", info.Mode(), info.Size())
	}
	if got := s.Describe().Location; got != path {
		t.Errorf("location %q", got)
	}
	if err := acquire(open(t, filepath.Join(t.TempDir(), "no", "where.db"))); err == nil {
		t.Error("opened a file in a folder that does not exist")
	}
}

// A context that has ended stops a batch without a trace, and the next one goes on from there.
func TestCancelledBatchChangesNothing(t *testing.T) {
	t.Parallel()
	store := memstoretest.New()
	h := memstoretest.NewHistory(t, store)
	for range 10 {
		h.Issue("ada", "")
	}
	s := open(t, filepath.Join(t.TempDir(), "read.db"))
	defer s.Close() //nolint:errcheck // looked at elsewhere
	if _, err := s.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	why := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	if err := s.Apply(ctx, 0, store.Events()); !errors.Is(err, why) {
		t.Errorf("apply: %v", err)
	}
	if c, err := s.Checkpoint(context.Background()); err != nil || c.Position != 0 {
		t.Errorf("checkpoint %+v, %v", c, err)
	}
	if err := s.Apply(context.Background(), 0, store.Events()); err != nil {
		t.Errorf("apply again: %v", err)
	}
}

// Readers see whole batches while others are written.
func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "read.db")
	s := open(t, path)
	defer s.Close() //nolint:errcheck // looked at elsewhere
	if _, err := s.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // only a lock
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE; UPDATE checkpoint SET position = 99"); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Checkpoint(context.Background()); err != nil || c.Position != 0 {
		t.Errorf("while another writes: %+v, %v", c, err)
	}
}
