package commands

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
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
	Ring    *credential.Ring
	Now     func() time.Time

	// Attempts bounds how often a command is decided again after a conflict; 0 is 32.
	Attempts int
	// Timeout bounds one command, from its start to its receipt; 0 is 5 s.
	Timeout time.Duration
	// ResolveTimeout bounds the reading back of an unknown outcome; 0 is 2 s.
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
	if c.Journal == nil || c.Ring == nil || c.Now == nil {
		return nil, errors.New("commands: Journal, Ring and Now are required")
	}
	c.Attempts = or(c.Attempts, 32)
	c.Timeout = or(c.Timeout, 5*time.Second)
	c.ResolveTimeout = or(c.ResolveTimeout, 2*time.Second)
	c.TokenTTL = or(c.TokenTTL, 30*24*time.Hour)
	c.FamilyTTL = or(c.FamilyTTL, 90*24*time.Hour)
	return &Processor{Config: c}, nil
}

func or[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// decision is what a use case wants recorded.
type decision struct {
	stream     string
	expected   eventstore.Expected
	events     []refreshtoken.Event
	firstIndex int    // of its first event within the command
	snapshot   []byte // of the family after the events, if the stream is a family's
	committed  time.Time
}

// family loads the state of a session. A session that was never issued has the zero State.
func (p *Processor) family(ctx context.Context, session refreshtoken.SessionID) (refreshtoken.State, eventstore.Expected, error) {
	loaded, err := p.Journal.Load(ctx, session.Stream())
	if err != nil {
		return refreshtoken.State{}, 0, err
	}
	if loaded.Snapshot == nil {
		state, err := fold(refreshtoken.State{}, each(loaded.Events))
		return state, loaded.Revision, err
	}
	state, usable := codec.DecodeSnapshot(loaded.Snapshot)
	if usable {
		state, err = fold(state, each(loaded.Events))
		return state, loaded.Revision, err
	}
	// Another version wrote the snapshot: replay. What is read may be newer than Revision;
	// then the append conflicts, and the next attempt sees both at one place.
	state, err = fold(refreshtoken.State{}, p.Journal.ReadStream(ctx, session.Stream(), 0, eventstore.Forward))
	return state, loaded.Revision, err
}

func fold(state refreshtoken.State, events iter.Seq2[eventstore.Recorded, error]) (refreshtoken.State, error) {
	for recorded, err := range events {
		if err != nil {
			return state, err
		}
		decoded, err := codec.Decode(recorded)
		if err != nil {
			return state, err
		}
		state = state.Apply(decoded.Event)
	}
	return state, nil
}

func each(events []eventstore.Recorded) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// attempt runs load-decide-append until it is done, and again after a conflict (P4).
func (p *Processor) attempt(ctx context.Context, once func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	for n := range p.Attempts {
		err := once(ctx)
		if !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
		// Full jitter, from 1 ms up to 64 ms: whoever collided must not collide again.
		pause := time.Duration(rand.Int64N(int64(time.Millisecond) << min(n, 6))) //nolint:gosec // not a secret
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errContended, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
	return errContended
}

// commit appends a decision (P1–P3). Its errors are those of eventstore.Appender.
func (p *Processor) commit(ctx context.Context, env *Envelope, d decision) (eventstore.Result, error) {
	a := eventstore.Append{
		Stream: d.stream, Expected: d.expected, Snapshot: d.snapshot,
		Events: make([]eventstore.Event, len(d.events)),
	}
	metadata := env.metadata(d.committed)
	var encoded []byte
	for i, event := range d.events {
		e := codec.Encode(event)
		if metadata.Schema != e.Schema { // nearly always the same for all
			metadata.Schema = e.Schema
			encoded = codec.EncodeMetadata(metadata)
		}
		a.Events[i] = eventstore.Event{
			ID: EventID(env.CommandID, d.firstIndex+i), Type: e.Type, Data: e.Data, Metadata: encoded,
		}
	}
	result, err := p.Journal.Append(ctx, a)
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return p.resolve(ctx, a)
	}
	return result, err
}

// resolve finds out what became of an append whose outcome is unknown: it looks for its ids in
// the stream, and where they are not, repeats the same append, which the store keeps once.
// The caller may be gone by now; the answer still matters for the record.
func (p *Processor) resolve(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.ResolveTimeout)
	defer cancel()
	for n := 0; ; n++ {
		result, found, err := p.readBack(ctx, a)
		if found {
			return result, nil
		}
		if err == nil {
			result, err = p.Journal.Append(ctx, a)
			// A conflict after a read that did not find the ids is an answer: somebody else was
			// first. Any other error is about the repeat, and says nothing of the first append.
			if err == nil || errors.Is(err, eventstore.ErrConflict) || errors.Is(err, eventstore.ErrIDReused) {
				return result, err
			}
		}
		select {
		case <-ctx.Done():
			return eventstore.Result{}, fmt.Errorf("stream %s: %w", a.Stream, eventstore.ErrOutcomeUnknown)
		case <-time.After(time.Duration(min(n+1, 20)) * 10 * time.Millisecond):
		}
	}
}

// readBack looks for the ids of an append, from the end of its stream to where it was expected.
func (p *Processor) readBack(ctx context.Context, a eventstore.Append) (eventstore.Result, bool, error) {
	last := a.Events[len(a.Events)-1].ID
	for recorded, err := range p.Journal.ReadStream(ctx, a.Stream, eventstore.End, eventstore.Backward) {
		switch {
		case errors.Is(err, eventstore.ErrStreamNotFound):
			return eventstore.Result{}, false, nil
		case err != nil:
			return eventstore.Result{}, false, err
		case recorded.ID == last:
			return eventstore.Result{Revision: recorded.Revision, Position: recorded.Position, Duplicate: true}, true, nil
		case a.Expected >= 0 && recorded.Revision <= uint64(a.Expected):
			return eventstore.Result{}, false, nil
		}
	}
	return eventstore.Result{}, false, nil
}

// recall reads an event that was stored under the id of the command at hand, by an earlier run
// of it or by another command. Since it is there, "nothing was done" would be untrue: what
// cannot be read for lack of time or of a store is an unknown outcome.
func (p *Processor) recall(ctx context.Context, stream string, revision uint64) (eventstore.Recorded, refreshtoken.Event, error) {
	// Detached: the append may have used up the time of the command.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.ResolveTimeout)
	defer cancel()
	for recorded, err := range p.Journal.ReadStream(ctx, stream, revision, eventstore.Forward) {
		var decoded codec.Decoded
		if err == nil {
			decoded, err = codec.Decode(recorded)
		}
		switch {
		case err == nil:
			return recorded, decoded.Event, nil
		case errors.Is(err, codec.ErrUnknownType):
			return recorded, nil, errCommandIDReused // by a command that this version does not know
		}
		if strings.HasPrefix(stream, credential.PointerPrefix) {
			err = pointerError(err)
		}
		if CodeOf(err) == CodeUnavailable {
			err = fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, err)
		}
		return recorded, nil, err
	}
	return eventstore.Recorded{}, nil, fmt.Errorf("%w: an event that was stored cannot be found", eventstore.ErrCorrupt)
}
