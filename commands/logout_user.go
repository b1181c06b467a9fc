package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// LogoutMessage is what every logout that reaches a decision answers, whatever it is (P6).
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

// LogoutReceipt answers LogoutUser, the same for success and refusal.
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
	presented, notAToken := p.Ring.Recognise(c.RefreshToken)
	var position eventstore.Position
	err := p.attempt(ctx, func(ctx context.Context) error {
		var state refreshtoken.State
		var revision eventstore.Expected
		if notAToken == nil {
			var err error
			if state, revision, err = p.familyOf(ctx, presented); err != nil {
				return err
			}
		}
		d := p.decideLogout(&c, state, revision)
		result, err := p.commit(ctx, &c.Envelope, d)
		var reused *eventstore.IDReusedError
		switch {
		case errors.As(err, &reused):
			position = reused.First.Position
			return p.checkRepeat(ctx, &c, presented, state.SessionID, reused.Stream, reused.First.Revision)
		case err == nil && result.Duplicate:
			position = result.Position
			return p.checkRepeat(ctx, &c, presented, state.SessionID, d.stream, result.Revision)
		}
		position = result.Position
		return err
	})
	if err != nil {
		return LogoutReceipt{}, err
	}
	return LogoutReceipt{CommandID: c.CommandID, Position: position}, nil
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

// checkRepeat sees to it that a command id that left its record before did so for this very
// logout. A receipt for another command, or another token, would be a lie.
func (p *Processor) checkRepeat(
	ctx context.Context, c *LogoutUser, t credential.Presented, session refreshtoken.SessionID, stream string, last uint64,
) error {
	recorded, event, err := p.recall(ctx, stream, last)
	if err != nil {
		return err
	}
	var user refreshtoken.UserID
	var of refreshtoken.SessionID
	switch event := event.(type) {
	case refreshtoken.LogoutSucceeded:
		user, of = event.UserID, event.SessionID
	case refreshtoken.LogoutFailed:
		user, of = event.UserID, event.SessionID
	case refreshtoken.Issued, refreshtoken.Rotated, refreshtoken.Revoked, refreshtoken.LogoutAttempted,
		refreshtoken.FingerprintRegistered:
		// The record of another command: user stays zero.
	}
	switch {
	case user != c.UserID:
		return errCommandIDReused
	case of == session:
		return nil
	}
	same, err := p.sameToken(ctx, t, of, recorded.Position)
	switch {
	case err != nil && CodeOf(err) == CodeUnavailable: // the record is there: see recall
		return fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, err)
	case err == nil && !same:
		return errCommandIDReused
	}
	return err
}

// sameToken tells whether a token can be the one of a record, which names its session or,
// where the token was unknown then, none.
func (p *Processor) sameToken(ctx context.Context, t credential.Presented, of refreshtoken.SessionID, at eventstore.Position) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.ResolveTimeout)
	defer cancel()
	// Looked up again: the first look may be older than the record, and the token registered since.
	state, _, err := p.familyOf(ctx, t)
	if err != nil || !of.IsZero() || state.Status == refreshtoken.Absent {
		return of == state.SessionID, err
	}
	// It was unknown then and is known now. It is the same one if it was made known since; a
	// token that was known then would not have been refused as unknown.
	since, err := p.knownSince(ctx, t, state.SessionID)
	return since > at, err
}
