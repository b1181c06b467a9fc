package codec

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is made of it; nothing relies on its strength
	"strconv"

	"github.com/logoutd/logoutd/eventstore"
)

// EventID is the id of the event at an index of a command: UUIDv5 (RFC 9562 §5.5) with the command id
// as name space and the decimal index as name. A test compares it with uuid.NewSHA1, which
// allocates three times; this runs three times in every logout.
func EventID(command [16]byte, index int) eventstore.EventID {
	var name [36]byte
	copy(name[:], command[:])
	sum := sha1.Sum(strconv.AppendInt(name[:len(command)], int64(index), 10)) //nolint:gosec // what the standard asks for
	id := eventstore.EventID(sum[:16])
	id[6] = id[6]&0x0f | 0x50 // version 5
	id[8] = id[8]&0x3f | 0x80 // the RFC's variant
	return id
}
