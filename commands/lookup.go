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
	session := t.SessionID
	if t.Kind == refreshtoken.Registered {
		pointer, found, err := p.findPointer(ctx, t.Fingerprints)
		if err != nil || !found {
			return refreshtoken.State{}, eventstore.NoStream, err
		}
		session = pointer.SessionID
	}
	return p.family(ctx, session)
}

// findPointer follows the fingerprints of a registered token, the newest key first.
func (p *Processor) findPointer(ctx context.Context, fingerprints []credential.Fingerprint) (refreshtoken.FingerprintRegistered, bool, error) {
	for _, fingerprint := range fingerprints {
		pointer, found, err := p.pointer(ctx, fingerprint)
		if err != nil || found {
			return pointer, found, err
		}
	}
	return refreshtoken.FingerprintRegistered{}, false, nil
}

func (p *Processor) pointer(ctx context.Context, fingerprint credential.Fingerprint) (refreshtoken.FingerprintRegistered, bool, error) {
	loaded, err := p.Journal.Load(ctx, fingerprint.Stream())
	if err != nil {
		return refreshtoken.FingerprintRegistered{}, false, pointerError(err)
	}
	for _, recorded := range loaded.Events {
		decoded, err := codec.Decode(recorded)
		if err != nil {
			return refreshtoken.FingerprintRegistered{}, false, pointerError(err)
		}
		if pointer, is := decoded.Event.(refreshtoken.FingerprintRegistered); is {
			return pointer, true, nil
		}
	}
	return refreshtoken.FingerprintRegistered{}, false, nil
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
