package credential

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// Journal is the part of an event store that keys need.
type Journal interface {
	eventstore.Appender
	eventstore.Loader
}

// Keys are the keys of this process, held against those that the event store knows (K7, K8). Their
// methods may be called concurrently.
type Keys struct {
	journal Journal
	now     func() time.Time
	ring    atomic.Pointer[Ring] // nil until Announce has succeeded
}

// NewKeys makes keys that are of no use until Announce has succeeded.
func NewKeys(journal Journal, now func() time.Time) *Keys { return &Keys{journal: journal, now: now} }

// ErrUnfit: the keys at hand do not fit the event store, and nothing is decided with them. It passes when
// the key file, or the store, is put right, so it is eventstore.ErrUnavailable, too.
var ErrUnfit = errors.New("the keys do not fit the event store")

func unavailable(err error) error {
	return fmt.Errorf("%w: %w: %w", eventstore.ErrUnavailable, ErrUnfit, err)
}

// Announce holds a ring against the keys that the store knows, announces what is new of it, and uses
// it from then on. It is called at the start and whenever the key file has changed. The error is a
// *keyring.MissingError or *keyring.OtherKeyError, one of the store, or a *codec.DecodeError; then the
// ring that was used before stays in use.
func (k *Keys) Announce(ctx context.Context, ring *Ring) error {
	for {
		known, revision, err := k.load(ctx)
		if err != nil {
			return err
		}
		events, err := known.Announce(ring.Keys())
		if err != nil {
			return err
		}
		if len(events) > 0 {
			err = k.append(ctx, revision, events)
			if errors.Is(err, eventstore.ErrConflict) || errors.Is(err, eventstore.ErrIDReused) {
				select { // another process has announced something
				case <-time.After(10 * time.Millisecond):
					continue
				case <-ctx.Done():
				}
			}
			if err != nil {
				return err
			}
		}
		for _, e := range events {
			known = known.Apply(e)
		}
		k.ring.Store(ring.withActive(known.Active()))
		return nil
	}
}

// Ring are the keys to decide with. The error is eventstore.ErrUnavailable until they were announced.
func (k *Keys) Ring() (*Ring, error) {
	if ring := k.ring.Load(); ring != nil {
		return ring, nil
	}
	return nil, unavailable(errors.New("the keys were not held against the event store yet"))
}

// Whole asks the store whether a ring has every key that was announced, and which one is active. Only then
// may a token that no key of that ring explains be told from one of a key that is lacking; whether
// another ring is whole, which was loaded meanwhile, says nothing. revision is that of the stream of
// the keys. The error is eventstore.ErrUnavailable, with the key if one is lacking, or another one
// of the store.
func (k *Keys) Whole(ctx context.Context, ring *Ring) (active *Ring, revision eventstore.Expected, err error) {
	known, revision, err := k.load(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := known.Holds(ring.Keys()); err != nil {
		return nil, 0, unavailable(err)
	}
	if known.Active() == "" {
		return nil, 0, unavailable(errors.New("the event store knows no key any more: it is empty, or another one; restore it, or restart logoutd"))
	}
	if active = ring.withActive(known.Active()); active != ring {
		k.ring.CompareAndSwap(ring, active)
	}
	return active, revision, nil
}

// Known are the keys that the store knows.
func (k *Keys) Known(ctx context.Context) ([]keyring.Key, error) {
	known, _, err := k.load(ctx)
	return known.Keys(), err
}

// Probe says which keys are in use. The error is that of Ring or Whole.
func (k *Keys) Probe(ctx context.Context) (string, error) {
	ring, err := k.Ring()
	if err == nil {
		ring, _, err = k.Whole(ctx, ring)
	}
	if err != nil {
		return "", err
	}
	ids := make([]string, len(ring.keys))
	for i, key := range ring.keys {
		ids[i] = key.id
	}
	return fmt.Sprintf("key %s is active, of %s", ring.ActiveID(), strings.Join(ids, ", ")), nil
}

func (k *Keys) load(ctx context.Context) (keyring.State, eventstore.Expected, error) {
	loaded, err := k.journal.Load(ctx, keyring.Stream)
	if err != nil {
		return keyring.State{}, 0, fmt.Errorf("keys: %w", err)
	}
	var state keyring.State
	for _, recorded := range loaded.Events {
		announced, err := codec.DecodeAnnounced(recorded)
		if err != nil {
			return keyring.State{}, 0, fmt.Errorf("keys: %w", err)
		}
		state = state.Apply(announced)
	}
	return state, loaded.Revision, nil
}

// append announces keys. Each announcement is a command of its own, whose id is made from what it says, so
// that the same announcement has the same id.
func (k *Keys) append(ctx context.Context, revision eventstore.Expected, events []keyring.Announced) error {
	a := eventstore.Append{Stream: keyring.Stream, Expected: revision}
	for _, event := range events {
		e := codec.EncodeAnnounced(event)
		sum := blake2b.Sum256(append([]byte("logoutd key announced v1\x00"), e.Data...))
		command := eventstore.EventID(sum[:16])
		command[6], command[8] = command[6]&0x0f|0x80, command[8]&0x3f|0x80 // UUIDv8 (RFC 9562 §5.8)
		id := command.String()
		a.Events = append(a.Events, eventstore.Event{
			ID: codec.EventID(command, 0), Type: e.Type, Data: e.Data,
			Metadata: codec.EncodeMetadata(codec.Metadata{
				CorrelationID: id, CausationID: id, CommandID: id, OccurredAt: k.now(), Schema: e.Schema,
				Actor: codec.Actor{Type: codec.ActorSystem, ID: codec.Producer}, Producer: codec.Producer,
			}),
		})
	}
	_, err := k.journal.Append(ctx, a)
	if err != nil {
		return fmt.Errorf("announcing keys: %w", err)
	}
	return nil
}
