package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"

	"github.com/logoutd/logoutd/projections/activetokens"
)

// Dump implements activetokens.ReadModel. It is of one moment, and holds the WAL back meanwhile.
func (s *Store) Dump(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	return s.read(ctx, func(tx *sql.Tx) error {
		c, _, err := scanCheckpoint(tx.QueryRowContext(ctx, selectCheckpoint))
		if err != nil {
			return err
		}
		if err := activetokens.DumpCheckpoint(out, c); err != nil {
			return err
		}
		if err := each(ctx, tx, selectRow+" FROM sessions ORDER BY session_id", func(scan func(...any) error) error {
			r, err := scanRow(scan)
			if err != nil {
				return err
			}
			return activetokens.DumpRow(out, &r)
		}); err != nil {
			return err
		}
		if err := each(ctx, tx, "SELECT session_id, position, stream FROM refused ORDER BY session_id, position",
			func(scan func(...any) error) error {
				var r activetokens.Refused
				var id []byte
				if err := scan(&id, &r.Position, &r.Stream); err != nil {
					return err
				}
				session, err := sessionOf(id)
				r.SessionID = session
				return errors.Join(err, activetokens.DumpRefused(out, &r))
			}); err != nil {
			return err
		}
		if err := each(ctx, tx, "SELECT position, stream, session_id FROM unreadable ORDER BY position", func(scan func(...any) error) error {
			var u activetokens.Unreadable
			var id []byte
			if err := scan(&u.Position, &u.Stream, &id); err != nil {
				return err
			}
			if id != nil {
				if u.SessionID, err = sessionOf(id); err != nil {
					return err
				}
			}
			return activetokens.DumpUnreadable(out, &u)
		}); err != nil {
			return err
		}
		return out.Flush()
	})
}

func each(ctx context.Context, tx *sql.Tx, query string, f func(scan func(...any) error) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err //nolint:wrapcheck // mapError does
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err() //nolint:wrapcheck // mapError does
}
