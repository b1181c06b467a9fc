package commands

import (
	"context"
	"errors"
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

// IssueReceipt answers IssueRefreshToken.
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
// and a token of the same generation.
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
	now := p.Now()
	request := refreshtoken.Issue{
		SessionID: refreshtoken.SessionIDFrom(id), UserID: c.UserID, ClientID: c.ClientID, Kind: refreshtoken.Native,
		Now: now, ExpiresAt: now.Add(or(c.TTL, p.TokenTTL)), AbsoluteExpiresAt: now.Add(max(p.FamilyTTL, c.TTL)),
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	issued, position, err := p.issue(ctx, &c.Envelope, request, 0)
	if err != nil {
		return IssueReceipt{}, err
	}
	if issued.Kind != refreshtoken.Native || issued.UserID != c.UserID || issued.ClientID != c.ClientID {
		return IssueReceipt{}, errCommandIDReused
	}
	return IssueReceipt{
		CommandID: c.CommandID, Position: position, SessionID: issued.SessionID,
		RefreshToken: p.Ring.Mint(issued.SessionID, 0), ExpiresAt: issued.ExpiresAt,
	}, nil
}

// issue appends the first event of a family, as the event at an index of its command, or finds
// the one that the same command appended before (P2).
func (p *Processor) issue(ctx context.Context, env *Envelope, request refreshtoken.Issue, index int) (refreshtoken.Issued, eventstore.Position, error) {
	var none refreshtoken.Issued
	events, err := refreshtoken.State{}.Issue(request)
	if err != nil {
		return none, 0, &InvalidError{"", err.Error()}
	}
	stream := request.SessionID.Stream()
	result, err := p.commit(ctx, env, decision{
		stream: stream, expected: eventstore.NoStream, events: events, firstIndex: index,
		snapshot: codec.EncodeSnapshot(refreshtoken.Fold(events...)), committed: request.Now,
	})
	var reused *eventstore.IDReusedError
	switch {
	case errors.As(err, &reused):
		stream = reused.Stream
	case err != nil:
		return none, 0, err
	case !result.Duplicate:
		return events[0].(refreshtoken.Issued), result.Position, nil //nolint:forcetypeassert // Issue decides nothing else
	}
	recorded, event, err := p.recall(ctx, stream, 0)
	if err != nil {
		return none, 0, err
	}
	// The stream may be a family that another command under this id ended, and not began.
	issued, is := event.(refreshtoken.Issued)
	if !is || recorded.ID != EventID(env.CommandID, index) {
		return none, 0, errCommandIDReused
	}
	return issued, recorded.Position, nil
}
