package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
)

const (
	insertRows = `INSERT INTO @sessions SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[],
		$6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[])
		ON CONFLICT DO NOTHING`
	updateRows = `UPDATE @sessions s SET revision = u.revision, position = u.position,
		generation = CASE WHEN u.rotated THEN u.generation ELSE s.generation END,
		expires_at = CASE WHEN u.rotated THEN u.expires_at ELSE s.expires_at END,
		status = CASE WHEN u.revoked THEN 2 ELSE s.status END,
		revoked_at = CASE WHEN u.revoked THEN u.revoked_at ELSE s.revoked_at END,
		revoked_reason = CASE WHEN u.revoked THEN u.revoked_reason ELSE s.revoked_reason END,
		revoked_by = CASE WHEN u.revoked THEN u.revoked_by ELSE s.revoked_by END
		FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bool[], $6::bigint[], $7::bigint[],
			$8::bool[], $9::bigint[], $10::bigint[], $11::text[])
			AS u (session_id, before, revision, position, rotated, generation, expires_at, revoked, revoked_at, revoked_reason, revoked_by)
		WHERE s.session_id = u.session_id AND s.revision = u.before`
	insertRefused = `INSERT INTO @refused SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[])`
	move          = `UPDATE @checkpoint SET position = $1, last_stream = $2, last_revision = $3, last_event = $4`
)

// write sends the changes of one transaction in one go (PG2), and finds out what does not fit when
// a statement has changed fewer rows than it was given.
func (s *Store) write(ctx context.Context, tx pgx.Tx, from eventstore.Position, c *activetokens.Changes) error {
	var batch pgx.Batch
	var inserted, updated int64
	if len(c.Inserts) > 0 {
		batch.Queue(s.sql(insertRows), rowColumns(c.Inserts)...).Exec(count(&inserted))
	}
	if len(c.Updates) > 0 {
		batch.Queue(s.sql(updateRows), updateColumns(c.Updates)...).Exec(count(&updated))
	}
	if len(c.Refused) > 0 {
		batch.Queue(s.sql(insertRefused), refusedColumns(c.Refused)...)
	}
	last := &c.Checkpoint.Last
	batch.Queue(s.sql(move), int64(c.Checkpoint.Position), storable(last.Stream), int64(last.Revision), [16]byte(last.ID)) //nolint:gosec // below 2^63
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return err //nolint:wrapcheck // mapError does
	}
	switch {
	case int(inserted) != len(c.Inserts):
		return s.duplicate(ctx, tx, from, c.Inserts)
	case int(updated) != len(c.Updates):
		return s.gap(ctx, tx, c.Updates)
	}
	return nil
}

func count(n *int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*n = tag.RowsAffected()
		return nil
	}
}

// place is where a row is.
type place struct {
	revision uint64
	position eventstore.Position
}

func (s *Store) places(ctx context.Context, tx pgx.Tx, ids [][16]byte) (map[[16]byte]place, error) {
	rows, err := tx.Query(ctx, s.sql("SELECT session_id, revision, position FROM @sessions WHERE session_id = ANY($1)"), ids)
	if err != nil {
		return nil, err //nolint:wrapcheck // mapError does
	}
	found := make(map[[16]byte]place)
	var id [16]byte
	var p place
	_, err = pgx.ForEachRow(rows, []any{&id, &p.revision, &p.position}, func() error {
		found[id] = p
		return nil
	})
	return found, err //nolint:wrapcheck // mapError does
}

// duplicate names the first row that was there before its insert.
func (s *Store) duplicate(ctx context.Context, tx pgx.Tx, from eventstore.Position, rows []activetokens.Row) error {
	found, err := s.places(ctx, tx, each(rows, func(r *activetokens.Row) [16]byte { return r.SessionID.Bytes() }))
	if err != nil {
		return err
	}
	for i := range rows {
		if p := found[rows[i].SessionID.Bytes()]; p.position <= from {
			return rows[i].DuplicateIssue(p.revision)
		}
	}
	return errors.New("a row could not be inserted although it is new")
}

// gap names the first update whose row was not where the update begins.
func (s *Store) gap(ctx context.Context, tx pgx.Tx, updates []activetokens.Update) error {
	found, err := s.places(ctx, tx, each(updates, func(u *activetokens.Update) [16]byte { return u.SessionID.Bytes() }))
	if err != nil {
		return err
	}
	for i := range updates {
		u := &updates[i]
		if p, ok := found[u.SessionID.Bytes()]; !ok || p.position != u.Position {
			return u.Gap(ok, p.revision)
		}
	}
	return errors.New("a row could not be updated although it is where it should be")
}

// each gives one column of rows.
func each[R, V any](rows []R, value func(*R) V) []V {
	column := make([]V, len(rows))
	for i := range rows {
		column[i] = value(&rows[i])
	}
	return column
}

//nolint:gosec // revisions and positions are below 2^63
func rowColumns(rows []activetokens.Row) []any {
	type row = activetokens.Row
	return []any{
		each(rows, func(r *row) [16]byte { return r.SessionID.Bytes() }),
		each(rows, func(r *row) string { return r.UserID.String() }),
		each(rows, func(r *row) string { return r.ClientID.String() }),
		each(rows, func(r *row) int64 { return int64(r.Kind) }),
		each(rows, func(r *row) int64 { return int64(r.Generation) }),
		each(rows, func(r *row) int64 { return int64(r.IssuedAt) }),
		each(rows, func(r *row) int64 { return int64(r.ExpiresAt) }),
		each(rows, func(r *row) int64 { return int64(r.AbsoluteExpiresAt) }),
		each(rows, func(r *row) int64 { return int64(r.Status) }),
		each(rows, func(r *row) int64 { return int64(r.Revocation.At) }),
		each(rows, func(r *row) int64 { return int64(r.Revocation.Reason) }),
		each(rows, func(r *row) string { return storable(r.Revocation.By) }),
		each(rows, func(r *row) int64 { return int64(r.Revision) }),
		each(rows, func(r *row) int64 { return int64(r.Position) }),
	}
}

//nolint:gosec // as above
func updateColumns(updates []activetokens.Update) []any {
	type update = activetokens.Update
	return []any{
		each(updates, func(u *update) [16]byte { return u.SessionID.Bytes() }),
		each(updates, func(u *update) int64 { return int64(u.Before) }),
		each(updates, func(u *update) int64 { return int64(u.Revision) }),
		each(updates, func(u *update) int64 { return int64(u.Position) }),
		each(updates, func(u *update) bool { return u.Rotated }),
		each(updates, func(u *update) int64 { return int64(u.Generation) }),
		each(updates, func(u *update) int64 { return int64(u.ExpiresAt) }),
		each(updates, func(u *update) bool { return u.Revoked }),
		each(updates, func(u *update) int64 { return int64(u.Revocation.At) }),
		each(updates, func(u *update) int64 { return int64(u.Revocation.Reason) }),
		each(updates, func(u *update) string { return storable(u.Revocation.By) }),
	}
}

func refusedColumns(refused []activetokens.Refused) []any {
	return []any{
		each(refused, func(r *activetokens.Refused) [16]byte { return r.SessionID.Bytes() }),
		each(refused, func(r *activetokens.Refused) int64 { return int64(r.Position) }), //nolint:gosec // as above
		each(refused, func(r *activetokens.Refused) string { return storable(r.Stream) }),
	}
}
