package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// keeper keeps the keys of a running logoutd in step with its key file and with the event store.
type keeper struct {
	file   string
	keys   *credential.Keys
	log    zerolog.Logger
	hangup <-chan os.Signal // SIGHUP: read the key file now

	seen os.FileInfo // of the key file that is in use; nil if another has to be read
	told string      // what was logged last: the same is not logged again
}

// keepEvery is how often the key file and the announced keys are looked at.
const keepEvery = time.Second

// existingKeys opens the key file; nil where there is none.
func existingKeys(file string) (*credential.Ring, error) {
	ring, err := credential.OpenKeyFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return ring, err
}

// start holds the keys against those that the event store knows, and makes the key file of a store
// that knows none. A store behind a network may be away: then Run goes on trying, and until it has
// succeeded no command is decided.
func (k *keeper) start(ctx context.Context, ring *credential.Ring, remote bool) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if ring == nil {
		if err := k.firstKeys(ctx); err != nil {
			return err
		}
	}
	err := k.load(ctx)
	if remote && (errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)) {
		return nil // awaitHead has said so
	}
	return err
}

// firstKeys makes the key file of a new store. It refuses to make new keys beside others that the store
// knows: no token of theirs would be recognised.
func (k *keeper) firstKeys(ctx context.Context) error {
	known, err := k.keys.Known(ctx)
	if err != nil {
		return err
	}
	if len(known) > 0 {
		ids := make([]string, len(known))
		for i := range known {
			ids[i] = known[i].ID
		}
		// Another process on the same store and the same file may have made both since we looked.
		if ring, err := existingKeys(k.file); ring != nil || err != nil {
			return err
		}
		return fmt.Errorf("key file %s is missing, and the event store knows key %s; restore it from your backup, copy it from "+
			"another logoutd on this store, or name it with --key-file", k.file, strings.Join(ids, ", "))
	}
	_, created, err := credential.OpenOrCreateKeyFile(k.file, time.Now())
	if created {
		k.log.Info().Str("file", k.file).Msg("made a key file; back it up: without it no living token is recognised")
	}
	return err
}

// load reads the key file and announces its keys.
func (k *keeper) load(ctx context.Context) error {
	k.seen = nil // until it has succeeded: the next look tries again
	info, err := os.Stat(k.file)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	ring, err := credential.OpenKeyFile(k.file)
	if err != nil {
		return err
	}
	if err := k.keys.Announce(ctx, ring); err != nil {
		return fmt.Errorf("key file %s: %w", k.file, err)
	}
	k.seen, k.told = info, ""
	if ring, err = k.keys.Ring(); err != nil {
		return err
	}
	k.log.Info().Str("file", k.file).Str("active", ring.ActiveID()).Int("keys", len(ring.Keys())).Msg("keys loaded")
	return nil
}

// Run reads the key file again when it has changed and on SIGHUP, until ctx ends. A file that cannot be
// used changes nothing: the keys that were there stay in use, and the log says why.
func (k *keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-k.hangup:
			asked = true
		case <-ticker.C:
		}
		k.tell(k.look(ctx, asked))
	}
}

// look reads the key file if asked to or if it has changed, and otherwise asks the store whether a key is lacking.
func (k *keeper) look(ctx context.Context, asked bool) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if asked || k.changed() {
		return k.load(ctx)
	}
	_, err := k.keys.Probe(ctx)
	if errors.Is(err, credential.ErrUnfit) || !errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil // a store that is away has its own line in the log
}

func (k *keeper) changed() bool {
	info, err := os.Stat(k.file)
	if err != nil || k.seen == nil {
		return true
	}
	return !os.SameFile(info, k.seen) || !info.ModTime().Equal(k.seen.ModTime()) || info.Size() != k.seen.Size()
}

func (k *keeper) tell(err error) {
	if err == nil || err.Error() == k.told || errors.Is(err, context.Canceled) {
		return
	}
	k.told = err.Error()
	k.log.Error().Err(err).Msg("keys: see /readyz; the keys that were loaded before stay in use")
}
