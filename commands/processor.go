package commands

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// Journal is the part of an event store that commands need.
type Journal interface {
	eventstore.Appender
	eventstore.Loader
	eventstore.StreamReader
}

// Config of a Processor.
type Config struct {
	Journal Journal
	Keys    *credential.Keys // over the same journal
	Now     func() time.Time

	// Timeout bounds one command with all its attempts, from its start to its receipt; 0 is 5 s.
	Timeout time.Duration
	// ResolveTimeout bounds finding out an unknown outcome; 0 is 2 s.
	ResolveTimeout time.Duration
	// TokenTTL is the life of a token whose command names none; 0 is 30 days.
	TokenTTL time.Duration
	// FamilyTTL is the life of a session, whatever is rotated; 0 is 90 days.
	FamilyTTL time.Duration
}

// Processor carries out commands. Its methods may be called concurrently.
type Processor struct{ Config }

// New checks a configuration and fills in its defaults.
func New(c Config) (*Processor, error) {
	if c.Journal == nil || c.Keys == nil || c.Now == nil {
		return nil, errors.New("commands: Journal, Keys and Now are required")
	}
	c.Timeout = or(c.Timeout, 5*time.Second)
	c.ResolveTimeout = or(c.ResolveTimeout, 2*time.Second)
	c.TokenTTL = or(c.TokenTTL, 30*24*time.Hour)
	c.FamilyTTL = or(c.FamilyTTL, 90*24*time.Hour)
	return &Processor{Config: c}, nil
}

func or(v, fallback time.Duration) time.Duration {
	if v <= 0 {
		return fallback
	}
	return v
}

// eagerAttempts are made without a pause: a rival that never pauses would win every one of them.
const eagerAttempts = 16

// attempt runs load-decide-append until it is done, and again after a conflict for as long as the
// command has time (P4).
func (p *Processor) attempt(ctx context.Context, once func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	for n := 1; ; n++ {
		err := once(ctx)
		if !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
		if n >= eagerAttempts { // many rivals at once: full jitter spreads them out
			select {
			case <-ctx.Done():
			case <-time.After(rand.N(8 * time.Millisecond)): //nolint:gosec // not a secret
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", errContended, context.Cause(ctx))
		}
	}
}
