package embedded

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// A record is the value of g/: a fixed part that the sequencer fills in, and a body that the
// caller's goroutine has encoded before.
//
//	0   4  CRC32C of the body, the fixed part and the first position
//	4   8  recorded at, Unix nanoseconds
//	12  8  first revision
//	20     body: stream, number of events, events
//
// An event is its id, flags, type, data and, unless it equals the one before, its metadata.
const (
	recordFixed = 20

	flagOctetStream  = 1 << 0
	flagSameMetadata = 1 << 1
)

// castagnoli is a table, not state: it has hardware support.
var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // constant in all but name

var errRecord = errors.New("record is damaged")

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendString(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// appendBody encodes what an append brings with it.
func appendBody(b []byte, a *eventstore.Append) []byte {
	b = appendString(b, a.Stream)
	b = binary.AppendUvarint(b, uint64(len(a.Events)))
	for i := range a.Events {
		e := &a.Events[i]
		b = append(b, e.ID[:]...)
		var flags byte
		if e.ContentType == eventstore.OctetStream {
			flags |= flagOctetStream
		}
		same := i > 0 && string(e.Metadata) == string(a.Events[i-1].Metadata)
		if same {
			flags |= flagSameMetadata
		}
		b = append(b, flags)
		b = appendString(b, e.Type)
		b = appendBytes(b, e.Data)
		if !same {
			b = appendBytes(b, e.Metadata)
		}
	}
	return b
}

// putFixed fills the fixed part of a record whose body is in place.
func putFixed(rec []byte, bodySum uint32, at int64, revision uint64, first eventstore.Position) {
	binary.LittleEndian.PutUint64(rec[4:], uint64(at)) //nolint:gosec // the bits of an int64
	binary.LittleEndian.PutUint64(rec[12:], revision)
	binary.LittleEndian.PutUint32(rec, recordSum(rec, bodySum, first))
}

// recordSum includes the position, so that a record under another record's key is found out.
func recordSum(rec []byte, bodySum uint32, first eventstore.Position) uint32 {
	var tail [recordFixed - 4 + 8]byte
	copy(tail[:], rec[4:recordFixed])
	binary.LittleEndian.PutUint64(tail[recordFixed-4:], uint64(first))
	return crc32.Update(bodySum, castagnoli, tail[:])
}

// record is a decoded header and the events, still encoded, behind it.
type record struct {
	stream   []byte
	revision uint64
	first    eventstore.Position
	at       int64
	count    int
	events   []byte
}

func (r *record) last() eventstore.Result {
	n := uint64(r.count) - 1 //nolint:gosec // count is at least 1
	return eventstore.Result{Revision: r.revision + n, Position: r.first + eventstore.Position(n)}
}

func parseRecord(first eventstore.Position, rec []byte) (record, error) {
	if len(rec) < recordFixed {
		return record{}, errRecord
	}
	bodySum := crc32.Checksum(rec[recordFixed:], castagnoli)
	if recordSum(rec, bodySum, first) != binary.LittleEndian.Uint32(rec) {
		return record{}, errRecord
	}
	d := decoder{b: rec[recordFixed:]}
	r := record{
		first:    first,
		at:       int64(binary.LittleEndian.Uint64(rec[4:])), //nolint:gosec // the bits of an int64
		revision: binary.LittleEndian.Uint64(rec[12:]),
		stream:   d.bytes(),
	}
	count := d.uvarint()
	if d.bad || count == 0 || count > eventstore.MaxAppendEvents {
		return record{}, errRecord
	}
	r.count, r.events = int(count), d.b //nolint:gosec // at most MaxAppendEvents
	return r, nil
}

// names keeps one string per event type, of which there are few, across many records.
type names map[string]string

func (n names) intern(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	const plenty = 256 // a store with more types than that pays one allocation for each event
	s := string(b)
	if len(n) < plenty {
		n[s] = s
	}
	return s
}

// appendEvents decodes a record to the end of out. Data and metadata are parts of rec, which
// the caller must own. stream, when it is known, saves a copy of the name.
func appendEvents(out []eventstore.Recorded, first eventstore.Position, rec []byte, stream string, n names) ([]eventstore.Recorded, error) {
	r, err := parseRecord(first, rec)
	if err != nil {
		return out, err
	}
	if string(r.stream) != stream {
		stream = string(r.stream)
	}
	d := decoder{b: r.events}
	at := time.Unix(0, r.at).UTC()
	var metadata []byte
	for i := range r.count {
		var e eventstore.Event
		copy(e.ID[:], d.take(len(e.ID)))
		flags := d.byte()
		if flags&flagOctetStream != 0 {
			e.ContentType = eventstore.OctetStream
		}
		e.Type = n.intern(d.bytes())
		e.Data = d.bytes()
		if flags&flagSameMetadata == 0 {
			metadata = d.bytes()
		}
		e.Metadata = metadata
		out = append(out, eventstore.Recorded{
			Event: e, Stream: stream, RecordedAt: at,
			Revision: r.revision + uint64(i), Position: first + eventstore.Position(i), //nolint:gosec // i is small
		})
	}
	if d.bad || len(d.b) != 0 {
		return out, errRecord
	}
	return out, nil
}

// eventIDs reads the ids only.
func (r *record) eventIDs() ([]eventstore.EventID, error) {
	d := decoder{b: r.events}
	ids := make([]eventstore.EventID, r.count)
	for i := range ids {
		copy(ids[i][:], d.take(len(ids[i])))
		flags := d.byte()
		d.bytes()
		d.bytes()
		if flags&flagSameMetadata == 0 {
			d.bytes()
		}
	}
	if d.bad {
		return nil, errRecord
	}
	return ids, nil
}
