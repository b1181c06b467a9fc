package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// cure says what helps against an error of the server.
type cure uint8

const (
	wait    cure = iota // it passes by itself
	admit               // somebody must let us in; then it passes
	rebuild             // the tables are not what they were
)

// cureOf knows every class of SQLSTATE; what it does not single out passes (P8): a full disk, too many
// connections, a shutdown, a standby that is not promoted yet, a deadlock.
func cureOf(sqlState string) cure {
	switch sqlState {
	case "42501", // insufficient privilege
		"3D000": // no such database
		return admit
	case "3F000", "42P01", "42703", "42883", "42P10", // a schema, table, column, cast or index of ours is gone
		"XX001", "XX002": // damaged data or index
		return rebuild
	}
	if len(sqlState) == 5 && sqlState[:2] == "28" { // who we are is not accepted
		return admit
	}
	return wait
}

// mapError names the place, and tells what waiting cannot cure from the rest. What the read
// model itself says is left as it is.
func (s *Store) mapError(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, projections.ErrMoved),
		errors.Is(err, projections.ErrFenced), errors.Is(err, activetokens.ErrNotFound):
		return err
	}
	var failure *pgconn.PgError
	if !errors.As(err, &failure) {
		return fmt.Errorf("read model %s: %w", s.location, err)
	}
	switch cureOf(failure.Code) {
	case admit:
		return fmt.Errorf("read model %s: %w; check user, password and database of the URL, and grant the user CREATE on the database "+
			"or an empty schema of its own", s.location, err)
	case rebuild:
		s.prepared.Store(false) // the schema may be gone altogether, and is then made again
		return fmt.Errorf("%w: %s: %w; drop the schema to have it rebuilt", projections.ErrCorrupt, s.location, err)
	case wait:
	}
	return fmt.Errorf("read model %s: %w", s.location, err)
}
