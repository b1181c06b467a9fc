package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
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
		WHERE s.session_id = u.session_id AND s.revision = u.before AND s.status <> 3` // which is parked
	insertRefused = `INSERT INTO @refused SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[])`
	deleteRows    = `DELETE FROM @sessions WHERE session_id = ANY($1)`
	insertUnread  = `INSERT INTO @unreadable SELECT * FROM unnest($1::bigint[], $2::text[], $3::uuid[])`
	move          = `UPDATE @checkpoint SET position = $1, last_stream = $2, last_revision = $3, last_event = $4`
)

// write sends the changes of one transaction in one go (PG2). Where a statement has changed fewer rows
// than it was given, or a family is irregular anyway, a second go folds what does not fit.
func (s *Store) write(ctx context.Context, tx pgx.Tx, from eventstore.Position, c *activetokens.Changes, events []eventstore.Recorded) error {
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
	irregular := c.Irregular
	if int(inserted) != len(c.Inserts) || int(updated) != len(c.Updates) {
		missed, err := s.missed(ctx, tx, from, c)
		if err != nil {
			return err
		}
		irregular = append(irregular, missed...)
	}
	if len(irregular) == 0 && len(c.Unreadable) == 0 {
		return nil
	}
	return s.refold(ctx, tx, irregular, c.Unreadable, events)
}

// refold folds families event by event and writes what came of them, and all that is unreadable.
func (s *Store) refold(ctx context.Context, tx pgx.Tx, families []refreshtoken.SessionID, unreadable []activetokens.Unreadable,
	events []eventstore.Recorded) error {
	ids := each(families, func(id *refreshtoken.SessionID) [16]byte { return id.Bytes() })
	before := make(map[refreshtoken.SessionID]*activetokens.Row, len(families))
	for _, id := range families {
		before[id] = &activetokens.Row{}
	}
	found, err := tx.Query(ctx, s.sql(selectRow+" WHERE session_id = ANY($1)"), ids)
	if err != nil {
		return err //nolint:wrapcheck // mapError does
	}
	rows, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (activetokens.Row, error) { return scanRow(row) })
	if err != nil {
		return err //nolint:wrapcheck // mapError does
	}
	for i := range rows {
		before[rows[i].SessionID] = &rows[i]
	}
	unreadable = append(unreadable, activetokens.Refold(before, events)...)
	after := make([]activetokens.Row, 0, len(before))
	for _, row := range before {
		after = append(after, *row)
	}
	var batch pgx.Batch
	batch.Queue(s.sql(deleteRows), ids)
	batch.Queue(s.sql(insertRows), rowColumns(after)...)
	batch.Queue(s.sql(insertUnread), unreadableColumns(unreadable)...)
	return tx.SendBatch(ctx, &batch).Close() //nolint:wrapcheck // mapError does
}

func count(n *int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*n = tag.RowsAffected()
		return nil
	}
}

// missed are the families whose row was there before its insert, or was not where its update begins.
func (s *Store) missed(ctx context.Context, tx pgx.Tx, from eventstore.Position, c *activetokens.Changes) (ids []refreshtoken.SessionID, err error) {
	keys := slices.Concat(
		each(c.Inserts, func(r *activetokens.Row) [16]byte { return r.SessionID.Bytes() }),
		each(c.Updates, func(u *activetokens.Update) [16]byte { return u.SessionID.Bytes() }))
	rows, err := tx.Query(ctx, s.sql("SELECT session_id FROM @sessions WHERE session_id = ANY($1) AND position > $2"),
		keys, int64(from)) //nolint:gosec // below 2^63
	if err != nil {
		return nil, err //nolint:wrapcheck // mapError does
	}
	written := make(map[[16]byte]bool) // by this transaction
	var id [16]byte
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { written[id] = true; return nil }); err != nil {
		return nil, err //nolint:wrapcheck // mapError does
	}
	for _, key := range keys {
		if !written[key] {
			ids = append(ids, refreshtoken.SessionIDFrom(key))
		}
	}
	return ids, nil
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

func unreadableColumns(unreadable []activetokens.Unreadable) []any {
	return []any{
		each(unreadable, func(u *activetokens.Unreadable) int64 { return int64(u.Position) }), //nolint:gosec // as above
		each(unreadable, func(u *activetokens.Unreadable) string { return storable(u.Stream) }),
		each(unreadable, func(u *activetokens.Unreadable) pgtype.UUID {
			return pgtype.UUID{Bytes: u.SessionID.Bytes(), Valid: !u.SessionID.IsZero()}
		}),
	}
}
