package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// living is a read model with its runner.
type living struct {
	testing.TB
	store  *memstoretest.Store
	model  *sqlite.Store
	runner *projections.Runner
}

func live(tb testing.TB, store *memstoretest.Store, path string) *living {
	tb.Helper()
	model := open(tb, path)
	runner, err := projections.NewRunner(projections.Config{Source: store, Projection: model, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, model.Close()); err != nil {
			tb.Errorf("stopped with %v", err)
		}
	})
	return &living{TB: tb, store: store, model: model, runner: runner}
}

// becomes waits until the status is as it should be.
func (l *living) becomes(what string, is func(s projections.Status) bool) {
	l.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	for !is(l.runner.Status()) {
		select {
		case <-ticker.C:
		case <-timeout.C:
			l.Fatalf("it did not come to this: %s: %+v", what, l.runner.Status())
		}
	}
}

// equalsRebuilt waits for the head and compares with a read model that is filled from nothing.
func (l *living) equalsRebuilt() {
	l.Helper()
	events := l.store.Events()
	head := events[len(events)-1].Position
	l.becomes("it is at the head", func(s projections.Status) bool { return s.Unusable == nil && s.Position == head })
	other := open(l, filepath.Join(l.TempDir(), "other.db"))
	defer other.Close() //nolint:errcheck // looked at elsewhere
	if err := errors.Join(acquire(other), other.Apply(context.Background(), 0, events)); err != nil {
		l.Fatal(err)
	}
	var mine, rebuilt bytes.Buffer
	if err := errors.Join(l.model.Dump(context.Background(), &mine), other.Dump(context.Background(), &rebuilt)); err != nil {
		l.Fatal(err)
	}
	if mine.String() != rebuilt.String() {
		l.Errorf("shows\n%s\nrebuilt it is\n%s", mine.String(), rebuilt.String())
	}
}

// Damage that only a reader comes across is mended with the next event.
func TestDamageThatAReaderFindsIsMended(t *testing.T) {
	t.Parallel()
	store := memstoretest.New()
	h := memstoretest.NewHistory(t, store)
	for range 500 {
		h.Issue("ada", "")
	}
	path := filepath.Join(t.TempDir(), "read.db")
	s := open(t, path)
	if err := errors.Join(acquire(s), s.Apply(context.Background(), 0, store.Events()), s.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages := bytes.Repeat([]byte{0xee}, 4096)
	for page := 10; page < len(content)/4096; page++ {
		copy(content[page*4096:], pages)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, leftover := range []string{".rebuilding", ".replaced"} { // of a process that was killed, and of an earlier mending
		if err := os.WriteFile(path+leftover, []byte("left over"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := live(t, store, path)
	l.becomes("it is open", func(s projections.Status) bool { return s.Unusable == nil })
	if err := l.model.Dump(context.Background(), new(bytes.Buffer)); !errors.Is(err, projections.ErrCorrupt) {
		t.Fatalf("dump: %v", err)
	}
	h.Other("something-else")
	l.equalsRebuilt()
	if kept, err := os.ReadFile(path + ".replaced"); err != nil || len(kept) < 10*4096 {
		t.Errorf("the damaged file is not kept: %d bytes, %v", len(kept), err)
	}
	if _, err := os.Stat(path + ".rebuilding"); err == nil {
		t.Error("the rebuild is still there")
	}
}

// Where somebody looks into the old file, its log stays when it is closed. It is not taken for the
// new one's.
func TestTheLogOfTheOldFileGoesWithIt(t *testing.T) {
	t.Parallel()
	theirs, ours := memstoretest.New(), memstoretest.New()
	memstoretest.NewHistory(t, theirs).Other("something-else")
	h := memstoretest.NewHistory(t, ours)
	h.LogOut(h.Issue("ada", ""), "ada")
	path := filepath.Join(t.TempDir(), "read.db")
	s := open(t, path)
	if err := errors.Join(acquire(s), s.Apply(context.Background(), 0, theirs.Events())); err != nil {
		t.Fatal(err)
	}
	looking, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer looking.Close() //nolint:errcheck // only looks
	var sessions int
	if err := looking.QueryRow("SELECT count(*) FROM sessions").Scan(&sessions); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	live(t, ours, path).equalsRebuilt()
	if kept, err := os.ReadFile(path + ".replaced"); err != nil || bytes.Contains(kept, []byte("ada")) {
		t.Errorf("it took two rebuilds: the first one was spoiled and replaced as well, %v", err)
	}
}

// A file that another program holds is waited for, and is not rebuilt.
func TestALockedFileIsWaitedFor(t *testing.T) {
	t.Parallel()
	store, path := memstoretest.New(), filepath.Join(t.TempDir(), "read.db")
	memstoretest.NewHistory(t, store).Issue("ada", "")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	l := live(t, store, path)
	l.becomes("it says what is wrong", func(s projections.Status) bool {
		return s.Unusable != nil && strings.Contains(s.Unusable.Error(), "locked")
	})
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l.equalsRebuilt()
	if _, err := os.Stat(path + ".replaced"); err == nil {
		t.Error("a file that was only locked was replaced")
	}
}

// A database of another program is not ours to replace.
func TestTheFileOfAnotherProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	store, path := memstoretest.New(), filepath.Join(t.TempDir(), "read.db")
	execute(t, path, "CREATE TABLE mine (a)", "INSERT INTO mine VALUES (1)")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := live(t, store, path)
	l.becomes("it says what is wrong", func(s projections.Status) bool {
		return s.Unusable != nil && strings.Contains(s.Unusable.Error(), "not a read model of logoutd")
	})
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}
