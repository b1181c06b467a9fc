package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// OpenFS opens a store on a file system of the test's own.
var OpenFS = open //nolint:gochecknoglobals // a name for tests, not state

// WithSmallTables makes a store write tables, and change logs, after few appends.
func WithSmallTables(c Config) Config {
	c.memTableBytes = 256 << 10
	return c
}

// WithLittlePatience makes a store call a slow group trouble, and a file that cannot be created a failure, early.
func WithLittlePatience(c Config) Config {
	const little = 100 * time.Millisecond
	c.stallAfter, c.patience = little, little
	return c
}

// FilterReady says whether ids that are new are known without a look-up.
func (s *Store) FilterReady() bool { return s.filter.ready.Load() }

// Applied is the position that Pebble shows, durable or not.
func (s *Store) Applied() eventstore.Position { return eventstore.Position(s.applied.Load()) }

// EncodeRecord is the value that g/ gets for an append.
func EncodeRecord(a eventstore.Append, at int64, revision uint64, first eventstore.Position) []byte {
	rec := appendBody(make([]byte, recordFixed), &a)
	putFixed(rec, crc32.Checksum(rec[recordFixed:], castagnoli), at, revision, first)
	return rec
}

// DecodeRecord is what a read makes of a value of g/.
func DecodeRecord(first eventstore.Position, rec []byte) ([]eventstore.Recorded, error) {
	return appendEvents(nil, first, rec, "", make(names))
}

// Reseal gives bytes the checksum that a record with these contents would have.
func Reseal(rec []byte, first eventstore.Position) []byte {
	if len(rec) < recordFixed {
		return rec
	}
	rec = append([]byte(nil), rec...)
	binary.LittleEndian.PutUint32(rec, recordSum(rec, crc32.Checksum(rec[recordFixed:], castagnoli), first))
	return rec
}
