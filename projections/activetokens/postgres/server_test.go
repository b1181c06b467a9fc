package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens/postgres"
	"github.com/logoutd/logoutd/projections/activetokens/postgres/postgrestest"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// process is one logoutd, as far as the read model goes.
type process struct {
	testing.TB
	store  *postgres.Store
	runner *projections.Runner
	stop   func() error
}

func start(tb testing.TB, source *memstoretest.Store, rawURL string) *process {
	tb.Helper()
	store, err := postgres.New(context.Background(), postgres.Config{URL: rawURL, TurnEvery: 10 * time.Millisecond, Timeout: 10 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	runner, err := projections.NewRunner(projections.Config{Source: source, Projection: store, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, store.Close())
	})
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Errorf("stopped with %v", err)
		}
	})
	return &process{TB: tb, store: store, runner: runner, stop: stop}
}

// eventually waits until something is so, as long as the test may run.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			tb.Fatalf("it did not come to this: %s", what)
		}
	}
}

func (p *process) reaches(at eventstore.Position) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.runner.WaitFor(ctx, at); err != nil {
		p.Fatalf("wait for %s: %v, %+v", at, err, p.runner.Status())
	}
}

func (p *process) becomes(what string, is func(s projections.Status) bool) {
	p.Helper()
	eventually(p, what, func() bool { return is(p.runner.Status()) })
}

func active(s projections.Status) bool  { return s.Running && !s.Standby }
func standby(s projections.Status) bool { return s.Running && s.Standby && s.Healthy }

// equalsRebuilt compares what a process shows with a read model filled from nothing.
func (p *process) equalsRebuilt(source *memstoretest.Store) {
	p.Helper()
	other := opened(p, newURL(p))
	if _, err := other.Acquire(context.Background()); err != nil {
		p.Fatal(err)
	}
	if err := other.Apply(context.Background(), 0, source.Events()); err != nil {
		p.Fatal(err)
	}
	var mine, rebuilt strings.Builder
	if err := errors.Join(p.store.Dump(context.Background(), &mine), other.Dump(context.Background(), &rebuilt)); err != nil {
		p.Fatal(err)
	}
	if mine.String() != rebuilt.String() {
		p.Errorf("shows\n%s\nrebuilt it is\n%s", mine.String(), rebuilt.String())
	}
}

func TestTwoProcessesShareOneReadModel(t *testing.T) {
	t.Parallel()
	source, rawURL := memstoretest.New(), newURL(t)
	h := memstoretest.NewHistory(t, source)
	a := start(t, source, rawURL)
	a.becomes("the first has its turn", active)
	b := start(t, source, rawURL)
	b.becomes("the second stands by", standby)

	f := h.Issue("ada", "")
	h.LogOut(f, "ada")
	b.reaches(4)
	if row, at, err := b.store.Session(context.Background(), f.ID()); err != nil || at != 4 || row.Revocation.By != "ada" {
		t.Errorf("read from the standby: %+v at %s, %v", row, at, err)
	}
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	h.Issue("bob", "")
	b.reaches(5)
	b.becomes("the standby took over", active)
	b.equalsRebuilt(source)
}

