package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// decision is what a use case wants recorded.
type decision struct {
	stream     string
	expected   eventstore.Expected
	events     []refreshtoken.Event
	firstIndex int    // of its first event within the command
	snapshot   []byte // of the family after the events, if the stream is a family's
	committed  time.Time
}

// record is what a command has left: by this run of it or, if repeated, by an earlier one.
type record struct {
	position eventstore.Position // of its last event
	repeated bool
	event    refreshtoken.Event // its last event
}

// commit appends a decision, or finds what an earlier run of this very command has left (P1–P3). A
// command id that stands for a different command is refused. The other errors are those of
// eventstore.Appender.
func (p *Processor) commit(ctx context.Context, env *Envelope, d decision) (record, error) {
	ring, err := p.Keys.Ring()
	if err != nil {
		return record{}, err
	}
	a := eventstore.Append{
		Stream: d.stream, Expected: d.expected, Snapshot: d.snapshot,
		Events: make([]eventstore.Event, len(d.events)),
	}
	metadata := env.metadata(d.committed, ring.Digest(env.identity))
	var encoded []byte
	for i, event := range d.events {
		e := codec.Encode(event)
		if metadata.Schema != e.Schema { // nearly always the same for all
			metadata.Schema = e.Schema
			encoded = codec.EncodeMetadata(metadata)
		}
		a.Events[i] = eventstore.Event{
			ID: codec.EventID(env.CommandID, d.firstIndex+i), Type: e.Type, Data: e.Data, Metadata: encoded,
		}
	}
	result, err := p.Journal.Append(ctx, a)
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		result, err = p.resolve(ctx, a)
	}
	var reused *eventstore.IDReusedError
	switch {
	case errors.As(err, &reused):
		return p.recall(ctx, env, reused.Stream, reused.First.Revision)
	case err == nil && result.Duplicate:
		return p.recall(ctx, env, d.stream, result.Revision)
	}
	return record{position: result.Position, event: d.events[len(d.events)-1]}, credential.HidePointer(d.stream, err)
}

// resolve finds out what became of an append whose outcome is unknown: it repeats the same append,
// which the store keeps once (E6). The caller may be gone by now; the outcome still matters for the
// record.
func (p *Processor) resolve(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.ResolveTimeout)
	defer cancel()
	for n := 0; ; n++ {
		result, err := p.Journal.Append(ctx, a)
		// A conflict says that the ids are not stored and that somebody else was first. Any
		// other error is about the repeat, and says nothing of the first append.
		if err == nil || errors.Is(err, eventstore.ErrConflict) || errors.Is(err, eventstore.ErrIDReused) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return eventstore.Result{}, fmt.Errorf("stream %s: %w", a.Stream, eventstore.ErrOutcomeUnknown)
		case <-time.After(time.Duration(min(n+1, 20)) * 10 * time.Millisecond):
		}
	}
}

// recall reads an event that was stored under the id of the command at hand, and tells by its digest
// whether it was this command that left it. Nothing else plays a part, above all not what a token
// leads to: the reply depends on what the same caller has sent before, and on nothing that somebody
// might want to find out.
func (p *Processor) recall(ctx context.Context, env *Envelope, stream string, revision uint64) (record, error) {
	// Detached: the append may have used up the time of the command.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.ResolveTimeout)
	defer cancel()
	recorded, decoded, err := p.read(ctx, stream, revision)
	switch {
	case errors.Is(err, codec.ErrUnknownType):
		return record{}, errCommandIDReused // by a command that this version does not know
	case err == nil:
		err = p.sameCommand(ctx, env, decoded.Metadata.CommandDigest)
	}
	return record{position: recorded.Position, repeated: true, event: decoded.Event}, stored(err)
}

// stored is an error that came after something of the command was stored: "nothing was done" would be untrue.
func stored(err error) error {
	if CodeOf(err) == CodeUnavailable {
		return fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, err)
	}
	return err
}

// sameCommand compares the digest of a stored command with the command at hand.
func (p *Processor) sameCommand(ctx context.Context, env *Envelope, digest string) error {
	ring, err := p.Keys.Ring()
	if err != nil || ring.IsDigest(digest, env.identity) {
		return err
	}
	if _, _, err := p.Keys.Whole(ctx, ring); err != nil { // the digest may be by a key that is lacking
		return err
	}
	return errCommandIDReused
}

// read reads one event.
func (p *Processor) read(ctx context.Context, stream string, revision uint64) (eventstore.Recorded, codec.Decoded, error) {
	for recorded, err := range p.Journal.ReadStream(ctx, stream, revision, eventstore.Forward) {
		var decoded codec.Decoded
		if err == nil {
			decoded, err = codec.Decode(recorded)
		}
		return recorded, decoded, credential.HidePointer(stream, err)
	}
	return eventstore.Recorded{}, codec.Decoded{}, fmt.Errorf("%w: an event that was stored cannot be found", eventstore.ErrCorrupt)
}
