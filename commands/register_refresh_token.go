package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// RegisterReceipt is the reply to RegisterRefreshToken.
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
// after a crash between the two the token is simply not registered, and the next
// registration of it takes the pointer over. Only then is it acknowledged.
//
// Registering the same token for the same user again returns the session it has, as long as that lives.
// The error is an *InvalidError, a *ConflictError, or one of a store that is unavailable or whose
// outcome is unknown.
func (p *Processor) RegisterRefreshToken(ctx context.Context, c RegisterRefreshToken) (RegisterReceipt, error) {
	if err := p.checkRegistration(&c); err != nil {
		return RegisterReceipt{}, err
	}
	receipt, begun := RegisterReceipt{}, false
	err := p.attempt(ctx, func(ctx context.Context) (err error) {
		receipt, err = p.register(ctx, &c, &begun)
		return err
	})
	if begun {
		err = stored(err)
	}
	return receipt, err
}

// errAgain is a registration that has to look again, for something was not as it seemed.
var errAgain = fmt.Errorf("%w: another registration of the token", eventstore.ErrConflict)

// register is one attempt. begun is set once something of the command is stored.
//
// A token must not get two sessions while processes go over to another active key. So a family is
// made for a session only if the pointer of the active key names it, and that key is still active
// once the pointer is there: a process that switches keys later finds the pointer.
func (p *Processor) register(ctx context.Context, c *RegisterRefreshToken, begun *bool) (RegisterReceipt, error) {
	ring, err := p.Keys.Ring()
	if err != nil {
		return RegisterReceipt{}, err
	}
	ring, keys, err := p.Keys.Whole(ctx, ring)
	if err != nil {
		return RegisterReceipt{}, err
	}
	fingerprints, keyID := []credential.Fingerprint{c.Fingerprint}, ""
	if c.Fingerprint == "" {
		presented, err := ring.Recognise(c.RefreshToken)
		if err != nil || presented.Kind != refreshtoken.Registered {
			return RegisterReceipt{}, &InvalidError{"refresh_token", fmt.Sprintf(
				"must be %d to %d printable ASCII characters and not begin with %s",
				credential.MinRegisteredBytes, credential.MaxRegisteredBytes, credential.NativePrefix)}
		}
		fingerprints, keyID = presented.Fingerprints, ring.ActiveID()
	}
	to, err := p.follow(ctx, fingerprints)
	if err != nil {
		return RegisterReceipt{}, err
	}
	// The first event of a command always has index 0, so that the store sees every id that is used again.
	index := 0
	for slices.Contains(to.events, codec.EventID(c.CommandID, index)) {
		index, *begun = index+1, true
	}
	if to.family.Status != refreshtoken.Absent {
		return p.registered(ctx, c, to, index)
	}
	now := p.Now()
	if !c.ExpiresAt.After(now) {
		return RegisterReceipt{}, &InvalidError{"expires_at", "must lie in the future"}
	}
	session, err := p.sessionFor(ctx, c, to)
	if err != nil {
		return RegisterReceipt{}, err
	}
	if to.active.Session != session {
		left, err := p.commit(ctx, &c.Envelope, decision{
			stream: fingerprints[0].Stream(), expected: to.active.Revision, firstIndex: index, committed: now,
			events: []refreshtoken.Event{refreshtoken.FingerprintRegistered{SessionID: session}},
		})
		if *begun = *begun || err == nil; err != nil || left.repeated {
			return RegisterReceipt{}, cmp.Or(err, errAgain)
		}
		index++
	}
	if _, still, err := p.Keys.Whole(ctx, ring); err != nil || still != keys {
		return RegisterReceipt{}, cmp.Or(err, errAgain)
	}
	issued, left, err := p.issue(ctx, &c.Envelope, refreshtoken.Issue{
		SessionID: session, UserID: c.UserID, Kind: refreshtoken.Registered, KeyID: keyID, Fingerprint: string(fingerprints[0]),
		Now: now, ExpiresAt: c.ExpiresAt, AbsoluteExpiresAt: c.ExpiresAt,
	}, index)
	if *begun = *begun || err == nil; err != nil || left.repeated {
		return RegisterReceipt{}, cmp.Or(err, errAgain)
	}
	return c.receipt(issued, left.position), nil
}

