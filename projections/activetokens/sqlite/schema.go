package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// applicationID marks the file as a read model of logoutd: "lgot".
const applicationID = 0x6c676f74

// schema creates an empty read model. Times are nanoseconds since 1970, reason and kind the
// numbers of their types, client_id is ” for none. A parked session
// that was never issued has no user.
const schema = `
CREATE TABLE sessions (
	session_id          BLOB    NOT NULL PRIMARY KEY,
	user_id             TEXT    NOT NULL,
	client_id           TEXT    NOT NULL,
	kind                INTEGER NOT NULL,
	generation          INTEGER NOT NULL,
	issued_at           INTEGER NOT NULL,
	expires_at          INTEGER NOT NULL,
	absolute_expires_at INTEGER NOT NULL,
	status              INTEGER NOT NULL,
	revoked_at          INTEGER NOT NULL,
	revoked_reason      INTEGER NOT NULL,
	revoked_by          TEXT    NOT NULL,
	revision            INTEGER NOT NULL,
	position            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, session_id);
CREATE INDEX sessions_by_client ON sessions (client_id, session_id) WHERE client_id <> '';
CREATE TABLE refused (
	session_id BLOB    NOT NULL,
	position   INTEGER NOT NULL,
	stream     TEXT    NOT NULL,
	PRIMARY KEY (session_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE unreadable (
	position   INTEGER NOT NULL PRIMARY KEY,
	stream     TEXT    NOT NULL,
	session_id BLOB
) STRICT;
CREATE TABLE checkpoint (
	one           INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	epoch         INTEGER NOT NULL,
	position      INTEGER NOT NULL,
	last_stream   TEXT    NOT NULL,
	last_revision INTEGER NOT NULL,
	last_event    BLOB    NOT NULL
) STRICT;
INSERT INTO checkpoint VALUES (1, 0, 0, '', 0, zeroblob(16));
`

// check looks at a file before anything else touches it: even switching on the WAL would
// change a file that is not ours (S3). It answers whether the file is still empty.
func (s *Store) check(ctx context.Context) (empty bool, err error) {
	db, err := connect(s.path, 1, "deferred", "query_only(1)")
	if err != nil {
		return false, s.mapError(err)
	}
	id, version, tables, err := identify(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return false, s.mapError(err)
	}
	switch {
	case id == 0 && version == 0 && tables == 0:
		return true, nil
	case id != applicationID:
		return false, fmt.Errorf("%s is not a read model of logoutd: choose another file", s.path)
	case version != activetokens.Version:
		return false, fmt.Errorf("%w: %s has version %d, this logoutd needs %d", projections.ErrVersion, s.path, version, activetokens.Version)
	}
	return false, nil
}

// create makes an empty file a read model, unless another process has just done so.
func (s *Store) create(ctx context.Context, writer *sql.DB) error {
	tx, err := writer.BeginTx(ctx, nil)
	if err != nil {
		return s.mapError(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing, before it the error is known
	id, _, _, err := identify(ctx, tx)
	if err != nil || id == applicationID {
		return s.mapError(err)
	}
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, activetokens.Version)
	if _, err := tx.ExecContext(ctx, schema+mark); err != nil {
		return s.mapError(err)
	}
	return s.mapError(tx.Commit())
}

// queryer is a *sql.DB or a *sql.Tx.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func identify(ctx context.Context, q queryer) (id, version, tables int, err error) {
	for _, each := range [...]struct {
		query string
		into  *int
	}{
		{"PRAGMA application_id", &id},
		{"PRAGMA user_version", &version},
		{"SELECT count(*) FROM sqlite_schema", &tables},
	} {
		if err := q.QueryRowContext(ctx, each.query).Scan(each.into); err != nil {
			return 0, 0, 0, err //nolint:wrapcheck // mapError does
		}
	}
	return id, version, tables, nil
}
