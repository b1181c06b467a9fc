package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

const restore = "stop logoutd and restore the folder from a backup"

// errClosed is what a closed store answers with ErrUnavailable.
var errClosed = errors.New("the store is closed")

func unavailable(dir string, cause error) error {
	return fmt.Errorf("%w: data folder %s: %w", eventstore.ErrUnavailable, dir, cause)
}

// corrupt says that something found in the folder cannot be trusted.
func corrupt(dir, what string, cause error) error {
	return fmt.Errorf("%w: data folder %s: %s: %w; %s", eventstore.ErrCorrupt, dir, what, cause, restore)
}

// readError maps what Pebble, or a decoder, answered to a read.
func readError(dir, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errRecord), pebble.IsCorruptionError(err):
		return corrupt(dir, what, err)
	default:
		return unavailable(dir, fmt.Errorf("%s: %w", what, err))
	}
}

// openError maps what stopped Pebble from opening a folder.
func openError(dir string, err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, pebble.ErrDBNotPristine) || errors.Is(err, fs.ErrNotExist) {
		return corrupt(dir, "open", err)
	}
	return fmt.Errorf("data folder %s: open: %w", dir, err)
}

// lockError tells a folder that is in use from one that cannot be locked. Pebble hands out the bare
// errno of the lock call, a path error of the lock file, or an error without identity when
// this very process holds the folder.
func lockError(dir string, err error) error {
	var errno syscall.Errno
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("data folder %s cannot be written; check its owner and mode: %w", dir, err)
	case errors.As(err, &errno) && errno != syscall.EAGAIN && errno != syscall.EACCES:
		return fmt.Errorf("data folder %s cannot be locked; keep it on a local disk: %w", dir, err)
	default:
		return fmt.Errorf("data folder %s is in use by another logoutd; stop it or choose another --data", dir)
	}
}
