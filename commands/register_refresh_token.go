package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// RegisterRefreshToken makes a token known that another login service has minted, so that it
// can be logged out here. Exactly one of RefreshToken and Fingerprint is given.
type RegisterRefreshToken struct {
	Envelope
	UserID       refreshtoken.UserID
	RefreshToken credential.Secret
	Fingerprint  credential.Fingerprint
	ExpiresAt    time.Time
	SessionID    refreshtoken.SessionID // optional; the service's own, where it has one
}

// RegisterReceipt answers RegisterRefreshToken.
type RegisterReceipt struct {
	CommandID  uuid.UUID
	Position   eventstore.Position
	SessionID  refreshtoken.SessionID
	Generation uint32
	ExpiresAt  time.Time
}

// The conflicts of RegisterRefreshToken.
var (
	errTokenTaken   = &ConflictError{"token_registered", "the refresh token is registered for another session"}
	errSessionTaken = &ConflictError{"session_exists", "the session exists and has another refresh token"}
	errSessionEnded = &ConflictError{"session_ended", "the session of this refresh token has ended, and a revoked token never comes back"}
)

// RegisterRefreshToken writes the pointer from the token to its session first and the family after it:
// after a crash between the two the token is simply not registered, and whoever registers
// it next takes the pointer over. Only then is it acknowledged.
//
// Registering the same token for the same user again answers the session it has, as long as
// that lives. The error is
// an *InvalidError, a *ConflictError, or one of a store that is unavailable or whose outcome is unknown.
func (p *Processor) RegisterRefreshToken(ctx context.Context, c RegisterRefreshToken) (RegisterReceipt, error) {
	now := p.Now()
	fingerprints, err := p.checkRegistration(&c, now)
	if err != nil {
		return RegisterReceipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	to, err := p.pointTo(ctx, &c, fingerprints, now)
	if err != nil {
		return RegisterReceipt{}, err
	}
	// The first event of a command always has index 0, so that the store sees every id that is
	// used again: the pointer, or the family where the pointer is another command's.
	index, own := 0, to.event == EventID(c.CommandID, 0)
	if own {
		index = 1
	}
	issued, position, err := p.issue(ctx, &c.Envelope, registration(&c, to.session, fingerprints[0], now), index)
	known := errors.Is(err, eventstore.ErrConflict)
	if known {
		issued, position, err = p.firstOf(ctx, to.session)
	}
	switch {
	case err != nil:
		return RegisterReceipt{}, begun(own, err)
	case issued.SessionID != to.session:
		return RegisterReceipt{}, errCommandIDReused
	case issued.Kind != refreshtoken.Registered || !contains(fingerprints, issued.Fingerprint):
		return RegisterReceipt{}, errSessionTaken
	case issued.UserID != c.UserID:
		return RegisterReceipt{}, errTokenTaken
	case known:
		if err := p.checkLive(ctx, to.session); err != nil {
			return RegisterReceipt{}, begun(own, err)
		}
	}
	return RegisterReceipt{
		CommandID: c.CommandID, Position: position, SessionID: issued.SessionID, ExpiresAt: issued.ExpiresAt,
	}, nil
}

// begun is the error of a registration whose pointer is its own, or not: if it is, "nothing was done"
// would be untrue.
func begun(own bool, err error) error {
	if own && CodeOf(err) == CodeUnavailable {
		return fmt.Errorf("%w: the token has its pointer, its family is not known: %w", eventstore.ErrOutcomeUnknown, err)
	}
	return err
}

func registration(c *RegisterRefreshToken, session refreshtoken.SessionID, f credential.Fingerprint, now time.Time) refreshtoken.Issue {
	return refreshtoken.Issue{
		SessionID: session, UserID: c.UserID, Kind: refreshtoken.Registered, Fingerprint: string(f),
		Now: now, ExpiresAt: c.ExpiresAt, AbsoluteExpiresAt: c.ExpiresAt,
	}
}

// checkLive refuses to register a token again whose session has ended: the revoked never come
// back, and a receipt would say that it did.
func (p *Processor) checkLive(ctx context.Context, session refreshtoken.SessionID) error {
	state, _, err := p.family(ctx, session)
	if err == nil && state.Status == refreshtoken.Ended {
		return errSessionEnded
	}
	return err
}

// firstOf reads how a family began.
func (p *Processor) firstOf(ctx context.Context, session refreshtoken.SessionID) (refreshtoken.Issued, eventstore.Position, error) {
	recorded, event, err := p.recall(ctx, session.Stream(), 0)
	issued, is := event.(refreshtoken.Issued)
	if err == nil && !is {
		err = fmt.Errorf("%w: stream %s does not begin with a family", eventstore.ErrCorrupt, session.Stream())
	}
	return issued, recorded.Position, err
}

// checkRegistration finds everything that is wrong with a command before the pointer is written.
func (p *Processor) checkRegistration(c *RegisterRefreshToken, now time.Time) ([]credential.Fingerprint, error) {
	if c.UserID.IsZero() {
		return nil, &InvalidError{"user_id", "is missing"}
	}
	if !c.ExpiresAt.After(now) {
		return nil, &InvalidError{"expires_at", "must lie in the future"}
	}
	if c.ExpiresAt.UTC().Year() > 9999 {
		return nil, &InvalidError{"expires_at", "must lie before the year 10000"}
	}
	if err := c.validate(codec.Actor{Type: codec.ActorUser, ID: c.UserID.String()}); err != nil {
		return nil, err
	}
	token := c.RefreshToken.Reveal()
	switch {
	case (token == "") == (c.Fingerprint == ""):
		return nil, &InvalidError{"refresh_token", "or fingerprint is needed, and not both"}
	case c.Fingerprint != "":
		return []credential.Fingerprint{c.Fingerprint}, nil
	}
	presented, err := p.Ring.Recognise(c.RefreshToken)
	if err != nil || presented.Kind != refreshtoken.Registered {
		return nil, &InvalidError{"refresh_token", fmt.Sprintf(
			"must be %d to %d printable ASCII characters and not begin with %s",
			credential.MinRegisteredBytes, credential.MaxRegisteredBytes, credential.NativePrefix)}
	}
	return presented.Fingerprints, nil
}

// pointTo finds or writes the pointer of a token.
func (p *Processor) pointTo(ctx context.Context, c *RegisterRefreshToken, fingerprints []credential.Fingerprint, now time.Time) (pointer, error) {
	session := c.SessionID
	if session.IsZero() {
		id, err := uuid.NewV7()
		if err != nil {
			return pointer{}, err
		}
		session = refreshtoken.SessionIDFrom(id)
	}
	var to pointer
	err := p.attempt(ctx, func(ctx context.Context) error {
		// A pointer is for ever: one to a session that has another token must not be written.
		// The session is looked at first, for its pointer was there before it.
		taken, err := p.taken(ctx, c.SessionID)
		if err != nil {
			return err
		}
		var found bool
		if to, found, err = p.findPointer(ctx, fingerprints); err != nil {
			return err
		}
		switch {
		case found && !c.SessionID.IsZero() && to.session != c.SessionID:
			return errTokenTaken
		case found:
			return nil
		case taken:
			return errSessionTaken
		}
		to = pointer{session: session, event: EventID(c.CommandID, 0)}
		stream := fingerprints[0].Stream()
		result, err := p.commit(ctx, &c.Envelope, decision{
			stream: stream, expected: eventstore.NoStream,
			events:    []refreshtoken.Event{refreshtoken.FingerprintRegistered{SessionID: session}},
			committed: now,
		})
		switch {
		case errors.Is(err, eventstore.ErrIDReused):
			// Another run of this command has taken over a pointer that was not there a moment
			// ago; or this command id did something else before.
			to, found, err = p.findPointer(ctx, fingerprints)
			switch {
			case err != nil && CodeOf(err) == CodeUnavailable: // something was done: see recall
				return fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, err)
			case err == nil && !found:
				return errCommandIDReused
			}
			return err
		case err != nil:
			return pointerError(err)
		case result.Duplicate: // another run of this command was first, and chose the session
			_, event, err := p.recall(ctx, stream, 0)
			if registered, is := event.(refreshtoken.FingerprintRegistered); is {
				to.session = registered.SessionID
			}
			return err
		}
		return nil
	})
	return to, err
}

// taken tells whether a session that the caller has named exists.
func (p *Processor) taken(ctx context.Context, session refreshtoken.SessionID) (bool, error) {
	if session.IsZero() {
		return false, nil
	}
	loaded, err := p.Journal.Load(ctx, session.Stream())
	return loaded.Revision != eventstore.NoStream, err
}

func contains(fingerprints []credential.Fingerprint, f string) bool {
	for i := range fingerprints {
		if string(fingerprints[i]) == f {
			return true
		}
	}
	return false
}
