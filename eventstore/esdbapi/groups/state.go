package groups

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// The types of the events that hold the state of groups.
const (
	checkpointType = "$SubscriptionCheckpoint"
	metadataType   = "$metadata"
)

// maxReason is how many bytes of a reason are kept with a parked message.
const maxReason = 1024

// checkpointMeta ties a checkpoint to one life of a group: what an earlier group of the same name
// wrote, however late it was stored, says nothing of this one.
type checkpointMeta struct {
	Group string `json:"group"`
}

type parkedMeta struct {
	Added  time.Time `json:"added"`
	Reason string    `json:"reason"`
	Number uint64    `json:"subscriptionEventNumber"`
}

type streamMeta struct {
	TruncateBefore uint64 `json:"$tb"`
}

// recover reads the state of the group, as often as it takes. It is false when ctx ends first.
func (g *group) recover(ctx context.Context) bool {
	var pause backoff
	for {
		err := g.readState(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		g.failed(err)
		if !pause.wait(ctx) {
			return false
		}
	}
}

func (g *group) readState(ctx context.Context) error {
	at, err := g.readCheckpoint(ctx)
	if err != nil {
		return fmt.Errorf("read the checkpoint of %s: %w", g.entry.Key, err)
	}
	end, err := streamEnd(ctx, g.cfg.Store, g.entry.Key.parkedStream())
	if err != nil {
		return fmt.Errorf("read the parked messages of %s: %w", g.entry.Key, err)
	}
	from, err := g.readTruncation(ctx)
	if err != nil {
		return fmt.Errorf("read the metadata of the parked messages of %s: %w", g.entry.Key, err)
	}
	from = min(from, end)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.Now()
	g.main.last, g.checkpoint = at, mark{at, now}
	g.parked.last, g.truncated = Place(from), mark{Place(from), now}
	g.parkedNext, g.parkedTo, g.parkedEnd = from, from, end
	g.known, g.recovered, g.trouble = at, true, nil
	return nil
}

// readCheckpoint is the last place that this life of the group wrote, or where it starts.
func (g *group) readCheckpoint(ctx context.Context) (Place, error) {
	for e, err := range g.cfg.Store.ReadStream(ctx, g.entry.Key.checkpointStream(), eventstore.End, eventstore.Backward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) || err == nil && e.Revision < g.entry.CheckpointFrom {
			break
		}
		if err != nil {
			return 0, err //nolint:wrapcheck // the caller says what was read
		}
		var meta checkpointMeta
		if json.Unmarshal(e.Metadata, &meta) != nil || meta.Group != g.entry.ID {
			continue
		}
		if at, ok := parseCheckpoint(g.entry.Key, e.Data); ok {
			return at, nil
		}
	}
	return g.entry.From, nil
}

func (g *group) readTruncation(ctx context.Context) (uint64, error) {
	for e, err := range g.cfg.Store.ReadStream(ctx, g.entry.Key.parkedMeta(), eventstore.End, eventstore.Backward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return 0, err //nolint:wrapcheck // the caller says what was read
		}
		var meta streamMeta
		if json.Unmarshal(e.Data, &meta) == nil {
			return max(meta.TruncateBefore, g.entry.ParkedFrom), nil
		}
	}
	return g.entry.ParkedFrom, nil
}

// streamEnd is the number of events in a stream.
func streamEnd(ctx context.Context, r eventstore.StreamReader, stream string) (uint64, error) {
	for e, err := range r.ReadStream(ctx, stream, eventstore.End, eventstore.Backward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		return e.Revision + 1, err //nolint:wrapcheck // the caller says what was read
	}
	return 0, nil
}

// checkpointAppend writes a place as the protocol does: the revision of the last event settled, or its
// position.
func (g *group) checkpointAppend(at Place) eventstore.Append {
	return eventstore.Append{
		Stream: g.entry.Key.checkpointStream(), Expected: eventstore.Any,
		Events: []eventstore.Event{{
			ID: newID(), Type: checkpointType,
			Data: formatCheckpoint(g.entry.Key, at), Metadata: mustJSON(checkpointMeta{g.entry.ID}),
		}},
	}
}

func (g *group) truncateAppend(before Place) eventstore.Append {
	return eventstore.Append{
		Stream: g.entry.Key.parkedMeta(), Expected: eventstore.Any,
		Events: []eventstore.Event{{ID: newID(), Type: metadataType, Data: mustJSON(streamMeta{uint64(before)})}},
	}
}

func (g *group) parkAppend(batch []*message) eventstore.Append {
	a := eventstore.Append{Stream: g.entry.Key.parkedStream(), Expected: eventstore.Any}
	for _, m := range batch {
		reason := strings.ToValidUTF8(m.reason[:min(len(m.reason), maxReason)], "\ufffd")
		a.Events = append(a.Events, eventstore.Event{
			ID: newID(), Type: linkType, ContentType: eventstore.OctetStream, Data: linkTo(m.target()),
			Metadata: mustJSON(parkedMeta{g.cfg.Now().UTC(), reason, m.Original().Revision}),
		})
	}
	return a
}

// formatCheckpoint never sees place 0 of a stream: there is no checkpoint before the first event.
func formatCheckpoint(k Key, at Place) []byte {
	if k.Stream == All {
		return fmt.Appendf(nil, `"C:%d/P:%d"`, at, at)
	}
	return fmt.Appendf(nil, `"%d"`, at-1)
}

func parseCheckpoint(k Key, data []byte) (Place, bool) {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return 0, false
	}
	if k.Stream == All {
		commit, _, found := strings.Cut(strings.TrimPrefix(text, "C:"), "/P:")
		n, err := strconv.ParseUint(commit, 10, 63)
		return Place(n), found && err == nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return Place(n + 1), err == nil
}

// mustJSON encodes what always can be.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return b
}

// newID is a random UUID: ids are unique in the whole store.
func newID() eventstore.EventID {
	var id eventstore.EventID
	rand.Read(id[:]) //nolint:errcheck // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
