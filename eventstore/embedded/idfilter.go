package embedded

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

const (
	// filterWords of 64 bits are 16 MiB: at ten million appends one new id in a hundred is
	// looked up in vain, at forty million one in six. More only costs that look-up.
	filterWords = 1 << 21
	blockWords  = 8 // a cache line
	blockBits   = 6 // set for each id
	// fillChunk is how many ids are read with one iterator, which keeps old tables alive.
	fillChunk = 1 << 16
)

// idFilter knows that an id was never stored, without asking the store: nearly every append brings a
// new one. It is a Bloom filter in blocks of one cache line (Putze, Sanders, Singler 2007). Until
// fill has read the ids of former runs it knows nothing.
type idFilter struct {
	seed  maphash.Seed
	words []atomic.Uint64
	ready atomic.Bool
}

func newIDFilter() *idFilter {
	return &idFilter{seed: maphash.MakeSeed(), words: make([]atomic.Uint64, filterWords)}
}

// bits are the block of an id and the places in it, nine bits each.
func (f *idFilter) bits(id eventstore.EventID) (block []atomic.Uint64, places uint64) {
	h := maphash.Bytes(f.seed, id[:])
	first := (h % (filterWords / blockWords)) * blockWords
	// The low bits choose the block; mix, so that the places do not depend on it.
	return f.words[first : first+blockWords], (h ^ h>>32) * 0x9e3779b97f4a7c15
}

func (f *idFilter) add(id eventstore.EventID) {
	block, places := f.bits(id)
	for range blockBits {
		block[places&7].Or(1 << (places >> 3 & 63))
		places >>= 9
	}
}

// isNew is true only of an id that was never added.
func (f *idFilter) isNew(id eventstore.EventID) bool {
	if !f.ready.Load() {
		return false
	}
	block, places := f.bits(id)
	for range blockBits {
		if block[places&7].Load()&(1<<(places>>3&63)) == 0 {
			return true
		}
		places >>= 9
	}
	return false
}

// fillFilter adds the ids that were stored before this run, beside the sequencer, who adds its own.
// As long as reading fails the filter is not ready, and every id is looked up.
func (s *Store) fillFilter() {
	last := []byte(prefixID)
	var between pause
	for {
		next, more, err := s.fillSome(last)
		switch {
		case err != nil:
			between.grow()
		case !more:
			s.filter.ready.Store(true)
			return
		default:
			last = next
			between.reset()
		}
		if !between.wait(s.closing) {
			return
		}
		select {
		case <-s.closing:
			return
		case <-s.halted:
			return
		default:
		}
	}
}

// fillSome adds a chunk of the ids from a key on, and answers where the next one begins.
func (s *Store) fillSome(from []byte) (next []byte, more bool, err error) {
	if err := s.acquire(); err != nil {
		return nil, false, err
	}
	defer s.release()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: upperBound(prefixID)})
	if err != nil {
		return nil, false, err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n == fillChunk {
			next, more = append([]byte(nil), it.Key()...), true
			break
		}
		if key := it.Key(); len(key) == idKeyLen {
			s.filter.add(eventstore.EventID(key[prefixLen:]))
		}
		n++
	}
	if err := it.Error(); err != nil {
		more = false
		return nil, false, closeAnd(it, err)
	}
	return next, more, it.Close()
}

// upperBound is the end of the keys with a prefix of one letter and a slash.
func upperBound(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

func closeAnd(it *pebble.Iterator, err error) error {
	_ = it.Close() //nolint:errcheck // it repeats err
	return err
}
