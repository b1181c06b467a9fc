package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// keeper keeps the keys of a running logoutd in step with its key file and with the event store.
type keeper struct {
	file string
	keys *credential.Keys
	log  zerolog.Logger

	announced bool
	seen      os.FileInfo // of the key file, when it was read last
	told      string      // what was logged last: the same is not logged again
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
	k.seen, _ = os.Stat(k.file) //nolint:errcheck // opening it tells
	ring, err := credential.OpenKeyFile(k.file)
	if err != nil {
		return err
	}
	if err := k.keys.Announce(ctx, ring); err != nil {
		return fmt.Errorf("key file %s: %w", k.file, err)
	}
	k.announced, k.told = true, ""
	k.log.Info().Str("file", k.file).Str("active", ring.ActiveID()).Int("keys", len(ring.Keys())).Msg("keys loaded")
	return nil
}

// Run reads the key file again when it has changed and on SIGHUP, until ctx ends. A file that cannot be
// used changes nothing: the keys that were there stay in use, and the log says why.
func (k *keeper) Run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1) // more than one at a time are one
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			asked = true
		case <-ticker.C:
		}
		if asked || !k.announced || k.changed() {
			k.tell(k.load(ctx))
			continue
		}
		var missing *keyring.MissingError
		var other *keyring.OtherKeyError
		if _, _, err := k.keys.Whole(ctx); errors.As(err, &missing) || errors.As(err, &other) {
			k.tell(err)
		}
	}
}

func (k *keeper) changed() bool {
	info, err := os.Stat(k.file)
	if err != nil || k.seen == nil {
		return k.seen != nil || err == nil
	}
	return !os.SameFile(info, k.seen) || !info.ModTime().Equal(k.seen.ModTime()) || info.Size() != k.seen.Size()
}

func (k *keeper) tell(err error) {
	if err == nil || err.Error() == k.told {
		return
	}
	k.told = err.Error()
	k.log.Error().Err(err).Msg("keys: see /readyz; the keys that were loaded before stay in use")
}
