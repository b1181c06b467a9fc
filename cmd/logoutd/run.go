package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/cmd/logoutd/internal/profile"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/commands/natsapi"
	"github.com/logoutd/logoutd/commands/natsapi/natsserver"
	"github.com/logoutd/logoutd/eventstore/embedded"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
)

// serve runs a whole logoutd until ctx ends, and returns when everything has stopped. ready is
// called once, when commands are accepted.
func serve(ctx context.Context, s config.Serve, log zerolog.Logger, ready func(addresses) error) (err error) {
	var undo closing
	defer func() { err = errors.Join(err, undo.run(ctx)) }()

	// Where things are kept.
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	store, err := embedded.Open(embedded.Config{
		Dir: s.StoreFolder(), CacheBytes: int64(s.CacheMiB) << 20, MinFreeBytes: int64(s.MinFreeMiB) << 20,
	})
	if err != nil {
		return err
	}
	undo.add(func(context.Context) error { return store.Close() })
	head, err := store.Head(ctx)
	if err != nil {
		return err
	}
	ring, err := openKeys(s.KeyFile, head > 0, log)
	if err != nil {
		return err
	}

	// How commands come in.
	conn, err := connectNATS(&s, log, &undo)
	if err != nil {
		return err
	}
	processor, err := commands.New(commands.Config{
		Journal: store, Ring: ring, Now: time.Now, TokenTTL: s.TokenTTL, FamilyTTL: s.FamilyTTL,
	})
	if err != nil {
		return err
	}
	service, err := natsapi.New(natsapi.Config{
		Conn: conn, Processor: processor, Queue: commands.NewQueue(s.QueueLimit), Log: log,
		Version: versionOf(), SubjectPrefix: s.NATS.SubjectPrefix, ReplyFloor: s.ReplyFloor,
	})
	if err != nil {
		return err
	}

	// What dashboards read.
	model, err := sqlite.Open(ctx, sqlite.Config{Path: s.ReadModelFile()})
	if err != nil {
		return err
	}
	undo.add(func(context.Context) error { return model.Close() })
	runner, err := projections.NewRunner(projections.Config{Source: store, Projection: model, Now: time.Now, Log: log})
	if err != nil {
		return err
	}

	// Commands stop first; what reads goes on until the last of them is answered.
	front, stopFront := context.WithCancelCause(ctx)
	defer stopFront(nil)
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	group, _ := errgroup.WithContext(back)
	group.Go(func() error {
		defer stopBack()
		return service.Run(front, func() {
			err := ready(addresses{
				Version: versionOf(), NATS: conn.ConnectedUrlRedacted(), Subject: natsapi.Subject(s.NATS.SubjectPrefix, "*"),
				HTTP: s.HTTP, Data: s.Data, Head: head.String(),
			})
			if err != nil {
				stopFront(err)
			}
		})
	})
	group.Go(func() error {
		err := runner.Run(back)
		if errors.Is(err, projections.ErrForeign) {
			stopFront(err)
			return err // a mistake of who started it, who is still looking
		}
		if err != nil {
			// Ending sessions matters more than showing them: commands go on, /readyz fails.
			log.Error().Err(err).Msg("the read model has stopped; commands go on")
		}
		return nil
	})
	group.Go(func() error {
		select {
		case <-store.Failed():
			stopFront(store.Err())
			return store.Err()
		case <-back.Done():
			return nil
		}
	})
	if s.DebugListen != "" {
		group.Go(func() error {
			err := profile.Serve(back, s.DebugListen)
			if err != nil {
				stopFront(err)
			}
			return err
		})
	}
	return group.Wait()
}

// openKeys refuses to make new keys beside old events: none of their tokens would be
// recognised, and nobody would know why.
func openKeys(file string, history bool, log zerolog.Logger) (*credential.Ring, error) {
	if history {
		ring, err := credential.OpenKeyFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("key file %s is missing beside existing events; restore it from your backup, or name it with --key-file", file)
		}
		return ring, err
	}
	ring, created, err := credential.OpenOrCreateKeyFile(file, time.Now())
	if created {
		log.Info().Str("file", file).Msg("made a key file; back it up: without it no living token is recognised")
	}
	return ring, err
}

// connectNATS reaches the server that --nats-url names, or one that it embeds.
func connectNATS(s *config.Serve, log zerolog.Logger, undo *closing) (*nats.Conn, error) {
	to := s.NATS
	if to.URL == "" {
		server, err := natsserver.Start(s.NATSListen)
		if err != nil {
			return nil, err
		}
		undo.add(server.Close)
		to.URL = server.URL()
	}
	conn, err := to.Connect("logoutd", log)
	if err != nil {
		return nil, err
	}
	undo.add(func(context.Context) error { conn.Close(); return nil })
	return conn, nil
}
