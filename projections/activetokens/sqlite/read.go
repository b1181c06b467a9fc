package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

const selectRow = `SELECT session_id, user_id, client_id, kind, generation, issued_at, expires_at,
	absolute_expires_at, status, revoked_at, revoked_reason, revoked_by, revision, position`

// Session implements activetokens.Reader.
func (s *Store) Session(ctx context.Context, id refreshtoken.SessionID) (row activetokens.Row, at eventstore.Position, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		if at, err = position(ctx, tx); err != nil {
			return err
		}
		key := id.Bytes()
		row, err = scanRow(tx.QueryRowContext(ctx, selectRow+" FROM sessions WHERE session_id = ?", key[:]).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: %s", activetokens.ErrNotFound, id)
		}
		return err
	})
	return row, at, err
}

// Refused implements activetokens.Reader.
func (s *Store) Refused(ctx context.Context, id refreshtoken.SessionID, after eventstore.Position, limit int,
) (refused []activetokens.Refused, err error) {
	key := id.Bytes()
	err = s.read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx,
			"SELECT position, stream FROM refused WHERE session_id = ? AND position > ? ORDER BY position LIMIT ?",
			key[:], int64(after), limit) //nolint:gosec // positions stay below 2^63
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := activetokens.Refused{SessionID: id}
			if err := rows.Scan(&r.Position, &r.Stream); err != nil {
				return err
			}
			refused = append(refused, r)
		}
		return rows.Err()
	})
	return refused, err
}

// Damage implements activetokens.Reader.
func (s *Store) Damage(ctx context.Context) (d activetokens.Damage, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT count(DISTINCT session_id), count(*) - count(session_id) FROM unreadable").
			Scan(&d.Families, &d.Skipped)
		if err != nil {
			return err
		}
		return each(ctx, tx, fmt.Sprintf("SELECT session_id FROM unreadable WHERE session_id IS NOT NULL GROUP BY session_id ORDER BY min(position) LIMIT %d",
			activetokens.MaxFirst), func(scan func(...any) error) error {
			var id []byte
			if err := scan(&id); err != nil {
				return err
			}
			session, err := sessionOf(id)
			d.First = append(d.First, session)
			return err
		})
	})
	return d, err
}

// sessionOf reads a key. What is none was not written here.
func sessionOf(key []byte) (refreshtoken.SessionID, error) {
	if len(key) != 16 {
		return refreshtoken.SessionID{}, fmt.Errorf("%w: a row holds no session", projections.ErrCorrupt)
	}
	return refreshtoken.SessionIDFrom([16]byte(key)), nil
}

// read runs f in a read transaction, in which everything is of one moment (A10).
func (s *Store) read(ctx context.Context, f func(tx *sql.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.file == nil {
		return s.mapError(errNotOpen)
	}
	tx, err := s.file.readers.BeginTx(ctx, nil)
	if err != nil {
		return s.mapError(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	if err := f(tx); err != nil {
		if errors.Is(err, activetokens.ErrNotFound) {
			return err
		}
		return s.mapError(err)
	}
	return nil
}

func position(ctx context.Context, tx *sql.Tx) (eventstore.Position, error) {
	var p eventstore.Position
	err := tx.QueryRowContext(ctx, "SELECT position FROM checkpoint").Scan(&p)
	return p, err //nolint:wrapcheck // mapError does
}

// scanRow reads the columns of selectRow. What does not parse was not written here.
func scanRow(scan func(...any) error) (activetokens.Row, error) {
	var r activetokens.Row
	var id []byte
	var user, client string
	err := scan(&id, &user, &client, &r.Kind, &r.Generation, &r.IssuedAt, &r.ExpiresAt, &r.AbsoluteExpiresAt,
		&r.Status, &r.Revocation.At, &r.Revocation.Reason, &r.Revocation.By, &r.Revision, &r.Position)
	if err != nil {
		return r, err
	}
	var errUser, errClient, errID error
	if r.Status != activetokens.Parked || user != "" {
		r.UserID, errUser = refreshtoken.ParseUserID(user)
	}
	r.ClientID, errClient = refreshtoken.ParseClientID(client)
	r.SessionID, errID = sessionOf(id)
	if err := errors.Join(errUser, errClient, errID); err != nil {
		return r, fmt.Errorf("%w: a row holds no session", projections.ErrCorrupt)
	}
	return r, nil
}
