//go:build unix

package credential

import (
	"errors"
	"os"
	"syscall"
)

// lockFolder waits until nobody else changes a file in a folder, and returns what lets others go on.
func lockFolder(folder string) (unlock func() error, err error) {
	f, err := os.Open(folder) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// keepOwner gives a file the owner of another: changing the keys as root must not lock logoutd out.
func keepOwner(of, like string) error {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return os.Chown(of, int(owner.Uid), int(owner.Gid))
	}
	return nil
}
