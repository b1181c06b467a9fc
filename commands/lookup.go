package commands

import (
	"context"
	"errors"
	"slices"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// familyOf loads the family that a token belongs to. The zero State is a token of no family, and
// certainly so: what no key at hand explains is told apart from the work of a key that is lacking.
func (p *Processor) familyOf(ctx context.Context, token credential.Secret) (refreshtoken.State, eventstore.Expected, error) {
	ring, err := p.Keys.Ring()
	if err != nil {
		return refreshtoken.State{}, 0, err
	}
	presented, err := ring.Recognise(token)
	found := pointers{revision: eventstore.NoStream}
	switch {
	case errors.Is(err, credential.ErrNotAToken):
		return found.family, found.revision, nil
	case err != nil:
		err = nil
	case presented.Kind == refreshtoken.Native:
		found.family, found.revision, err = p.family(ctx, presented.SessionID)
	default:
		found, err = p.follow(ctx, presented.Fingerprints)
	}
	if err == nil && found.family.Status == refreshtoken.Absent {
		_, _, err = p.Keys.Whole(ctx, ring)
	}
	return found.family, found.revision, err
}

// pointers is where the fingerprints of a registered token lead, one for each key.
type pointers struct {
	family   refreshtoken.State // of this token; the zero State when there is none
	revision eventstore.Expected

	// reserved is a session that a pointer names and that is not there yet: the next registration
	// of the token completes it. The zero value when there is none.
	reserved refreshtoken.SessionID
	active   credential.Pointer   // that of the active key
	events   []eventstore.EventID // of all pointers
}

// follow reads the pointers of a token. A pointer to a family that has another token counts for nothing:
// somebody else has taken the session that it reserved.
func (p *Processor) follow(ctx context.Context, fingerprints []credential.Fingerprint) (pointers, error) {
	to := pointers{revision: eventstore.NoStream}
	for i, fingerprint := range fingerprints {
		pointer, err := fingerprint.Pointer(ctx, p.Journal)
		if err != nil {
			return to, err
		}
		if to.events = append(to.events, pointer.Events...); i == 0 {
			to.active = pointer
		}
		if pointer.Session.IsZero() {
			continue
		}
		state, revision, err := p.family(ctx, pointer.Session)
		switch {
		case err != nil:
			return to, err
		case state.Status == refreshtoken.Absent && to.reserved.IsZero():
			to.reserved = pointer.Session
		case state.Kind == refreshtoken.Registered && slices.Contains(fingerprints, credential.Fingerprint(state.Fingerprint)):
			to.family, to.revision = state, revision
			return to, nil
		}
	}
	return to, nil
}
