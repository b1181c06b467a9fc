package postgres

import (
	"bufio"
	"context"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// Dump implements activetokens.ReadModel. It is of one moment.
func (s *Store) Dump(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	return s.read(ctx, func(tx pgx.Tx) error {
		c, _, err := scanCheckpoint(tx.QueryRow(ctx, s.sql("SELECT "+checkpointColumns+" FROM @checkpoint")))
		if err != nil {
			return err
		}
		if err := activetokens.DumpCheckpoint(out, c); err != nil {
			return err //nolint:wrapcheck // the writer is the caller's
		}
		rows, err := tx.Query(ctx, s.sql(selectRow+" ORDER BY session_id"))
		if err != nil {
			return err
		}
		if err := visit(rows, func() error {
			r, err := scanRow(rows)
			if err != nil {
				return err
			}
			return activetokens.DumpRow(out, &r)
		}); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, s.sql("SELECT session_id, position, stream FROM @refused ORDER BY session_id, position")); err != nil {
			return err
		}
		if err := visit(rows, func() error {
			var r activetokens.Refused
			var id [16]byte
			if err := rows.Scan(&id, &r.Position, &r.Stream); err != nil {
				return err
			}
			r.SessionID = refreshtoken.SessionIDFrom(id)
			return activetokens.DumpRefused(out, &r)
		}); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, s.sql("SELECT position, stream, session_id FROM @unreadable ORDER BY position")); err != nil {
			return err
		}
		if err := visit(rows, func() error {
			var u activetokens.Unreadable
			var id pgtype.UUID
			if err := rows.Scan(&u.Position, &u.Stream, &id); err != nil {
				return err
			}
			u.SessionID = refreshtoken.SessionIDFrom(id.Bytes) // zero where it is NULL
			return activetokens.DumpUnreadable(out, &u)
		}); err != nil {
			return err
		}
		return out.Flush()
	})
}

func visit(rows pgx.Rows, f func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err() //nolint:wrapcheck // mapError does
}
