package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// MaxTokenTTL is the longest life that a command may ask for.
const MaxTokenTTL = 366 * 24 * time.Hour

// IssueRefreshToken opens a session and mints its first refresh token. A login service that
// has no tokens of its own sends it after it has authenticated the user.
type IssueRefreshToken struct {
	Envelope
	UserID   refreshtoken.UserID
	ClientID refreshtoken.ClientID
	TTL      time.Duration // 0 is the configured default
}

// IssueReceipt is the reply to IssueRefreshToken.
type IssueReceipt struct {
	CommandID    uuid.UUID
	Position     eventstore.Position
	SessionID    refreshtoken.SessionID
	RefreshToken credential.Secret
	Generation   uint32
	ExpiresAt    time.Time
}

// IssueRefreshToken decides and records a new family. The error is an *InvalidError, or one of
// a store that is unavailable or whose outcome is unknown. A repeated command gets the same session
// and the same token, whichever key is active by then.
func (p *Processor) IssueRefreshToken(ctx context.Context, c IssueRefreshToken) (IssueReceipt, error) {
	if c.UserID.IsZero() {
		return IssueReceipt{}, &InvalidError{"user_id", "is missing"}
	}
	if c.TTL < 0 || c.TTL > MaxTokenTTL {
		return IssueReceipt{}, &InvalidError{"ttl_seconds", "must be from 1 to 31622400"}
	}
	if err := c.validate(codec.Actor{Type: codec.ActorUser, ID: c.UserID.String()}); err != nil {
		return IssueReceipt{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return IssueReceipt{}, err
	}
	ring, err := p.Keys.Ring()
	if err != nil {
		return IssueReceipt{}, err
	}
	c.identify("issue_refresh_token", c.UserID.String(), c.ClientID.String(), c.TTL.String())
	now := p.Now()
	request := refreshtoken.Issue{
		SessionID: refreshtoken.SessionIDFrom(id), UserID: c.UserID, ClientID: c.ClientID, Kind: refreshtoken.Native,
		KeyID: ring.ActiveID(), Now: now, ExpiresAt: now.Add(or(c.TTL, p.TokenTTL)), AbsoluteExpiresAt: now.Add(max(p.FamilyTTL, c.TTL)),
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	issued, left, err := p.issue(ctx, &c.Envelope, request, 0)
	if err != nil {
		return IssueReceipt{}, err
	}
	// The key that made it first makes it again: the same token for ever.
	token, err := ring.Mint(issued.KeyID, issued.SessionID, 0)
	if err != nil { // the key file lacks it: the session is there, and its token can be had later
		return IssueReceipt{}, fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, err)
	}
	return IssueReceipt{
		CommandID: c.CommandID, Position: left.position, SessionID: issued.SessionID,
		RefreshToken: token, ExpiresAt: issued.ExpiresAt,
	}, nil
}

// issue appends the first event of a family, as the event at an index of its command, or finds
// the one that the same command appended before (P2).
func (p *Processor) issue(ctx context.Context, env *Envelope, request refreshtoken.Issue, index int) (refreshtoken.Issued, record, error) {
	events, err := refreshtoken.State{}.Issue(request)
	if err != nil {
		return refreshtoken.Issued{}, record{}, &InvalidError{"", err.Error()}
	}
	left, err := p.commit(ctx, env, decision{
		stream: request.SessionID.Stream(), expected: eventstore.NoStream, events: events, firstIndex: index,
		snapshot: codec.EncodeSnapshot(refreshtoken.Fold(events...)), committed: request.Now,
	})
	issued, is := left.event.(refreshtoken.Issued)
	if err == nil && !is {
		err = fmt.Errorf("%w: command %s has left %T in place of a family", eventstore.ErrCorrupt, env.CommandID, left.event)
	}
	return issued, left, err
}