// The server ends every connection of the one that applies, while events keep coming.
func TestFailoverWhenTheConnectionsAreKilled(t *testing.T) {
	t.Parallel()
	source, rawURL := memstoretest.New(), with(t, newURL(t), "application_name", t.Name())
	h := memstoretest.NewHistory(t, source)
	other := with(t, rawURL, "application_name", t.Name()+" 2")
	a := start(t, source, rawURL)
	a.becomes("the first has its turn", active)
	b := start(t, source, other)
	b.becomes("the second stands by", standby)
	for range 5 {
		for range 20 {
			h.LogOut(h.Issue("ada", ""), "ada")
		}
		// Whoever holds the lock, and everything of the first.
		execute(t, shared.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"+t.Name()+"'")
	}
	at, err := source.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a.reaches(at)
	b.reaches(at)
	b.becomes("the second has its turn", active)
	h.Issue("bob", "")
	a.reaches(at + 1)
	b.reaches(at + 1)
	a.becomes("the first stands by", standby)
	b.equalsRebuilt(source)
}

// own is a server of the test's own, which it may stop.
func own(tb testing.TB) *postgrestest.Server {
	tb.Helper()
	s, err := postgrestest.Start()
	if errors.Is(err, postgrestest.ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// The server is away at the start, comes, crashes in the middle and comes again.
func TestTheServerMayGoAndComeBack(t *testing.T) {
	t.Parallel()
	server := own(t)
	if err := server.Down(); err != nil {
		t.Fatal(err)
	}
	source := memstoretest.New()
	h := memstoretest.NewHistory(t, source)
	h.Issue("ada", "")
	a, b := start(t, source, server.URL("postgres")), start(t, source, server.URL("postgres"))
	a.becomes("it says why it cannot start", func(s projections.Status) bool { return s.Err != nil })
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	a.reaches(1)
	b.reaches(1)
	if err := server.Down(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		h.LogOut(h.Issue("ada", ""), "ada")
	}
	both := func(s projections.Status) bool { return s.Err != nil && !projections.Permanent(s.Err) }
	a.becomes("it tells of the trouble", both)
	b.becomes("it tells of the trouble", both)
	if _, _, err := b.store.Session(context.Background(), memstoretest.SessionID(0)); err == nil {
		t.Error("read from a server that is down")
	}
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	a.reaches(401)
	b.reaches(401)
	a.equalsRebuilt(source)
}

// What the server says of a full disk passes; the batch is applied when there is room again.
func TestAFullDiskPasses(t *testing.T) {
	t.Parallel()
	source, rawURL := memstoretest.New(), newURL(t)
	h := memstoretest.NewHistory(t, source)
	a := start(t, source, rawURL)
	a.becomes("it has its turn", active)
	execute(t, rawURL,
		`CREATE FUNCTION no_room() RETURNS trigger AS $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$ LANGUAGE plpgsql`,
		`CREATE TRIGGER no_room BEFORE INSERT ON sessions EXECUTE FUNCTION no_room()`)
	h.Issue("ada", "")
	a.becomes("it tells of the full disk", func(s projections.Status) bool {
		return s.Err != nil && strings.Contains(s.Err.Error(), "No space left") && s.Healthy && s.Position == 0
	})
	execute(t, rawURL, `DROP TRIGGER no_room ON sessions`)
	a.reaches(1)
}

// The epoch holds even where two believe that they have the turn.
func TestTheFenceHoldsWithoutTheTurn(t *testing.T) {
	t.Parallel()
	source, rawURL := memstoretest.New(), newURL(t)
	h := memstoretest.NewHistory(t, source)
	a := start(t, source, rawURL)
	h.Issue("ada", "")
	a.reaches(1)
	a.becomes("it has its turn", active)
	rival := opened(t, rawURL)
	if _, err := rival.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Issue("bob", "")
	a.reaches(2) // fenced, it acquires again
	err := rival.Apply(context.Background(), 2, source.Events()[:1])
	if !errors.Is(err, projections.ErrFenced) {
		t.Errorf("the rival applies: %v", err)
	}
	a.equalsRebuilt(source)
}

func TestTheTurnIsExclusiveAndEnds(t *testing.T) {
	t.Parallel()
	rawURL := newURL(t)
	a, b := opened(t, rawURL), opened(t, rawURL)
	release, err := a.Await(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("patience is over")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, why)
	defer cancel()
	if _, err := b.Await(ctx); err == nil {
		t.Error("two have the turn")
	}
	other := opened(t, newURL(t)) // another schema is another read model
	theirs, err := other.Await(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	theirs()
	release()
	release()
	again, err := b.Await(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// Ten processes start at once on a database in which there is nothing.
func TestManyMakeTheTablesAtOnce(t *testing.T) {
	t.Parallel()
	rawURL := newURL(t)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			s, err := postgres.New(context.Background(), postgres.Config{URL: rawURL})
			if err != nil {
				t.Error(err)
				return
			}
			_, err = s.Checkpoint(context.Background())
			if err := errors.Join(err, s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestPeopleReadTheView(t *testing.T) {
	t.Parallel()
	source, rawURL := memstoretest.New(), newURL(t)
	h := memstoretest.NewHistory(t, source)
	h.LogOut(h.Issue("ada", "web"), "ada")
	s := opened(t, rawURL)
	if _, err := s.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(context.Background(), 0, source.Events()); err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{inVersion(config.RuntimeParams["search_path"])}.Sanitize()
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // only a test
	var line string
	err = conn.QueryRow(context.Background(),
		"SELECT concat_ws(' ', user_id, client_id, token_kind, generation, status, revoked_reason, revoked_by, issued_at AT TIME ZONE 'UTC') FROM tokens").Scan(&line)
	if want := "ada web registered 0 revoked logout ada " + memstoretest.Epoch.Format(time.DateTime); err != nil || line != want {
		t.Errorf("%q, %v; want %q", line, err, want)
	}
}
