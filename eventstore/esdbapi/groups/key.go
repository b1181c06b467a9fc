package groups

import (
	"fmt"
	"strings"

	"github.com/logoutd/logoutd/eventstore"
)

// All, as the stream of a group, is the global order.
const All = "$all"

// The streams of the protocol that hold the state of groups.
const (
	configStream = "$persistentSubscriptionConfig"
	statePrefix  = "$persistentsubscription-"
	metaPrefix   = "$$"
)

// Key names a group: the stream it reads, or All, and its own name.
type Key struct {
	Stream string `json:"stream"`
	Group  string `json:"group"`
}

// String is the id of the subscription in the protocol.
func (k Key) String() string { return k.Stream + "::" + k.Group }

func (k Key) checkpointStream() string { return statePrefix + k.String() + "-checkpoint" }
func (k Key) parkedStream() string     { return statePrefix + k.String() + "-parked" }
func (k Key) parkedMeta() string       { return metaPrefix + k.parkedStream() }

// validate demands names from which the names of the state streams can be made, and made by no
// other group: of two groups whose keys read the same, one would go on from the other's checkpoint.
func (k Key) validate() error {
	if k.Stream == metaPrefix {
		return fmt.Errorf("%w: stream name %q names nothing", ErrInvalid, k.Stream)
	}
	if err := eventstore.ValidName("stream", k.Stream); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := eventstore.ValidName("group", k.Group); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if strings.HasPrefix(k.Group, ":") || strings.Contains(k.Group, "::") {
		return fmt.Errorf("%w: group name %q begins with ':' or contains '::'", ErrInvalid, k.Group)
	}
	longest := max(len(k.checkpointStream()), len(k.parkedMeta()))
	if longest > eventstore.MaxNameBytes {
		return fmt.Errorf("%w: stream and group name are %d bytes too long together",
			ErrInvalid, longest-eventstore.MaxNameBytes)
	}
	return nil
}

// IsState says whether a stream is one in which groups keep their state, or holds the metadata of one: nobody else
// should write to it.
func IsState(stream string) bool {
	return hidden(stream) || strings.TrimPrefix(stream, metaPrefix) == configStream
}

// hidden are the streams that a group on All never delivers and never counts: what groups write of
// themselves. A group that moved by the checkpoints of others would make them move by its own.
func hidden(stream string) bool {
	return strings.HasPrefix(strings.TrimPrefix(stream, metaPrefix), statePrefix)
}
