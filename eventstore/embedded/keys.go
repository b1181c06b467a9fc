package embedded

import (
	"encoding/binary"

	"github.com/logoutd/logoutd/eventstore"
)

// Every key starts with two bytes that name its kind.
const (
	prefixRecord = "g/"
	prefixHead   = "h/"
	prefixID     = "i/"
	prefixStream = "s/"

	prefixLen     = 2
	recordKeyLen  = prefixLen + 8
	idKeyLen      = prefixLen + len(eventstore.EventID{})
	positionBytes = 8
)

func appendRecordKey(b []byte, first eventstore.Position) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixRecord...), uint64(first))
}

func appendHeadKey(b []byte, stream string) []byte {
	return append(append(b, prefixHead...), stream...)
}

func appendIDKey(b []byte, id eventstore.EventID) []byte {
	return append(append(b, prefixID...), id[:]...)
}

func appendStreamKey(b []byte, stream string, firstRevision uint64) []byte {
	b = append(append(append(b, prefixStream...), stream...), 0)
	return binary.BigEndian.AppendUint64(b, firstRevision)
}

func streamKeyLen(stream string) int { return prefixLen + len(stream) + 1 + 8 }

// streamBounds encloses every key of one stream's index.
func streamBounds(stream string) (lower, upper []byte) {
	lower = append(append(append([]byte(nil), prefixStream...), stream...), 0)
	upper = append([]byte(nil), lower...)
	upper[len(upper)-1] = 1
	return lower, upper
}

func parsePosition(b []byte) (eventstore.Position, bool) {
	if len(b) != positionBytes {
		return 0, false
	}
	return eventstore.Position(binary.BigEndian.Uint64(b)), true
}