func (c *RegisterRefreshToken) receipt(issued refreshtoken.Issued, at eventstore.Position) RegisterReceipt {
	return RegisterReceipt{CommandID: c.CommandID, Position: at, SessionID: issued.SessionID, ExpiresAt: issued.ExpiresAt}
}

// registered decides on a token that has a family: by this command, whose receipt stands for ever, or
// by another one.
func (p *Processor) registered(ctx context.Context, c *RegisterRefreshToken, to pointers, index int) (RegisterReceipt, error) {
	recorded, decoded, err := p.read(ctx, to.family.SessionID.Stream(), 0)
	issued, is := decoded.Event.(refreshtoken.Issued)
	switch {
	case err != nil:
		return RegisterReceipt{}, err
	case !is:
		return RegisterReceipt{}, fmt.Errorf("%w: stream %s does not begin with a family", eventstore.ErrCorrupt, recorded.Stream)
	case decoded.Metadata.CommandID == c.CommandID.String():
		return c.receipt(issued, recorded.Position), stored(p.sameCommand(ctx, &c.Envelope, decoded.Metadata.CommandDigest))
	}
	// This stores nothing, for the family is there; but an id that another command has used is seen.
	_, err = p.commit(ctx, &c.Envelope, decision{
		stream: recorded.Stream, expected: eventstore.NoStream, events: []refreshtoken.Event{issued}, firstIndex: index, committed: p.Now(),
	})
	switch {
	case err != nil && !errors.Is(err, eventstore.ErrConflict):
		return RegisterReceipt{}, err
	case issued.UserID != c.UserID, !c.SessionID.IsZero() && c.SessionID != issued.SessionID:
		return RegisterReceipt{}, errTokenTaken
	case to.family.Status == refreshtoken.Ended: // a receipt would say that the token is back
		return RegisterReceipt{}, errSessionEnded
	}
	return c.receipt(issued, recorded.Position), nil
}

// sessionFor chooses the session of a token that has none: the one that a registration has reserved and
// not completed, the one that the caller names, or a new one.
func (p *Processor) sessionFor(ctx context.Context, c *RegisterRefreshToken, to pointers) (refreshtoken.SessionID, error) {
	switch {
	case !to.reserved.IsZero():
		if !c.SessionID.IsZero() && c.SessionID != to.reserved {
			return to.reserved, errTokenTaken
		}
		return to.reserved, nil
	case !c.SessionID.IsZero():
		loaded, err := p.Journal.Load(ctx, c.SessionID.Stream())
		if err == nil && loaded.Revision != eventstore.NoStream {
			err = errSessionTaken
		}
		return c.SessionID, err
	}
	id, err := uuid.NewV7()
	return refreshtoken.SessionIDFrom(id), err
}

// checkRegistration finds what is wrong with a command whatever is stored.
func (p *Processor) checkRegistration(c *RegisterRefreshToken) error {
	switch {
	case c.UserID.IsZero():
		return &InvalidError{"user_id", "is missing"}
	case c.ExpiresAt.UTC().Year() > 9999:
		return &InvalidError{"expires_at", "must lie before the year 10000"}
	case (c.RefreshToken.Reveal() == "") == (c.Fingerprint == ""):
		return &InvalidError{"refresh_token", "or fingerprint is needed, and not both"}
	}
	c.identify("register_refresh_token", c.UserID.String(), c.RefreshToken.Reveal(), string(c.Fingerprint),
		c.ExpiresAt.UTC().Format(time.RFC3339Nano), c.SessionID.String())
	return c.validate(codec.Actor{Type: codec.ActorUser, ID: c.UserID.String()})
}
