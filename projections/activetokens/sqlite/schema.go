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
// numbers of their types, client_id is ” for none.
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

// prepare makes an empty file a read model, or checks that it is this one (S3).
func (s *Store) prepare(ctx context.Context) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.mapError(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing, before it the error is known
	id, version, tables, err := identify(ctx, tx)
	if err != nil {
		return s.mapError(err)
	}
	switch {
	case id == 0 && version == 0 && tables == 0:
		create := schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;",
			applicationID, activetokens.Version)
		if _, err := tx.ExecContext(ctx, create); err != nil {
			return s.mapError(err)
		}
	case id != applicationID:
		return fmt.Errorf("%s is not a read model of logoutd: choose another file", s.path)
	case version > activetokens.Version:
		return fmt.Errorf("%w: %s has version %d, newer than %d of this logoutd: use the newer logoutd, or delete the file to rebuild it",
			projections.ErrVersion, s.path, version, activetokens.Version)
	case version < activetokens.Version:
		return fmt.Errorf("%w: %s has version %d, this logoutd needs %d: delete the file to rebuild it",
			projections.ErrVersion, s.path, version, activetokens.Version)
	}
	return s.mapError(tx.Commit())
}

func identify(ctx context.Context, tx *sql.Tx) (id, version, tables int, err error) {
	err = errors.Join(
		tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id),
		tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	return id, version, tables, err
}
