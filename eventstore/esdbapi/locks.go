package esdbapi

import (
	"hash/maphash"
	"sync"
)

// locks keep writes to a stream and deletions of it apart: whether it is deleted is kept in
// another stream, and the port changes one at a time. They hold within this process.
type locks struct {
	seed    maphash.Seed
	stripes [256]sync.RWMutex
}

func newLocks() *locks { return &locks{seed: maphash.MakeSeed()} }

// share is taken by writes: many at a time. A write of metadata is alone, for it changes what they look at.
func (l *locks) share(stream string) (release func()) {
	if of, meta := metaTarget(stream); meta {
		return l.alone(of)
	}
	m := l.of(stream)
	m.RLock()
	return m.RUnlock
}

// alone is taken by deletions.
func (l *locks) alone(stream string) (release func()) {
	m := l.of(stream)
	m.Lock()
	return m.Unlock
}

func (l *locks) of(stream string) *sync.RWMutex {
	return &l.stripes[maphash.String(l.seed, stream)%uint64(len(l.stripes))]
}
