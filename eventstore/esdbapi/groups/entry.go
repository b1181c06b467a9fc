package groups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/logoutd/logoutd/eventstore"
)

const configType = "$PersistentConfig"

// entry is a group as the configuration holds it.
type entry struct {
	Key      Key      `json:"key"`
	ID       string   `json:"id"`      // of this life of the group: random, so that no two have one
	Edition  int      `json:"edition"` // raised by every update
	Start    Start    `json:"start"`
	From     Place    `json:"from"` // what Start came to
	Filter   []byte   `json:"filter,omitempty"`
	Settings Settings `json:"settings"`
	// Where in the streams of the group's state this life of it begins.
	CheckpointFrom uint64 `json:"checkpoint_from,omitempty"`
	ParkedFrom     uint64 `json:"parked_from,omitempty"`
}

func (e entry) Definition() Definition {
	return Definition{Key: e.Key, Start: e.Start, Filter: slices.Clone(e.Filter), Settings: e.Settings}
}

func (e entry) same(other entry) bool { return e.ID == other.ID && e.Edition == other.Edition }

// configuration is the data of an event of the config stream: all groups, every time. They are few, and so
// the last event is all that is ever read.
type configuration struct {
	Version int     `json:"version"`
	Entries []entry `json:"entries"`
}

const configVersion = 1

// readConfig answers the groups and the revision that the next change expects. An event that is no
// configuration, which only somebody else can have written, is passed over.
func readConfig(ctx context.Context, r eventstore.StreamReader) ([]entry, eventstore.Expected, error) {
	at := eventstore.NoStream
	for e, err := range r.ReadStream(ctx, configStream, eventstore.End, eventstore.Backward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", configStream, err)
		}
		if at == eventstore.NoStream {
			at = eventstore.AtRevision(e.Revision)
		}
		var c configuration
		if e.Type == configType && json.Unmarshal(e.Data, &c) == nil && c.valid() {
			return c.Entries, at, nil
		}
	}
	return nil, at, nil
}

func (c configuration) valid() bool {
	seen := map[Key]bool{}
	for _, e := range c.Entries {
		if e.Key.validate() != nil || e.Settings.validate() != nil || seen[e.Key] {
			return false
		}
		seen[e.Key] = true
	}
	return c.Version == configVersion
}

func configAppend(entries []entry, at eventstore.Expected) eventstore.Append {
	return eventstore.Append{
		Stream: configStream, Expected: at,
		Events: []eventstore.Event{{ID: newID(), Type: configType, Data: mustJSON(configuration{configVersion, entries})}},
	}
}

// placeStart finds out where a group starts, once and for all: what is appended after its creation is
// delivered even if nobody connects before the process ends.
func placeStart(ctx context.Context, cfg *Config, k Key, start Start) (Place, error) {
	switch {
	case start.From == FromStart:
		return 0, nil
	case start.From != FromEnd && start.From != FromPlace:
		return 0, fmt.Errorf("%w: start %q is none of start, end and place", ErrInvalid, start.From)
	case start.At > maxPlace:
		return 0, fmt.Errorf("%w: start %d is out of range", ErrInvalid, start.At)
	case start.From == FromPlace && k.Stream != All:
		return Place(start.At), nil // the events before revision n are n
	}
	end, err := sourceEnd(ctx, cfg, k)
	switch {
	case err != nil:
		return 0, fmt.Errorf("find the end of %s: %w", k.Stream, err)
	case start.From == FromEnd:
		return end, nil
	case Place(start.At) > end:
		return 0, fmt.Errorf("%w: start position %d is past the end, %d", ErrInvalid, start.At, end)
	}
	return Place(max(start.At, 1) - 1), nil // reads begin after a place
}

// maxPlace is the largest revision and position of the protocol.
const maxPlace = 1<<63 - 1

func sourceEnd(ctx context.Context, cfg *Config, k Key) (Place, error) {
	if k.Stream == All {
		head, err := cfg.Store.Head(ctx)
		return Place(head), err //nolint:wrapcheck // the caller says what was read
	}
	end, err := streamEnd(ctx, cfg.Source, k.Stream)
	return Place(end), err
}
