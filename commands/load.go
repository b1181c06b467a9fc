package commands

import (
	"context"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// family loads the state of a session. A session that was never issued has the zero State.
func (p *Processor) family(ctx context.Context, session refreshtoken.SessionID) (refreshtoken.State, eventstore.Expected, error) {
	loaded, err := p.Journal.Load(ctx, session.Stream())
	if err != nil {
		return refreshtoken.State{}, 0, err
	}
	state, usable := codec.DecodeSnapshot(loaded.Snapshot)
	if loaded.Snapshot != nil && !usable {
		// Another version wrote the snapshot: replay. What is read may be newer than Revision;
		// then the append conflicts, and the next attempt sees both at one place.
		loaded.Events = nil
		for recorded, err := range p.Journal.ReadStream(ctx, session.Stream(), 0, eventstore.Forward) {
			if err != nil {
				return refreshtoken.State{}, 0, err
			}
			loaded.Events = append(loaded.Events, recorded)
		}
	}
	for _, recorded := range loaded.Events {
		decoded, err := codec.Decode(recorded)
		if err != nil {
			return refreshtoken.State{}, 0, err
		}
		state = state.Apply(decoded.Event)
	}
	return state, loaded.Revision, nil
}
