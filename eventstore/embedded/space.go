package embedded

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	trouble *trouble
	written atomic.Int64 // since the last look

	mu       sync.Mutex // the sequencer looks, and while it is refused the watcher
	checked  time.Time
	refusing bool
}

func (g *spaceGuard) check() {
	if g.floor < 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.refusing && g.written.Load() < spaceBytes && time.Since(g.checked) < spaceInterval {
		return
	}
	g.written.Store(0)
	usage, err := g.fs.GetDiskUsage(g.dir)
	g.checked = time.Now()
	// A file system that cannot tell is not full.
	if g.refusing = err == nil && usage.AvailBytes < uint64(g.floor); !g.refusing {
		g.trouble.set(noSpace, nil)
		return
	}
	g.trouble.set(noSpace, unavailable(g.dir, fmt.Errorf("%w: %d MiB free, %d MiB needed; make room",
		errSpace, usage.AvailBytes>>20, g.floor>>20)))
}
