package esdbapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// metaPrefix begins the name of the stream that holds the metadata of another.
const metaPrefix = "$$"

// metaTarget is the stream that a metastream is about.
func metaTarget(stream string) (of string, meta bool) {
	of, meta = strings.CutPrefix(stream, metaPrefix)
	return of, meta && of != ""
}

// deletedBefore, as $tb, is a soft delete: everything is truncated.
const deletedBefore = math.MaxInt64

// lifetime is what the metadata of a stream says about which of its events can still be read.
type lifetime struct {
	exists     bool                // the metastream has an event
	revision   eventstore.Expected // of that event
	position   eventstore.Position // of that event
	json       []byte              // as stored
	tombstoned bool

	truncateBefore uint64
	maxCount       uint64        // 0: no limit
	maxAge         time.Duration // 0: no limit
}

func (l *lifetime) softDeleted() bool { return l.truncateBefore == deletedBefore }

// ofMetastream is what holds of the metastream itself: its last event counts, and it shares a tombstone.
func (l *lifetime) ofMetastream() lifetime {
	return lifetime{revision: eventstore.NoStream, tombstoned: l.tombstoned, maxCount: 1}
}

// first is the lowest revision that may be read of a stream that ends at last.
func (l *lifetime) first(last uint64) uint64 {
	first := l.truncateBefore
	if l.maxCount > 0 && last >= l.maxCount {
		first = max(first, last-l.maxCount+1)
	}
	return first
}

// expired says whether an event is older than the stream keeps its events.
func (l *lifetime) expired(e *eventstore.Recorded, now time.Time) bool {
	return l.maxAge > 0 && e.RecordedAt.Before(now.Add(-l.maxAge))
}

// lifetime reads the metadata of a stream. Protected streams have none, and cost no read.
func (s *Server) lifetime(ctx context.Context, stream string) (lifetime, error) {
	if s.protected(stream) {
		return lifetime{revision: eventstore.NoStream}, nil
	}
	if of, meta := metaTarget(stream); meta {
		l, err := s.lifetime(ctx, of)
		return l.ofMetastream(), err
	}
	if len(metaPrefix)+len(stream) > eventstore.MaxNameBytes {
		return lifetime{revision: eventstore.NoStream}, nil
	}
	e, found, err := s.lastEvent(ctx, metaPrefix+stream)
	if err != nil || !found {
		return lifetime{revision: eventstore.NoStream}, err
	}
	l := parseLifetime(e.Data)
	l.exists, l.revision, l.position = true, eventstore.AtRevision(e.Revision), e.Position
	l.json, l.tombstoned = e.Data, e.Type == typeStreamDeleted
	return l, nil
}

// lastEvent reads the newest event of a stream.
func (s *Server) lastEvent(ctx context.Context, stream string) (e eventstore.Recorded, found bool, err error) {
	for e, err := range s.config.Store.ReadStream(ctx, stream, eventstore.End, eventstore.Backward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			return eventstore.Recorded{}, false, nil
		}
		return e, err == nil, err
	}
	return eventstore.Recorded{}, false, nil
}

// lastRevision is NoStream or the revision of the newest event of a stream.
func (s *Server) lastRevision(ctx context.Context, stream string) (eventstore.Expected, error) {
	e, found, err := s.lastEvent(ctx, stream)
	if err != nil || !found {
		return eventstore.NoStream, err
	}
	return eventstore.AtRevision(e.Revision), nil
}

// parseLifetime reads metadata. What cannot be read is as good as not there: that is
// the protocol's rule, for anybody may have written it.
func parseLifetime(data []byte) lifetime {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return lifetime{}
	}
	return lifetime{
		truncateBefore: number(fields["$tb"]),
		maxCount:       number(fields["$maxCount"]),
		maxAge:         seconds(number(fields["$maxAge"])),
	}
}

// number is 0 where there is none, or none that counts.
func number(raw json.RawMessage) uint64 {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return uint64(n)
}

func seconds(n uint64) time.Duration {
	if n > uint64(math.MaxInt64/time.Second) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Second //nolint:gosec // bounded above
}

// truncatedFrom is metadata with another $tb; the rest stays as it was.
func truncatedFrom(metadata []byte, before uint64) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(metadata, &fields) != nil || fields == nil {
		fields = map[string]json.RawMessage{}
	}
	fields["$tb"] = json.RawMessage(strconv.FormatUint(before, 10))
	return json.Marshal(fields)
}
