package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/logoutd/logoutd/eventstore"
)

// Comparison is what reading two stores has shown.
type Comparison struct {
	// Head is where the source was when this began: it was read up to there (T2).
	Head     eventstore.Position
	From, To Summary
	// Difference is the first, in words; "" when the stores are equal, event by event. Then every stream ends at
	// the same revision in both.
	Difference string
}

// Equal reports whether both stores hold the same history.
func (c Comparison) Equal() bool { return c.Difference == "" && c.From == c.To }

// Summary is what one store holds.
type Summary struct {
	Events  uint64
	Streams uint64 // as many as first events
	// SHA256, in hexadecimal, is over every event in the global order: stream, revision, id, type, content
	// type, data and metadata, each as its length in 8 bytes, big-endian, and its bytes; numbers are 8 bytes
	// themselves and the content type is one.
	SHA256 string
}

// DifferenceError is a target that is not a beginning of the source.
type DifferenceError struct{ Difference string }

func (e *DifferenceError) Error() string {
	return "the target is no copy of the source: " + e.Difference
}

// compare reads both stores to their end (T7).
func (c *copying) compare(ctx context.Context) (Comparison, error) {
	from, to := summing{sha: sha256.New()}, summing{sha: sha256.New()}
	result := Comparison{Head: c.head}
	for p, err := range c.pairs(ctx) {
		if err != nil {
			return Comparison{}, err
		}
		from.add(p.from)
		to.add(p.to)
		if result.Difference == "" && (p.from == nil || p.to == nil || !samePlace(*p.from, *p.to) || !sameContent(p.from, p.to)) {
			result.Difference = p.difference(max(from.Events, to.Events))
		}
		if p.from != nil {
			c.Progress(Progress{Phase: Verifying, Events: from.Events, At: p.from.Position, Head: c.head})
		}
	}
	result.From, result.To = from.end(), to.end()
	return result, nil
}

func samePlace(a, b eventstore.Recorded) bool {
	return a.Stream == b.Stream && a.Revision == b.Revision && a.ID == b.ID
}

func sameContent(a, b *eventstore.Recorded) bool {
	return a.Type == b.Type && a.ContentType == b.ContentType && bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Metadata, b.Metadata)
}

// difference says how the nth events differ. It names places and never shows contents.
func (p pair) difference(n uint64) string {
	name := func(r *eventstore.Recorded) string {
		return fmt.Sprintf("revision %d of %s, id %s", r.Revision, r.Stream, r.ID)
	}
	switch {
	case p.from == nil:
		return fmt.Sprintf("event %d of the target is %s, and the source has ended", n, name(p.to))
	case p.to == nil:
		return fmt.Sprintf("event %d of the source is %s, and the target has ended", n, name(p.from))
	case !samePlace(*p.from, *p.to):
		return fmt.Sprintf("event %d of the source is %s, that of the target %s", n, name(p.from), name(p.to))
	}
	var what string
	switch {
	case p.from.Type != p.to.Type:
		what = "type"
	case p.from.ContentType != p.to.ContentType:
		what = "content type"
	case !bytes.Equal(p.from.Data, p.to.Data):
		what = "data"
	default:
		what = "metadata"
	}
	return fmt.Sprintf("event %d, %s, has another %s in the target", n, name(p.from), what)
}

// summing adds up one store.
type summing struct {
	Summary
	sha     hash.Hash
	scratch []byte
}

func (s *summing) add(r *eventstore.Recorded) {
	if r == nil {
		return
	}
	s.Events++
	if r.Revision == 0 {
		s.Streams++
	}
	b := s.scratch[:0]
	b = prefixed(b, []byte(r.Stream))
	b = binary.BigEndian.AppendUint64(b, r.Revision)
	b = prefixed(b, r.ID[:])
	b = prefixed(b, []byte(r.Type))
	b = append(b, byte(r.ContentType))
	b = prefixed(b, r.Data)
	b = prefixed(b, r.Metadata)
	s.sha.Write(b) // never fails
	s.scratch = b
}

func prefixed(b, field []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(field))), field...)
}

func (s *summing) end() Summary {
	s.SHA256 = hex.EncodeToString(s.sha.Sum(nil))
	return s.Summary
}
