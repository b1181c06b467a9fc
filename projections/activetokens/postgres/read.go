package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

const selectRow = `SELECT session_id, user_id, client_id, kind, generation, issued_at, expires_at,
	absolute_expires_at, status, revoked_at, revoked_reason, revoked_by, revision, position FROM @sessions`

// Session implements activetokens.Reader.
func (s *Store) Session(ctx context.Context, id refreshtoken.SessionID) (row activetokens.Row, at eventstore.Position, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		if at, err = s.position(ctx, tx); err != nil {
			return err
		}
		row, err = scanRow(tx.QueryRow(ctx, s.sql(selectRow+" WHERE session_id = $1"), id.Bytes()))
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: %s", activetokens.ErrNotFound, id)
		}
		return err
	})
	return row, at, err
}

// Refused implements activetokens.Reader.
func (s *Store) Refused(ctx context.Context, id refreshtoken.SessionID, after eventstore.Position, limit int,
) (refused []activetokens.Refused, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx,
			s.sql("SELECT position, stream FROM @refused WHERE session_id = $1 AND position > $2 ORDER BY position LIMIT $3"),
			id.Bytes(), int64(after), limit) //nolint:gosec // positions stay below 2^63
		if err != nil {
			return err
		}
		refused, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (activetokens.Refused, error) {
			r := activetokens.Refused{SessionID: id}
			return r, row.Scan(&r.Position, &r.Stream)
		})
		return err
	})
	return refused, err
}

// Damage implements activetokens.Reader.
func (s *Store) Damage(ctx context.Context) (d activetokens.Damage, err error) {
	err = s.read(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, s.sql("SELECT count(DISTINCT session_id), count(*) - count(session_id) FROM @unreadable")).
			Scan(&d.Families, &d.Skipped)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, s.sql("SELECT session_id FROM @unreadable WHERE session_id IS NOT NULL GROUP BY session_id ORDER BY min(position) LIMIT $1"),
			activetokens.MaxFirst)
		if err != nil {
			return err
		}
		var id [16]byte
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			d.First = append(d.First, refreshtoken.SessionIDFrom(id))
			return nil
		})
		return err
	})
	return d, err
}

// read runs f in a read transaction, in which everything is of one moment (PG3, PG7).
func (s *Store) read(ctx context.Context, f func(tx pgx.Tx) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return s.mapError(pgx.BeginTxFunc(ctx, s.reader, options, f))
}

func (s *Store) position(ctx context.Context, tx pgx.Tx) (p eventstore.Position, err error) {
	err = tx.QueryRow(ctx, s.sql("SELECT position FROM @checkpoint")).Scan(&p)
	return p, err //nolint:wrapcheck // mapError does
}

// scanRow reads the columns of selectRow. What does not parse was not written here.
func scanRow(row pgx.Row) (activetokens.Row, error) {
	var r activetokens.Row
	var id [16]byte
	var user, client string
	var kind, status, reason uint8
	err := row.Scan(&id, &user, &client, &kind, &r.Generation, &r.IssuedAt, &r.ExpiresAt, &r.AbsoluteExpiresAt,
		&status, &r.Revocation.At, &reason, &r.Revocation.By, &r.Revision, &r.Position)
	if err != nil {
		return r, err //nolint:wrapcheck // mapError does
	}
	r.SessionID, r.Kind = refreshtoken.SessionIDFrom(id), refreshtoken.Kind(kind)
	r.Status, r.Revocation.Reason = activetokens.Status(status), refreshtoken.Reason(reason)
	var errUser, errClient error
	if r.Status != activetokens.Parked || user != "" {
		r.UserID, errUser = refreshtoken.ParseUserID(user)
	}
	r.ClientID, errClient = refreshtoken.ParseClientID(client)
	if err := errors.Join(errUser, errClient); err != nil {
		return r, fmt.Errorf("%w: a row holds no session", projections.ErrCorrupt)
	}
	return r, nil
}
