package embedded

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	spaceInterval = time.Second
	spaceBytes    = 8 << 20
)

var errSpace = errors.New("not enough free space")

// spaceGuard refuses appends before the disk is full, when the store can still be stopped, backed up
// and compacted in peace. It asks the file system once a second or every few megabytes, and
// as long as it refuses, for every group.
type spaceGuard struct {
	fs      vfs.FS
	dir     string
	floor   int64
	checked time.Time
	written int
	err     error
}

func (g *spaceGuard) check() {
	if g.floor < 0 {
		return
	}
	if g.err == nil && g.written < spaceBytes && time.Since(g.checked) < spaceInterval {
		return
	}
	g.checked, g.written, g.err = time.Now(), 0, nil
	usage, err := g.fs.GetDiskUsage(g.dir)
	if err != nil {
		return // a file system that cannot tell is not full
	}
	if usage.AvailBytes < uint64(g.floor) {
		g.err = unavailable(g.dir, fmt.Errorf("%w: %d MiB free, %d MiB needed; make room",
			errSpace, usage.AvailBytes>>20, g.floor>>20))
	}
}
