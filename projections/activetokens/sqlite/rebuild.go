package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/logoutd/logoutd/projections"
)

// What stands beside the file (S8): a rebuild under way, and the last file that one has replaced.
const (
	rebuilding = ".rebuilding"
	replaced   = ".replaced"
)

// Rebuild implements projections.Rebuilder.
func (s *Store) Rebuild(ctx context.Context, fill func(next projections.Projection) error) error {
	beside := s.path + rebuilding
	if err := remove(beside); err != nil { // what a process left that was killed
		return err
	}
	config := s.config
	config.Path = beside
	next, err := New(config)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(next), next.Close()); err != nil {
		return errors.Join(err, remove(beside))
	}
	return s.replace(beside)
}

// replace puts a closed file in the place of the open one. A crash in the middle leaves no file, or
// one that is still to be replaced, and the next start builds it.
func (s *Store) replace(by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.closeLocked() //nolint:errcheck // it is of no use any more, and may be damaged
	if err := remove(s.path + replaced); err != nil {
		return err
	}
	// A WAL goes first: left alone it would be taken for that of the new file.
	for _, suffix := range [...]string{"-wal", "-shm", ""} {
		err := os.Rename(s.path+suffix, s.path+replaced+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read model: %w", err)
		}
	}
	if err := os.Rename(by, s.path); err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	return nil
}

// remove deletes a read model that is closed, where there is one.
func remove(path string) error {
	for _, suffix := range [...]string{"-wal", "-shm", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read model: %w", err)
		}
	}
	return nil
}
