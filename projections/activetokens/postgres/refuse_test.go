package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens/postgres"
	"github.com/logoutd/logoutd/projections/activetokens/postgres/postgrestest"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func TestRefusesSchemasThatAreNotItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil []string
		is    error
		says  string
	}{
		"newer":               {[]string{"UPDATE checkpoint SET version = 3"}, projections.ErrVersion, "activetokens@3, this logoutd needs activetokens@2"},
		"another read model":  {[]string{"UPDATE checkpoint SET model = 'sums'"}, projections.ErrVersion, "sums@2"},
		"somebody else's":     {[]string{"DROP TABLE checkpoint"}, projections.ErrVersion, "not of logoutd"},
		"a checkpoint of his": {[]string{"DROP TABLE checkpoint", "CREATE TABLE checkpoint (n int)"}, projections.ErrCorrupt, "drop the schema"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rawURL := newURL(t)
			made(t, rawURL)
			execute(t, rawURL, c.spoil...)
			_, err := opened(t, rawURL).Checkpoint(context.Background())
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), `schema "t`) {
				t.Errorf("open: %v, want %q and the schema", err, c.says)
			}
		})
	}
}

// A table that vanishes under a running process is told, with what to do; a schema that vanishes is made again.
func TestAVanishedSchemaIsMadeAgain(t *testing.T) {
	t.Parallel()
	source, rawURL := memstoretest.New(), newURL(t)
	h := memstoretest.NewHistory(t, source)
	s := opened(t, rawURL)
	if _, err := s.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	execute(t, rawURL, "DROP TABLE sessions CASCADE")
	h.Issue("ada", "")
	err := s.Apply(context.Background(), 0, source.Events())
	if !errors.Is(err, projections.ErrCorrupt) || !strings.Contains(err.Error(), "drop the schema to have it rebuilt") {
		t.Errorf("apply: %v", err)
	}
	execute(t, rawURL, "DROP SCHEMA "+pgx.Identifier{inVersion(schemaOf(t, rawURL))}.Sanitize()+" CASCADE")
	if c, err := s.Acquire(context.Background()); err != nil || c.Position != 0 {
		t.Errorf("acquire without a schema: %+v, %v", c, err)
	}
	if err := s.Apply(context.Background(), 0, source.Events()); err != nil {
		t.Errorf("apply to the new one: %v", err)
	}
}

func schemaOf(tb testing.TB, rawURL string) string {
	tb.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		tb.Fatal(err)
	}
	return u.Query().Get("search_path")
}

// Whoever may not come in is told so at once, and no error shows his password.
func TestRefusalsHideThePassword(t *testing.T) {
	t.Parallel()
	server := own(t)
	admin := server.URL("postgres")
	execute(t, admin, "CREATE ROLE guarded LOGIN PASSWORD '"+postgrestest.Password+"'", "CREATE SCHEMA "+inVersion("given")+" AUTHORIZATION guarded")
	as := func(password, database, schema string) string {
		u, err := url.Parse(server.URL(database))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("guarded", password)
		return with(t, u.String(), "search_path", schema)
	}
	for name, c := range map[string]struct{ url, says string }{
		"a wrong password":      {as("hunter2wrong", "postgres", "given"), "check user, password and database"},
		"a database of no kind": {as(postgrestest.Password, "nowhere", "given"), "nowhere"},
		"no right to make one":  {as(postgrestest.Password, "postgres", "mine"), "grant the user CREATE"},
	} {
		_, err := opened(t, c.url).Checkpoint(context.Background())
		if err == nil || projections.Permanent(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		hidesPassword(t, err)
	}
	s := made(t, as(postgrestest.Password, "postgres", "given"))
	if strings.Contains(s.Describe().Location, "guarded") {
		t.Errorf("location %s", s.Describe().Location)
	}
	execute(t, admin, "REVOKE ALL ON "+inVersion("given")+".checkpoint FROM guarded")
	_, err := s.Acquire(context.Background())
	if err == nil || projections.Permanent(err) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("acquire without the right to: %v", err)
	}
	hidesPassword(t, err)
}

func hidesPassword(tb testing.TB, err error) {
	tb.Helper()
	for _, secret := range []string{"hunter2", "s3cret", url.QueryEscape("s3cret/@"), "/@:#"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			tb.Errorf("shows the password: %v", err)
		}
	}
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, says string }{
		{"", "postgres://"},
		{"sqlite:x", "postgres://"},
		{"postgres://bob:hunter2/s3cret@db/x", "%2F"},
		{"postgres://bob:hunter2%zz@db/x", "%25"},
		{"postgres://bob:hunter2@db:99999/x", "port"},
		{"postgres://bob:hunter2@db/x?sslmode=sometimes", "sslmode"},
		{"postgres://bob@db/x?password=hunter2", "before the @"},
		{"postgres://bob@db/x?sslpassword=hunter2", "before the @"},
		{"postgres://bob:hunter2@db/x?search_path=a,b", "one schema"},
		{"postgres://bob:hunter2@db/x?search_path=pg_catalog", "one schema"},
	} {
		s, err := postgres.New(context.Background(), postgres.Config{URL: c.url})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no password", c.url, err, c.says)
		}
		if shown := postgres.Redact(c.url); strings.Contains(shown, "hunter2") || strings.Contains(shown, "bob") {
			t.Errorf("%s is shown as %s", c.url, shown)
		}
	}
	if got, want := postgres.Redact("postgresql://bob:x@h1:1,h2:2/db?sslmode=require"), "postgresql://redacted@h1:1,h2:2/db"; got != want {
		t.Errorf("shown as %s, want %s", got, want)
	}
}

// A server that accepts and says nothing is an error after a while.
func TestASilentServerIsAnError(t *testing.T) {
	t.Parallel()
	rawURL := newURL(t)
	made(t, rawURL)
	s, err := postgres.New(context.Background(), postgres.Config{URL: rawURL, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()                               //nolint:errcheck // looked at elsewhere
	eventually(t, "it is acquired", func() bool { // on a busy machine a connection may take longer than that
		_, err := s.Acquire(context.Background())
		return err == nil
	})
	lockHeld := make(chan struct{})
	go func() {
		defer close(lockHeld)
		execute(t, rawURL, "BEGIN", "SELECT FROM checkpoint FOR UPDATE", "SELECT pg_sleep(1)")
	}()
	eventually(t, "the row is locked", func() bool {
		_, err = s.Acquire(context.Background())
		return err != nil
	})
	if !errors.Is(err, context.DeadlineExceeded) || projections.Permanent(err) {
		t.Errorf("acquire: %v", err)
	}
	<-lockHeld
}
