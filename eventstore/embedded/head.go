package embedded

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/logoutd/logoutd/eventstore"
)

// A head is the value of h/: where a stream is, and its snapshot.
//
//	0   4  CRC32C of the stream, the snapshot and the fixed part
//	4   8  last revision
//	12  8  last position
//	20  1  1 when a snapshot follows
//	21     snapshot
const headFixed = 21

type head struct {
	revision uint64
	position eventstore.Position
	snapshot []byte // nil when none is kept
}

// headSum is the part of a head's checksum that is known before the head's place is.
func headSum(stream string, snapshot []byte) uint32 {
	var small [64]byte
	sum := crc32.Checksum(append(small[:0], stream...), castagnoli)
	return crc32.Update(sum, castagnoli, snapshot)
}

func putHead(v []byte, sum uint32, h head) {
	binary.LittleEndian.PutUint64(v[4:], h.revision)
	binary.LittleEndian.PutUint64(v[12:], uint64(h.position))
	v[20] = 0
	if h.snapshot != nil {
		v[20] = 1
	}
	copy(v[headFixed:], h.snapshot)
	binary.LittleEndian.PutUint32(v, crc32.Update(sum, castagnoli, v[4:headFixed]))
}

// parseHead decodes a head. The snapshot is a part of v.
func parseHead(stream string, v []byte) (head, error) {
	if len(v) < headFixed {
		return head{}, errRecord
	}
	sum := crc32.Update(headSum(stream, v[headFixed:]), castagnoli, v[4:headFixed])
	if sum != binary.LittleEndian.Uint32(v) || v[20] > 1 || (v[20] == 0 && len(v) != headFixed) {
		return head{}, errRecord
	}
	h := head{
		revision: binary.LittleEndian.Uint64(v[4:]),
		position: eventstore.Position(binary.LittleEndian.Uint64(v[12:])),
	}
	if v[20] == 1 {
		h.snapshot = v[headFixed:len(v):len(v)]
	}
	return h, nil
}
