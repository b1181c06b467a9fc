package groups

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Definition is what a group is created with.
type Definition struct {
	Key      Key
	Start    Start
	Filter   []byte // kept as it is and given to Config.Match; nil for every event
	Settings Settings
}

// Start is where a group without a checkpoint begins.
type Start struct {
	From From   `json:"from"`
	At   uint64 `json:"at,omitempty"` // with FromPlace: the first revision, or position on All, to deliver
}

// From is the kind of a Start.
type From string

// Where a group begins: with the first event, after the last event at the time of its creation, or
// with a revision or position, that one included.
const (
	FromStart From = "start"
	FromEnd   From = "end"
	FromPlace From = "place"
)

// Strategy says which consumer gets an event.
type Strategy string

// The strategies. RoundRobin takes turns among those with room, DispatchToSingle takes the first
// connected that has room. Pinned gives the events of one stream to one consumer, and
// PinnedByCorrelation those of one $correlationId, as long as that consumer has room: an event
// never waits for a slow consumer while another one is free.
const (
	RoundRobin          Strategy = "RoundRobin"
	DispatchToSingle    Strategy = "DispatchToSingle"
	Pinned              Strategy = "Pinned"
	PinnedByCorrelation Strategy = "PinnedByCorrelation"
)

// Strategies are all of them.
func Strategies() []Strategy {
	return []Strategy{RoundRobin, DispatchToSingle, Pinned, PinnedByCorrelation}
}

// Settings of a group, by the names of the protocol.
type Settings struct {
	ResolveLinks    bool `json:"resolve_links,omitempty"`
	ExtraStatistics bool `json:"extra_statistics,omitempty"` // kept and reported; nothing is measured for it
	// MaxRetryCount is how often an event is delivered again before it is parked.
	MaxRetryCount int `json:"max_retry_count"`
	// A checkpoint is written when it has moved by MinCheckpointCount, or MaxCheckpointCount if
	// that is less, and the last one is CheckpointAfter old.
	MinCheckpointCount int           `json:"min_checkpoint_count"`
	MaxCheckpointCount int           `json:"max_checkpoint_count"`
	CheckpointAfter    time.Duration `json:"checkpoint_after_ns"`
	// MaxSubscriberCount is how many consumers may connect; 0 is no limit.
	MaxSubscriberCount int `json:"max_subscriber_count"`
	// HistoryBufferSize and LiveBufferSize are how many events are read ahead of the consumers while the
	// group catches up and when it has. Reading goes on when there is room for ReadBatchSize.
	HistoryBufferSize int `json:"history_buffer_size"`
	LiveBufferSize    int `json:"live_buffer_size"`
	ReadBatchSize     int `json:"read_batch_size"`
	// MessageTimeout is how long a consumer may take for an event before it is delivered again; 0 is for ever.
	MessageTimeout time.Duration `json:"message_timeout_ns"`
	Strategy       Strategy      `json:"strategy"`
}

// DefaultSettings are those of the protocol.
func DefaultSettings() Settings {
	return Settings{
		MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, CheckpointAfter: 2 * time.Second,
		HistoryBufferSize: 500, LiveBufferSize: 500, ReadBatchSize: 20,
		MessageTimeout: 30 * time.Second, Strategy: RoundRobin,
	}
}

// maxCount is the largest of any count: that of the protocol's own fields.
const maxCount = math.MaxInt32

// validate names every setting that is out of its range.
func (s Settings) validate() error {
	var errs []error
	for _, c := range []struct {
		name       string
		value, min int
	}{
		{"max_retry_count", s.MaxRetryCount, 0},
		{"min_checkpoint_count", s.MinCheckpointCount, 0},
		{"max_checkpoint_count", s.MaxCheckpointCount, 1},
		{"max_subscriber_count", s.MaxSubscriberCount, 0},
		{"history_buffer_size", s.HistoryBufferSize, 1},
		{"live_buffer_size", s.LiveBufferSize, 1},
		{"read_batch_size", s.ReadBatchSize, 1},
	} {
		if c.value < c.min || c.value > maxCount {
			errs = append(errs, fmt.Errorf("%s is %d, must be %d to %d", c.name, c.value, c.min, maxCount))
		}
	}
	if s.ReadBatchSize >= s.HistoryBufferSize {
		errs = append(errs, fmt.Errorf("read_batch_size is %d, must be less than history_buffer_size, %d",
			s.ReadBatchSize, s.HistoryBufferSize))
	}
	if s.MessageTimeout < 0 || s.CheckpointAfter < 0 {
		errs = append(errs, errors.New("message_timeout and checkpoint_after must not be negative"))
	}
	if !slices.Contains(Strategies(), s.Strategy) {
		errs = append(errs, fmt.Errorf("consumer strategy %q does not exist", s.Strategy))
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(errs...))
	}
	return nil
}
