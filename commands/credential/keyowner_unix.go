//go:build unix

package credential

import (
	"os"
	"syscall"
)

// keepOwner gives a file the owner of another: who changes the keys as root must not lock logoutd out.
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
