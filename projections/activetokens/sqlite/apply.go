package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
)

// Acquire implements projections.Projection (S4, S7).
func (s *Store) Acquire(ctx context.Context) (projections.Checkpoint, error) {
	if err := s.open(ctx); err != nil {
		return projections.Checkpoint{}, err
	}
	if s.damaged.Load() {
		return projections.Checkpoint{}, s.damage()
	}
	var epoch int64
	err := s.file.writer.QueryRowContext(ctx, "UPDATE checkpoint SET epoch = epoch + 1 RETURNING epoch").Scan(&epoch)
	if err != nil {
		return projections.Checkpoint{}, s.mapError(err)
	}
	s.epoch = epoch
	return s.Checkpoint(ctx)
}

// Checkpoint implements projections.Projection.
func (s *Store) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.file == nil {
		return projections.Checkpoint{}, s.mapError(errNotOpen)
	}
	c, _, err := scanCheckpoint(s.file.readers.QueryRowContext(ctx, selectCheckpoint))
	return c, s.mapError(err)
}

const selectCheckpoint = "SELECT epoch, position, last_stream, last_revision, last_event FROM checkpoint"

func scanCheckpoint(row *sql.Row) (projections.Checkpoint, int64, error) {
	var c projections.Checkpoint
	var epoch, position, revision int64
	var event []byte
	if err := row.Scan(&epoch, &position, &c.Last.Stream, &revision, &event); err != nil {
		return projections.Checkpoint{}, 0, err //nolint:wrapcheck // mapError does
	}
	if len(event) != len(c.Last.ID) {
		return projections.Checkpoint{}, 0, fmt.Errorf("%w: the id of the last event has %d bytes", projections.ErrCorrupt, len(event))
	}
	c.Position, c.Last.Revision, c.Last.ID = eventstore.Position(position), uint64(revision), eventstore.EventID(event) //nolint:gosec // written from unsigned
	return c, epoch, nil
}

// Apply implements projections.Projection: one transaction (P1–P5).
func (s *Store) Apply(ctx context.Context, from eventstore.Position, events []eventstore.Recorded) error {
	switch {
	case len(events) == 0:
		return nil
	case s.file == nil:
		return s.mapError(errNotOpen)
	case s.damaged.Load():
		return s.damage()
	}
	write := &s.file.write
	// The driver starts a goroutine per statement to watch a context; the loops below look
	// at it themselves, and a transaction that has begun to commit is not broken off.
	inside := context.WithoutCancel(ctx)
	tx, err := s.file.writer.BeginTx(inside, nil)
	if err != nil {
		return s.mapError(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing, before it the error is known
	at, epoch, err := scanCheckpoint(tx.StmtContext(inside, write.checkpoint).QueryRowContext(inside))
	switch {
	case err != nil:
		return s.mapError(err)
	case epoch != s.epoch:
		return fmt.Errorf("%w: %s", projections.ErrFenced, s.path)
	case at.Position != from:
		return &projections.MovedError{Expected: from, Actual: at.Position}
	}
	changes := s.reducer.Reduce(at, events)
	b := batch{ctx: ctx, inside: inside, tx: tx, statements: write, args: &s.buffer}
	if err := b.write(changes, events); err != nil {
		return s.mapError(err)
	}
	to := changes.Checkpoint
	moved, err := affected(tx.StmtContext(inside, write.move).ExecContext(inside,
		int64(to.Position), to.Last.Stream, int64(to.Last.Revision), to.Last.ID[:], int64(from), s.epoch)) //nolint:gosec // read back unsigned
	if err != nil {
		return s.mapError(err)
	}
	if !moved { // unreachable while the transaction holds the write lock
		return &projections.MovedError{Expected: from, Actual: at.Position}
	}
	return s.mapError(tx.Commit())
}

// statements are prepared once on the one connection that writes.
type statements struct {
	checkpoint, move, row         *sql.Stmt
	insert, touch, rotate, revoke *sql.Stmt
	rotateAndRevoke, replace      *sql.Stmt
	refuse, unreadable            *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	const set = "UPDATE sessions SET revision = ?, position = ?"
	const rotated = ", generation = ?, expires_at = ?"
	const revoked = ", status = ?, revoked_at = ?, revoked_reason = ?, revoked_by = ?"
	const where = " WHERE session_id = ? AND revision = ? AND status <> 3" // which is parked
	const row = "INTO sessions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
	for _, each := range [...]struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.checkpoint, selectCheckpoint},
		{&s.move, `UPDATE checkpoint SET position = ?, last_stream = ?, last_revision = ?, last_event = ?
			WHERE position = ? AND epoch = ?`},
		{&s.row, selectRow + " FROM sessions WHERE session_id = ?"},
		{&s.insert, "INSERT " + row + " ON CONFLICT DO NOTHING"},
		{&s.replace, "REPLACE " + row},
		{&s.touch, set + where},
		{&s.rotate, set + rotated + where},
		{&s.revoke, set + revoked + where},
		{&s.rotateAndRevoke, set + rotated + revoked + where},
		{&s.refuse, "INSERT INTO refused VALUES (?,?,?)"},
		{&s.unreadable, "INSERT INTO unreadable VALUES (?,?,?)"},
	} {
		stmt, err := db.PrepareContext(ctx, each.text)
		if err != nil {
			return err //nolint:wrapcheck // mapError does
		}
		*each.stmt = stmt
	}
	return nil
}

func affected(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err //nolint:wrapcheck // mapError does
}
