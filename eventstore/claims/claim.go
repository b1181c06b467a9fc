package claims

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// StreamPrefix is the category of the claim streams. The rest of the name is the id that is claimed.
const StreamPrefix = "eventId-"

// The types of the events in a claim stream.
const (
	typeClaimed  = "EventIdClaimed"
	typeReleased = "EventIdReleased"
)

func hidden(stream string) bool { return strings.HasPrefix(stream, StreamPrefix) }

func claimStream(id eventstore.EventID) string { return StreamPrefix + id.String() }

// place is where an append can be stored, and nowhere else: after Expected, which is exact.
type place struct {
	Stream   string              `json:"stream"`
	Expected eventstore.Expected `json:"expected"` // a revision, or -1 for no stream
	Count    int                 `json:"count"`
}

// claim is the last event of a claim stream.
type claim struct {
	place

	revision   uint64 // in the claim stream
	released   bool   // by the one who made it: nothing is claimed
	recordedAt time.Time
}

// lastClaim reads the claim that holds now.
func (s *Store) lastClaim(ctx context.Context, id eventstore.EventID) (claim, error) {
	for r, err := range s.inner.ReadStream(ctx, claimStream(id), eventstore.End, eventstore.Backward) {
		if err != nil {
			return claim{}, err
		}
		return parseClaim(r)
	}
	return claim{}, fmt.Errorf("%w: stream %s is empty", eventstore.ErrCorrupt, claimStream(id))
}

func parseClaim(r eventstore.Recorded) (claim, error) {
	c := claim{revision: r.Revision, released: r.Type == typeReleased, recordedAt: r.RecordedAt}
	if c.released {
		return c, nil
	}
	err := json.Unmarshal(r.Data, &c.place)
	if err != nil || r.Type != typeClaimed || c.Stream == "" || c.Count < 1 || c.Count > eventstore.MaxAppendEvents || c.Expected < eventstore.NoStream {
		return claim{}, fmt.Errorf("%w: event %d of stream %s is not a claim", eventstore.ErrCorrupt, r.Revision, r.Stream)
	}
	return c, nil
}

// errRace is somebody else who has claimed the same id since we looked.
var errRace = errors.New("the id was claimed by somebody else")

// claim appends a claim after the revision given, NoStream for the first (C2). The answer is the revision
// of the claim, errRace, or that nothing was stored.
func (s *Store) claim(ctx context.Context, id eventstore.EventID, after eventstore.Expected, p place) (uint64, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	res, err := s.record(ctx, id, after, typeClaimed, data)
	switch {
	case err == nil:
		return res.Revision, nil
	case errors.Is(err, eventstore.ErrConflict):
		return 0, errRace
	case errors.Is(err, eventstore.ErrOutcomeUnknown) && ctx.Err() != nil:
		return 0, fmt.Errorf("claim of event id %s: nothing stored: %w", id, context.Cause(ctx))
	case errors.Is(err, eventstore.ErrOutcomeUnknown):
		// Hidden with %v: unknown is the claim, and known that nothing was appended under it.
		return 0, fmt.Errorf("%w: claim of event id %s: %v", eventstore.ErrUnavailable, id, err)
	}
	return 0, fmt.Errorf("claim of event id %s: %w", id, err)
}

// release takes back a claim of ours (C8). If it fails, or somebody has followed, the claim just
// stays: that costs a repeat some time, and nothing else.
func (s *Store) release(ctx context.Context, id eventstore.EventID, revision uint64) {
	_, _ = s.record(ctx, id, eventstore.AtRevision(revision), typeReleased, []byte(`{}`))
}

func (s *Store) record(ctx context.Context, id eventstore.EventID, after eventstore.Expected, typ string, data []byte) (eventstore.Result, error) {
	var own eventstore.EventID // random: a claim is never repeated
	_, _ = rand.Read(own[:])   // does not fail
	own[6], own[8] = own[6]&0x0f|0x40, own[8]&0x3f|0x80
	return s.inner.Append(ctx, eventstore.Append{
		Stream: claimStream(id), Expected: after, Events: []eventstore.Event{{ID: own, Type: typ, Data: data}},
	})
}
