package postgres_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/activetokens/activetokenstest"
	"github.com/logoutd/logoutd/projections/activetokens/postgres"
	"github.com/logoutd/logoutd/projections/activetokens/postgres/postgrestest"
)

// cluster is one server for all tests but those that stop it.
type cluster struct {
	once   sync.Once
	server *postgrestest.Server
	url    string
	err    error
	next   atomic.Int64 // schema
}

var shared cluster //nolint:gochecknoglobals // started once, by the first test that needs it

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if shared.server != nil {
			if err := shared.server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		os.Exit(code)
	}))
}

func (c *cluster) start() {
	if c.url = os.Getenv(postgrestest.Environment); c.url != "" {
		return
	}
	if c.server, c.err = postgrestest.Start(); c.err == nil {
		c.url = c.server.URL("postgres")
	}
}

// newURL names a schema that does not exist yet, on the server of all tests.
func newURL(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(shared.start)
	if errors.Is(shared.err, postgrestest.ErrMissing) {
		tb.Skip(shared.err)
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	schema := fmt.Sprintf("t%d_%d \u00fc", os.Getpid(), shared.next.Add(1))
	tb.Cleanup(func() {
		execute(tb, shared.url, "DROP SCHEMA IF EXISTS "+pgx.Identifier{inVersion(schema)}.Sanitize()+" CASCADE")
	})
	return with(tb, shared.url, "search_path", schema)
}

// inVersion is the schema that is made for a search_path (PG4).
func inVersion(searchPath string) string {
	return fmt.Sprintf("%s_%d", searchPath, activetokens.Version)
}

// with adds a parameter to a URL.
func with(tb testing.TB, raw, name, value string) string {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String()
}

// execute runs statements as somebody else would, in the schema that belongs to the URL.
func execute(tb testing.TB, rawURL string, statements ...string) {
	tb.Helper()
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		tb.Fatal(err)
	}
	if schema := config.RuntimeParams["search_path"]; schema != "" {
		config.RuntimeParams["search_path"] = pgx.Identifier{inVersion(schema)}.Sanitize()
	}
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // only a test
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}

func open(tb testing.TB, rawURL string) *postgres.Store {
	tb.Helper()
	s, err := postgres.New(context.Background(), postgres.Config{URL: rawURL})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return s
}

// opened closes the store at the end of the test.
func opened(tb testing.TB, rawURL string) *postgres.Store {
	tb.Helper()
	s := open(tb, rawURL)
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// made is a store whose tables are there.
func made(tb testing.TB, rawURL string) *postgres.Store {
	tb.Helper()
	s := opened(tb, rawURL)
	if _, err := s.Checkpoint(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return s
}

func fresh(tb testing.TB) activetokenstest.Open {
	tb.Helper()
	rawURL := newURL(tb)
	return func(tb testing.TB) activetokens.ReadModel {
		tb.Helper()
		return open(tb, rawURL)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	activetokenstest.Run(t, fresh)
}

func TestLocationShowsNobody(t *testing.T) {
	t.Parallel()
	s := opened(t, newURL(t))
	d := s.Describe()
	if !strings.HasPrefix(d.Location, `schema "t`) || !strings.Contains(d.Location, " of postgres://") || strings.Contains(d.Location, "@") {
		t.Errorf("location %s", d.Location)
	}
}
