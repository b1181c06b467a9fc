package esdbapi

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// groupKey reads the names of a group that somebody asks for. No stream is the group's on $all, which
// some clients also ask for by that name.
func groupKey(stream *shared.StreamIdentifier, all *shared.Empty, group string) (groups.Key, error) {
	if err := eventstore.ValidName("group", group); err != nil {
		return groups.Key{}, invalid(err.Error())
	}
	if stream == nil {
		if all == nil {
			return groups.Key{}, invalid("neither a stream nor $all is named")
		}
		return groups.Key{Stream: groups.All, Group: group}, nil
	}
	name, err := streamName(stream)
	return groups.Key{Stream: name, Group: group}, err
}

// newGroupKey reads the names of a group to create or update. $all has options of its own there.
func newGroupKey(stream *shared.StreamIdentifier, group string) (groups.Key, error) {
	key, err := groupKey(stream, nil, group)
	if err == nil && key.Stream == groups.All {
		return groups.Key{}, invalid("$all is no stream: use the option all")
	}
	return key, err
}

func allGroupKey(group string) (groups.Key, error) { return groupKey(nil, empty(), group) }
