package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// familyOf loads the family that a recognised token belongs to; the zero State when there is none.
func (p *Processor) familyOf(ctx context.Context, t credential.Presented) (refreshtoken.State, eventstore.Expected, error) {
	if t.Kind == refreshtoken.Native {
		return p.family(ctx, t.SessionID)
	}
	to, found, err := p.findPointer(ctx, t.Fingerprints)
	if err != nil || !found {
		return refreshtoken.State{}, eventstore.NoStream, err
	}
	state, revision, err := p.family(ctx, to.session)
	if err == nil && state.Kind != refreshtoken.Registered {
		// The session that the pointer reserved went to a native family before its own came.
		return refreshtoken.State{}, eventstore.NoStream, nil
	}
	return state, revision, err
}

// knownSince is the position from which on a token led to its family.
func (p *Processor) knownSince(ctx context.Context, t credential.Presented, session refreshtoken.SessionID) (eventstore.Position, error) {
	first, _, err := p.recall(ctx, session.Stream(), 0)
	if err != nil || t.Kind == refreshtoken.Native {
		return first.Position, err
	}
	to, _, err := p.findPointer(ctx, t.Fingerprints)
	return max(first.Position, to.position), err
}

// pointer is what a pointer stream says of a registered token. It never changes.
type pointer struct {
	session  refreshtoken.SessionID
	event    eventstore.EventID // tells which command wrote it
	position eventstore.Position
}

// findPointer follows the fingerprints of a registered token, the newest key first.
func (p *Processor) findPointer(ctx context.Context, fingerprints []credential.Fingerprint) (pointer, bool, error) {
	for _, fingerprint := range fingerprints {
		to, found, err := p.follow(ctx, fingerprint)
		if err != nil || found {
			return to, found, err
		}
	}
	return pointer{}, false, nil
}

func (p *Processor) follow(ctx context.Context, fingerprint credential.Fingerprint) (pointer, bool, error) {
	loaded, err := p.Journal.Load(ctx, fingerprint.Stream())
	if err != nil {
		return pointer{}, false, pointerError(err)
	}
	for _, recorded := range loaded.Events {
		decoded, err := codec.Decode(recorded)
		if err != nil {
			return pointer{}, false, pointerError(err)
		}
		if to, is := decoded.Event.(refreshtoken.FingerprintRegistered); is {
			return pointer{session: to.SessionID, event: recorded.ID, position: recorded.Position}, true, nil
		}
	}
	return pointer{}, false, nil
}

// pointerError keeps what an error is and drops its text: the name of a pointer stream is
// the fingerprint of a token, which no log may show.
func pointerError(err error) error {
	for _, known := range [...]error{
		eventstore.ErrConflict, eventstore.ErrUnavailable, eventstore.ErrOutcomeUnknown, eventstore.ErrCorrupt,
		codec.ErrMalformed, codec.ErrUnknownSchema, codec.ErrUnknownType, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return fmt.Errorf("pointer stream: %w", known)
		}
	}
	return errors.New("pointer stream: unexpected error of the event store")
}
