package commands

import (
	"context"
	"iter"

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
	if loaded.Snapshot == nil {
		state, err := fold(refreshtoken.State{}, each(loaded.Events))
		return state, loaded.Revision, err
	}
	state, usable := codec.DecodeSnapshot(loaded.Snapshot)
	if usable {
		state, err = fold(state, each(loaded.Events))
		return state, loaded.Revision, err
	}
	// Another version wrote the snapshot: replay. What is read may be newer than Revision;
	// then the append conflicts, and the next attempt sees both at one place.
	state, err = fold(refreshtoken.State{}, p.Journal.ReadStream(ctx, session.Stream(), 0, eventstore.Forward))
	return state, loaded.Revision, err
}

func fold(state refreshtoken.State, events iter.Seq2[eventstore.Recorded, error]) (refreshtoken.State, error) {
	for recorded, err := range events {
		if err != nil {
			return state, err
		}
		decoded, err := codec.Decode(recorded)
		if err != nil {
			return state, err
		}
		state = state.Apply(decoded.Event)
	}
	return state, nil
}

func each(events []eventstore.Recorded) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}
