package embedded

import (
	"hash/maphash"
	"sync"

	"github.com/VictoriaMetrics/fastcache"
)

// headCache keeps the heads that were written or loaded lately, outside the Go heap. It saves Load
// and the sequencer a search through memtables and tables.
//
// The sequencer may decide from it, because it is never behind what the sequencer has applied: the
// sequencer is the only one who writes heads, it tells the cache of each one before it looks at
// the next group, and a loader who has read an older head meanwhile keeps it to himself (loaded).
type headCache struct {
	heads *fastcache.Cache
	seed  maphash.Seed
	// shards order the two who write: a loader must not put an old head over the one that the
	// sequencer has written meanwhile.
	shards [1024]cacheShard
}

type cacheShard struct {
	mu      sync.Mutex
	version uint64 // counts what the sequencer wrote
}

func newHeadCache(bytes int64) *headCache {
	return &headCache{heads: fastcache.New(int(bytes)), seed: maphash.MakeSeed()}
}

func (c *headCache) shard(key []byte) *cacheShard {
	return &c.shards[maphash.Bytes(c.seed, key)%uint64(len(c.shards))]
}

// get answers the value of h/ in memory of the caller's own, nil when it is not there.
func (c *headCache) get(key []byte) []byte { return c.heads.Get(nil, key) }

// written is called by the sequencer after the head is visible in the store.
func (c *headCache) written(key, value []byte) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	c.set(key, value)
}

// before is taken by a loader before it reads the store, for loaded.
func (c *headCache) before(key []byte) uint64 {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// loaded keeps what a loader has read, unless the sequencer has written since.
func (c *headCache) loaded(key, value []byte, before uint64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == before {
		c.set(key, value)
	}
}

// largest is what one entry of the cache can hold, key and value together.
const largest = 60 << 10

// set never leaves an older value behind: what does not fit is forgotten.
func (c *headCache) set(key, value []byte) {
	if len(key)+len(value) > largest {
		c.heads.Del(key)
		return
	}
	c.heads.Set(key, value)
}

func (c *headCache) close() { c.heads.Reset() }
