package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
)

// Acquire implements projections.Projection: whoever acquired before is fenced.
func (s *Store) Acquire(ctx context.Context) (projections.Checkpoint, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return projections.Checkpoint{}, err
	}
	c, epoch, err := scanCheckpoint(s.writer.QueryRow(ctx,
		s.sql("UPDATE @checkpoint SET epoch = epoch + 1 RETURNING "+checkpointColumns)))
	if err != nil {
		return projections.Checkpoint{}, s.mapError(err)
	}
	s.epoch = epoch
	return c, nil
}

// Checkpoint implements projections.Projection.
func (s *Store) Checkpoint(ctx context.Context) (projections.Checkpoint, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return projections.Checkpoint{}, err
	}
	c, _, err := scanCheckpoint(s.reader.QueryRow(ctx, s.sql("SELECT "+checkpointColumns+" FROM @checkpoint")))
	return c, s.mapError(err)
}

const checkpointColumns = "epoch, position, last_stream, last_revision, last_event"

func scanCheckpoint(row pgx.Row) (c projections.Checkpoint, epoch int64, err error) {
	err = row.Scan(&epoch, &c.Position, &c.Last.Stream, &c.Last.Revision, (*[16]byte)(&c.Last.ID))
	return c, epoch, err //nolint:wrapcheck // mapError does
}

// Apply implements projections.Projection: one transaction (P1–P5).
func (s *Store) Apply(ctx context.Context, from eventstore.Position, events []eventstore.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.mapError(pgx.BeginFunc(ctx, s.writer, func(tx pgx.Tx) error {
		// The lock on the row makes a rival's Acquire wait for the end of this transaction.
		at, epoch, err := scanCheckpoint(tx.QueryRow(ctx,
			s.sql("SELECT "+checkpointColumns+" FROM @checkpoint FOR UPDATE")))
		switch {
		case err != nil:
			return err
		case epoch != s.epoch:
			return fmt.Errorf("%w: %s", projections.ErrFenced, s.location)
		case at.Position != from:
			return &projections.MovedError{Expected: from, Actual: at.Position}
		}
		return s.write(ctx, tx, at.Position, s.reducer.Reduce(at, events), events)
	}))
}

// storable makes any text one that PostgreSQL takes: valid UTF-8 without NUL.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
