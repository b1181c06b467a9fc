package sqlite_test

import (
	"flag"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/activetokens/activetokenstest"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
)

// TestMain asks for fewer random histories than usual, for each opens several files; the flag
// -rapid.checks asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// fresh gives an opener of a file of its own.
func fresh(tb testing.TB) activetokenstest.Open {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "read model.db")
	return func(tb testing.TB) activetokens.ReadModel {
		tb.Helper()
		return open(tb, path)
	}
}

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.New(sqlite.Config{Path: path})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	activetokenstest.Run(t, fresh)
}
