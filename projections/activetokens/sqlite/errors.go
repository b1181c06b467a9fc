package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/logoutd/logoutd/projections"
)

var errNotOpen = errors.New("not open")

// mapError names the file, and tells damage, which trying again cannot cure, from the rest.
func (s *Store) mapError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			s.damaged.Store(true) // the next Apply tells the runner (S7)
			return fmt.Errorf("%w: %s: %w", projections.ErrCorrupt, s.path, err)
		}
	}
	return fmt.Errorf("read model %s: %w", s.path, err)
}

func (s *Store) damage() error {
	return fmt.Errorf("%w: %s: damage was found while it was read", projections.ErrCorrupt, s.path)
}
