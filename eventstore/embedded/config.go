package embedded

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of Config.
const (
	DefaultCacheBytes   = 256 << 20
	DefaultMinFreeBytes = 256 << 20
	DefaultCloseTimeout = 10 * time.Second
)

// LeastFreeBytes is the smallest MinFreeBytes: room for the next log, for which Pebble reserves a tenth more
// than a memtable; for the memtable to be written to a table; and for what is appended between two
// looks at the file system.
const LeastFreeBytes = memTableBytes + memTableBytes/10 + memTableBytes + spaceBytes

// Config says where a store lives and what it may use. Only Dir is required.
type Config struct {
	// Dir is the folder of this store and of nothing else. It is created, mode 0700, when it
	// does not exist. A folder that holds other files is refused.
	Dir string

	// CacheBytes is the size of the block cache, in bytes. 0 is DefaultCacheBytes. Too small, and
	// loading a stream that was not used lately reads the disk.
	CacheBytes int64

	// MinFreeBytes is the free space, in bytes, below which appends answer ErrUnavailable. 0 is
	// DefaultMinFreeBytes, less than LeastFreeBytes is refused, negative turns the guard off: a full
	// disk then fails the store.
	MinFreeBytes int64

	// CloseTimeout bounds Close, whatever the disk does. 0 is DefaultCloseTimeout.
	CloseTimeout time.Duration

	// Notify is called with Trouble when it begins, and with nil when it has passed. Calls never overlap.
	// It must not block. Nil is nobody.
	Notify func(error)

	// Now is the clock behind RecordedAt. Nil is time.Now.
	Now func() time.Time

	// Tests make these small, to have early what takes its time.
	memTableBytes uint64
	stallAfter    time.Duration // how long a group may take until that is trouble
	patience      time.Duration // with a file that cannot be created, until the store fails
}

func (c Config) withDefaults() Config {
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = DefaultMinFreeBytes
	}
	if c.memTableBytes == 0 {
		c.memTableBytes = memTableBytes
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = DefaultCloseTimeout
	}
	if c.Notify == nil {
		c.Notify = func(error) {}
	}
	if c.stallAfter == 0 {
		c.stallAfter = 5 * time.Second
	}
	if c.patience == 0 {
		c.patience = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	var problems []error
	if c.Dir == "" {
		problems = append(problems, errors.New("no data folder given"))
	}
	if c.CacheBytes < 0 {
		problems = append(problems, fmt.Errorf("cache of %d bytes: must not be negative", c.CacheBytes))
	}
	if c.MinFreeBytes > 0 && c.MinFreeBytes < LeastFreeBytes {
		problems = append(problems, fmt.Errorf("%d bytes to be kept free: want %d or more", c.MinFreeBytes, LeastFreeBytes))
	}
	if c.CloseTimeout < 0 {
		problems = append(problems, fmt.Errorf("close timeout %s: must not be negative", c.CloseTimeout))
	}
	return errors.Join(problems...)
}
