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
)

// Config says where a store lives and what it may use. Only Dir is required.
type Config struct {
	// Dir is the folder of this store and of nothing else. It is created, mode 0700, when it
	// does not exist. A folder that holds other files is refused.
	Dir string

	// CacheBytes is the size of the block cache, in bytes. 0 is DefaultCacheBytes. Too small, and
	// loading a stream that was not used lately reads the disk.
	CacheBytes int64

	// MinFreeBytes is the free space, in bytes, below which appends answer ErrUnavailable. 0 is
	// DefaultMinFreeBytes, negative turns the guard off: a full disk then fails the store.
	MinFreeBytes int64

	// Now is the clock behind RecordedAt. Nil is time.Now.
	Now func() time.Time

	memTableBytes uint64 // tests make it small, to have tables early
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
	return errors.Join(problems...)
}
