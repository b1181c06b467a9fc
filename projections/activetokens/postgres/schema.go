package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// tables is an empty read model. Times are nanoseconds since 1970, kind, status and reason the
// numbers of their types, client_id is ” for none, and a parked
// session that was never issued has no user; the view tokens shows them to people. Names
// are compared byte by byte. A revocation changes no index, so that with some room on its page
// it is written beside the older row.
const tables = `
CREATE TABLE @sessions (
	session_id          uuid     NOT NULL PRIMARY KEY,
	user_id             text     COLLATE "C" NOT NULL,
	client_id           text     COLLATE "C" NOT NULL,
	kind                smallint NOT NULL,
	generation          bigint   NOT NULL,
	issued_at           bigint   NOT NULL,
	expires_at          bigint   NOT NULL,
	absolute_expires_at bigint   NOT NULL,
	status              smallint NOT NULL,
	revoked_at          bigint   NOT NULL,
	revoked_reason      smallint NOT NULL,
	revoked_by          text     NOT NULL,
	revision            bigint   NOT NULL,
	position            bigint   NOT NULL
) WITH (fillfactor = 75);
CREATE INDEX sessions_by_user ON @sessions (user_id, session_id);
CREATE INDEX sessions_by_client ON @sessions (client_id, session_id) WHERE client_id <> '';
CREATE TABLE @refused (
	session_id uuid   NOT NULL,
	position   bigint NOT NULL,
	stream     text   NOT NULL,
	PRIMARY KEY (session_id, position)
);
CREATE TABLE @unreadable (
	position   bigint NOT NULL PRIMARY KEY,
	stream     text   NOT NULL,
	session_id uuid
);
CREATE TABLE @checkpoint (
	model         text   NOT NULL,
	version       bigint NOT NULL,
	epoch         bigint NOT NULL,
	position      bigint NOT NULL,
	last_stream   text   NOT NULL,
	last_revision bigint NOT NULL,
	last_event    uuid   NOT NULL
);
CREATE UNIQUE INDEX checkpoint_is_one ON @checkpoint ((true));
`

// view shows sessions to people and their tools.
func view() string {
	return `CREATE VIEW @tokens AS SELECT session_id, nullif(user_id, '') AS user_id, nullif(client_id, '') AS client_id, ` +
		names("kind", refreshtoken.ParseKind) + ` AS token_kind, generation,
	to_timestamp(nullif(issued_at, 0) / 1e9) AS issued_at, to_timestamp(nullif(expires_at, 0) / 1e9) AS expires_at,
	to_timestamp(nullif(absolute_expires_at, 0) / 1e9) AS absolute_expires_at,
	CASE WHEN status = 2 THEN 'revoked' WHEN status = 3 THEN 'parked' WHEN expires_at <= extract(epoch FROM now()) * 1e9 THEN 'expired' ELSE 'active' END AS status,
	to_timestamp(nullif(revoked_at, 0) / 1e9) AS revoked_at, ` +
		names("revoked_reason", refreshtoken.ParseReason) + ` AS revoked_reason, nullif(revoked_by, '') AS revoked_by
	FROM @sessions;`
}

// names is a CASE that gives the numbers of a closed set their names.
func names[T interface {
	~uint8
	String() string
}](column string, known func(string) (T, error)) string {
	var b strings.Builder
	b.WriteString("CASE " + column)
	for n := T(1); ; n++ {
		if _, err := known(n.String()); err != nil {
			break
		}
		fmt.Fprintf(&b, " WHEN %d THEN '%s'", n, n)
	}
	return b.String() + " END"
}

// The advisory locks, each with the schema as its second key.
const (
	lockTurn   = 0x6c676f74 // "lgot"
	lockCreate = lockTurn + 1
)

func (s *Store) lockKey() int32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(s.schema)) // never fails
	return int32(hash.Sum32())          //nolint:gosec // any bits will do
}

// prepare makes the tables, or looks whether those that are there are ours (PG4). It does so once.
func (s *Store) prepare(ctx context.Context) error {
	if s.prepared.Load() {
		return nil
	}
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.prepared.Load() {
		return nil
	}
	err := pgx.BeginFunc(ctx, s.writer, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockCreate, s.lockKey()); err != nil {
			return err
		}
		return s.createOrCheck(ctx, tx)
	})
	if err != nil {
		return s.mapError(err)
	}
	s.prepared.Store(true)
	return nil
}

func (s *Store) createOrCheck(ctx context.Context, tx pgx.Tx) error {
	var exists, marked bool
	var relations int
	err := tx.QueryRow(ctx, `SELECT count(DISTINCT n.oid) > 0, count(c.oid), count(*) FILTER (WHERE c.relname = 'checkpoint') > 0
		FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = $1`, s.schema).
		Scan(&exists, &relations, &marked)
	switch {
	case err != nil:
		return err
	case relations == 0:
		return s.create(ctx, tx, exists)
	case !marked:
		return fmt.Errorf("%w: it holds tables that are not of logoutd: name another schema with search_path", projections.ErrVersion)
	}
	var model string
	var version int
	if err := tx.QueryRow(ctx, s.sql("SELECT model, version FROM @checkpoint")).Scan(&model, &version); err != nil {
		return err
	}
	if model != activetokens.Name || version != activetokens.Version {
		return fmt.Errorf("%w: it holds %s@%d, this logoutd needs %s@%d: name another schema with search_path, "+
			"or drop this one to have it rebuilt", projections.ErrVersion, model, version, activetokens.Name, activetokens.Version)
	}
	return nil
}

func (s *Store) create(ctx context.Context, tx pgx.Tx, exists bool) error {
	text := tables + view() + fmt.Sprintf("INSERT INTO @checkpoint VALUES ('%s', %d, 0, 0, '', 0, '%s');",
		activetokens.Name, activetokens.Version, refreshtoken.SessionID{})
	if !exists {
		text = "CREATE SCHEMA " + pgx.Identifier{s.schema}.Sanitize() + ";" + text
	}
	_, err := tx.Exec(ctx, s.sql(text), pgx.QueryExecModeSimpleProtocol)
	return err
}
