package commands

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// LogoutMessage is the reply of every logout that reaches a decision, whatever it is (P6).
const LogoutMessage = "Successfully logged out."

// LogoutStreamPrefix is the category of the streams that record refused logouts.
const LogoutStreamPrefix = "userLogout-"

// LogoutUser ends the session that a presented refresh token belongs to. Upstream services
// send it when a user logs out.
type LogoutUser struct {
	Envelope
	UserID       refreshtoken.UserID
	RefreshToken credential.Secret
}

// LogoutReceipt is the reply to LogoutUser, the same for success and refusal.
type LogoutReceipt struct {
	CommandID uuid.UUID
	Position  eventstore.Position // of the last event of the command
}

// LogoutUser decides and records a logout:
//
//   - the token is unknown or cannot be one: refused, token_not_found
//   - it is another user's: refused, token_user_mismatch
//   - its session has ended: refused, token_already_revoked
//   - else, in any generation, expired or not: the session ends
//
// Refused or not, the receipt is the same; only the events differ. The error is an *InvalidError, or
// one of a store that is unavailable or whose outcome is unknown.
func (p *Processor) LogoutUser(ctx context.Context, c LogoutUser) (LogoutReceipt, error) {
	if c.UserID.IsZero() {
		return LogoutReceipt{}, &InvalidError{"user_id", "is missing"}
	}
	if err := c.validate(codec.Actor{Type: codec.ActorUser, ID: c.UserID.String()}); err != nil {
		return LogoutReceipt{}, err
	}
	c.identify("logout_user", c.UserID.String(), c.RefreshToken.Reveal())
	receipt := LogoutReceipt{CommandID: c.CommandID}
	err := p.attempt(ctx, func(ctx context.Context) error {
		state, revision, err := p.familyOf(ctx, c.RefreshToken)
		if err != nil {
			return err
		}
		left, err := p.commit(ctx, &c.Envelope, p.decideLogout(&c, state, revision))
		receipt.Position = left.position
		return err
	})
	if err != nil {
		return LogoutReceipt{}, err
	}
	return receipt, nil
}

func (p *Processor) decideLogout(c *LogoutUser, state refreshtoken.State, revision eventstore.Expected) decision {
	d := decision{committed: p.Now()}
	var err error
	d.events, err = state.LogOut(refreshtoken.LogOut{UserID: c.UserID, By: c.Actor.ID})
	var refused *refreshtoken.RefusedError
	if errors.As(err, &refused) {
		d.stream, d.expected = LogoutStreamPrefix+c.CommandID.String(), eventstore.NoStream
		d.events = refused.Events(c.UserID)
		return d
	}
	d.stream, d.expected = state.SessionID.Stream(), revision
	for _, event := range d.events {
		state = state.Apply(event)
	}
	d.snapshot = codec.EncodeSnapshot(state)
	return d
}
