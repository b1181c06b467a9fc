package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/logoutd/logoutd/projections"
)

// mapError names the file, and tells damage, which trying again cannot cure, from the rest.
func (s *Store) mapError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: %s: %w; delete the file to rebuild it", projections.ErrCorrupt, s.path, err)
		}
	}
	return fmt.Errorf("read model %s: %w", s.path, err)
}
