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
)

// RegisterRefreshToken writes the pointer from the token to its session first and the family after it:
// after a crash between the two the token is simply not registered, and whoever registers
// it next takes the pointer over. Only then is it acknowledged.
//
// Registering the same token for the same user again answers the session it has. The error is
// an *InvalidError, a *ConflictError, or one of a store that is unavailable or whose outcome is unknown.
func (p *Processor) RegisterRefreshToken(ctx context.Context, c RegisterRefreshToken) (RegisterReceipt, error) {
	fingerprints, err := p.checkRegistration(&c)
	if err != nil {
		return RegisterReceipt{}, err
	}
	session, err := p.pointTo(ctx, &c, fingerprints)
	if err != nil {
		return RegisterReceipt{}, err
	}
	now := p.Now()
	issued, position, err := p.issue(ctx, &c.Envelope, refreshtoken.Issue{
		SessionID: session, UserID: c.UserID, Kind: refreshtoken.Registered, Fingerprint: string(fingerprints[0]),
		Now: now, ExpiresAt: c.ExpiresAt, AbsoluteExpiresAt: c.ExpiresAt,
	})
	if errors.Is(err, eventstore.ErrConflict) {
		issued, position, err = p.firstIssued(ctx, session.Stream())
	}
	switch {
	case err != nil:
		return RegisterReceipt{}, err
	case issued.SessionID != session:
		return RegisterReceipt{}, errCommandIDReused
	case issued.Kind != refreshtoken.Registered || !contains(fingerprints, issued.Fingerprint):
		return RegisterReceipt{}, errSessionTaken
	case issued.UserID != c.UserID:
		return RegisterReceipt{}, errTokenTaken
	}
	return RegisterReceipt{
		CommandID: c.CommandID, Position: position, SessionID: issued.SessionID, ExpiresAt: issued.ExpiresAt,
	}, nil
}

func (p *Processor) checkRegistration(c *RegisterRefreshToken) ([]credential.Fingerprint, error) {
	if c.UserID.IsZero() {
		return nil, &InvalidError{"user_id", "is missing"}
	}
	if !c.ExpiresAt.After(p.Now()) {
		return nil, &InvalidError{"expires_at", "must lie in the future"}
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

// pointTo finds or writes the pointer of a token and answers the session it names.
func (p *Processor) pointTo(ctx context.Context, c *RegisterRefreshToken, fingerprints []credential.Fingerprint) (refreshtoken.SessionID, error) {
	session := c.SessionID
	if session.IsZero() {
		id, err := uuid.NewV7()
		if err != nil {
			return session, err
		}
		session = refreshtoken.SessionIDFrom(id)
	}
	err := p.attempt(ctx, func(ctx context.Context) error {
		pointer, found, err := p.findPointer(ctx, fingerprints)
		if err != nil {
			return err
		}
		if found {
			if !c.SessionID.IsZero() && pointer.SessionID != c.SessionID {
				return errTokenTaken
			}
			session = pointer.SessionID
			return nil
		}
		_, err = p.commit(ctx, &c.Envelope, decision{
			stream: fingerprints[0].Stream(), expected: eventstore.NoStream,
			events:  []refreshtoken.Event{refreshtoken.FingerprintRegistered{SessionID: session}},
			firstID: pointerIndex, committed: p.Now(),
		})
		if errors.Is(err, eventstore.ErrIDReused) {
			return errCommandIDReused // this command id registered another token
		}
		if err != nil {
			return pointerError(err)
		}
		return nil
	})
	return session, err
}

// pointerIndex keeps the id of the pointer event apart from that of the family's first event,
// which is at index 0 as in every command.
const pointerIndex = 1

func contains(fingerprints []credential.Fingerprint, f string) bool {
	for i := range fingerprints {
		if string(fingerprints[i]) == f {
			return true
		}
	}
	return false
}
