package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// familyOf loads the family that a token belongs to. The zero State is a token of no family, and
// certainly so: what no key at hand explains is told apart from the work of a key that is lacking.
func (p *Processor) familyOf(ctx context.Context, token credential.Secret) (refreshtoken.State, eventstore.Expected, error) {
	ring, err := p.Keys.Ring()
	if err != nil {
		return refreshtoken.State{}, 0, err
	}
	presented, err := ring.Recognise(token)
	var state refreshtoken.State
	revision := eventstore.NoStream
	switch {
	case errors.Is(err, credential.ErrNotAToken):
		return state, revision, nil
	case err != nil:
		err = nil
	case presented.Kind == refreshtoken.Native:
		state, revision, err = p.family(ctx, presented.SessionID)
	default:
		var found pointers
		if found, err = p.follow(ctx, presented.Fingerprints); err == nil {
			state, revision = found.family, found.revision
		}
	}
	if err == nil && state.Status == refreshtoken.Absent {
		_, _, err = p.Keys.Whole(ctx)
	}
	return state, revision, err
}

// pointers is where the fingerprints of a registered token lead, one for each key.
type pointers struct {
	family   refreshtoken.State // of this token; the zero State when there is none
	revision eventstore.Expected

	// reserved is a session that a pointer names and that is not there yet: whoever registers the
	// token completes it. The zero value when there is none.
	reserved refreshtoken.SessionID
	active   refreshtoken.SessionID // what the pointer of the active key names
	at       eventstore.Expected    // the revision of that pointer's stream
	events   []eventstore.EventID   // of all pointers: they tell which commands wrote them
}

// follow reads the pointers of a token. A pointer to a family that has another token counts for nothing:
// somebody else has taken the session that it reserved.
func (p *Processor) follow(ctx context.Context, fingerprints []credential.Fingerprint) (pointers, error) {
	to := pointers{revision: eventstore.NoStream, at: eventstore.NoStream}
	for i, fingerprint := range fingerprints {
		loaded, err := p.Journal.Load(ctx, fingerprint.Stream())
		if err != nil {
			return to, pointerError(err)
		}
		var session refreshtoken.SessionID
		for _, recorded := range loaded.Events { // the last one holds
			decoded, err := codec.Decode(recorded)
			if err != nil {
				return to, pointerError(err)
			}
			if pointer, is := decoded.Event.(refreshtoken.FingerprintRegistered); is {
				session = pointer.SessionID
			}
			to.events = append(to.events, recorded.ID)
		}
		if i == 0 {
			to.active, to.at = session, loaded.Revision
		}
		if session.IsZero() {
			continue
		}
		state, revision, err := p.family(ctx, session)
		switch {
		case err != nil:
			return to, err
		case state.Status == refreshtoken.Absent && to.reserved.IsZero():
			to.reserved = session
		case state.Kind == refreshtoken.Registered && contains(fingerprints, state.Fingerprint):
			to.family, to.revision = state, revision
			return to, nil
		}
	}
	return to, nil
}

func contains(fingerprints []credential.Fingerprint, f string) bool {
	for i := range fingerprints {
		if string(fingerprints[i]) == f {
			return true
		}
	}
	return false
}

// hidePointer is pointerError for the streams that need it.
func hidePointer(stream string, err error) error {
	if err != nil && strings.HasPrefix(stream, credential.PointerPrefix) {
		return pointerError(err)
	}
	return err
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
