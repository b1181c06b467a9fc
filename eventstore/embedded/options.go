package embedded

import (
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	memTableBytes = 64 << 20
	filterBits    = 10 // per key: about one needless block read in a hundred misses
)

// pebbleOptions is the tuning that the benchmarks of this package were used to find.
func pebbleOptions(fsys vfs.FS, cacheBytes int64, tableBytes uint64, events *pebble.EventListener, onFatal func(error)) *pebble.Options {
	o := &pebble.Options{
		FS:                 fsys,
		FormatMajorVersion: pebble.FormatTableFormatV6,
		Logger:             logger{onFatal: onFatal},
		EventListener:      events,
		CacheSize:          cacheBytes,
		MemTableSize:       tableBytes,
		// Three full memtables may wait for their flush before appends do.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                1000,
		BytesPerSync:                1 << 20,
		// Group commit syncs the log all the time; nothing is left to smooth.
		WALBytesPerSync: 0,
		// One compaction as a rule, a second when it falls behind: the cores belong to the commands.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	o.TargetFileSizes[0] = 8 << 20
	o.Experimental.FileCacheShards = runtime.GOMAXPROCS(0)
	// Reading must not cause compactions: cold loads are wanted, not a problem to repair.
	o.Experimental.ReadSamplingMultiplier = -1
	// Tokens, hashes and ids do not compress; the processor has better things to do.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].BlockSize = 8 << 10
		o.Levels[i].IndexBlockSize = 512 << 10 // one index block for most files: a second level costs a read
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBits)
	}
	return o
}

// logger is what Pebble writes its log to. Nothing of it is of use to the people who run logoutd,
// but for the one line with which Pebble expects the process to end.
type logger struct{ onFatal func(error) }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}

// Fatalf fails the store and keeps the calling goroutine: Pebble is in a state from which no call may
// return, and in which unwinding would trip over its locks. So the store is never closed after this.
func (l logger) Fatalf(format string, args ...any) {
	l.onFatal(fmt.Errorf(format, args...))
	select {}
}
