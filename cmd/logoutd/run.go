package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
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
	"github.com/logoutd/logoutd/eventstore/esdbapi"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/httpapi"
)

// serve runs a whole logoutd until ctx ends, and returns when everything has stopped. ready is
// called once, when commands are accepted.
func serve(ctx context.Context, s config.Serve, log zerolog.Logger, ready func(addresses) error) (err error) {
	var undo closing
	defer func() { err = errors.Join(err, undo.run(ctx)) }()

	hangup := make(chan os.Signal, 1) // more than one at a time are one
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	// What can be refused at once comes first, before anything is made or changed.
	ring, err := existingKeys(s.KeyFile)
	if err != nil {
		return err
	}
	listener, err := listenHTTP(ctx, s.HTTP, log, &undo)
	if err != nil {
		return err
	}
	protocol, err := listenESDB(ctx, s.ESDB, log, &undo)
	if err != nil {
		return err
	}
	conn, err := connectNATS(&s, log, &undo)
	if err != nil {
		return err
	}

	// Where things are kept.
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	store, err := openStore(placeOf(&s), log)
	if err != nil {
		return err
	}
	undo.add(func(context.Context) error { return store.Close() })
	head, err := awaitHead(ctx, store, ring == nil, log)
	if err != nil {
		return err
	}
	keys := &keeper{file: s.KeyFile, keys: credential.NewKeys(store, time.Now), log: log, hangup: hangup}
	if err := keys.start(ctx, ring, store.failed == nil); err != nil {
		return err
	}

	// How commands come in.
	processor, err := commands.New(commands.Config{
		Journal: store, Keys: keys.keys, Now: time.Now, TokenTTL: s.TokenTTL, FamilyTTL: s.FamilyTTL,
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

	// What is read.
	model, err := newReadModel(ctx, &s)
	if err != nil {
		return err
	}
	undo.add(func(context.Context) error { return model.Close() })
	runner, err := projections.NewRunner(projections.Config{
		Source: store, Projection: model, Now: time.Now, Log: log,
		BatchEvents: 16384, Buffer: 32768, // a transaction writes a page once for all of its rows
	})
	if err != nil {
		return err
	}
	handler, err := httpapi.NewHandler(httpapi.Config{
		Events: store, Tokens: model, Progress: runner, Now: time.Now,
		Checks: []httpapi.Check{natsCheck(conn), {Name: "keys", Probe: keys.keys.Probe}},
	})
	if err != nil {
		return err
	}
	web, err := httpapi.NewServer(httpapi.ServerConfig{Listener: listener, Handler: handler})
	if err != nil {
		return err
	}

	replay, err := protocol.over(store)
	if err != nil {
		return err
	}
	return runAll(ctx, &parts{
		service: service, runner: runner, web: web, replay: replay, store: store, keys: keys, log: log, debugListen: s.DebugListen,
	}, func() error {
		return ready(addresses{
			Version: versionOf(), NATS: conn.ConnectedUrlRedacted(), Subject: natsapi.Subject(s.NATS.SubjectPrefix, "*"),
			HTTP: listener.Addr().String(), ESDB: protocol.connectionString(), Store: config.Redact(s.Store),
			Data: s.Data, Head: head.String(),
		})
	})
}

// parts is what runs in a logoutd.
type parts struct {
	service     *natsapi.Service
	runner      *projections.Runner
	web         *httpapi.Server
	replay      *esdbapi.Server // nil when it is not served
	store       *store
	keys        *keeper
	log         zerolog.Logger
	debugListen string
}

// runAll runs the parts until ctx ends or one of them fails. Commands stop first; what reads
// goes on until the last of them is answered.
func runAll(ctx context.Context, p *parts, ready func() error) error {
	front, stopFront := context.WithCancelCause(ctx)
	defer stopFront(nil)
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	var group errgroup.Group
	start := func(run func() error) {
		group.Go(func() error {
			err := run()
			if err != nil {
				stopFront(err)
			}
			return err
		})
	}
	start(func() error {
		defer stopBack()
		return p.service.Run(front, func() {
			if err := ready(); err != nil {
				stopFront(err)
			}
		})
	})
	start(func() error { return p.keys.Run(back) })
	start(func() error { return p.web.Run(back) })
	if p.replay != nil {
		start(func() error { return p.replay.Run(back) })
	}
	start(func() error { return p.follow(back) })
	start(func() error {
		select {
		case <-p.store.failed:
			return p.store.err()
		case <-back.Done():
			return nil
		}
	})
	if p.debugListen != "" {
		start(func() error { return profile.Serve(back, p.debugListen) })
	}
	return group.Wait()
}

// follow feeds the read model. Ending sessions matters more than showing them: whatever becomes of it,
// commands go on.
func (p *parts) follow(ctx context.Context) error {
	if err := p.runner.Run(ctx); err != nil {
		p.log.Error().Err(err).Msg("the read model has stopped, see /readyz; commands go on")
	}
	return nil
}

// listenHTTP takes the port of the read side.
func listenHTTP(ctx context.Context, address string, log zerolog.Logger, undo *closing) (net.Listener, error) {
	listener, open, err := listen(ctx, "http", "--http", address, undo)
	if err == nil && open {
		log.Warn().Str("address", address).Msg("the read side has no users and listens beyond this machine: put a proxy in front of it")
	}
	return listener, err
}

// listen takes a port until everything is undone. open says that other machines can reach it.
func listen(ctx context.Context, what, flag, address string, undo *closing) (listener net.Listener, open bool, err error) {
	listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, false, fmt.Errorf("%s: cannot listen on %s: %w; stop what uses it or choose another %s", what, address, err, flag)
	}
	undo.add(func(context.Context) error {
		_ = listener.Close() //nolint:errcheck // the server has closed it, as a rule
		return nil
	})
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return listener, ok && !tcp.IP.IsLoopback(), nil
}

func natsCheck(conn *nats.Conn) httpapi.Check {
	return httpapi.Check{Name: "nats", Probe: func(context.Context) (string, error) {
		if !conn.IsConnected() {
			return "", errors.New("not connected, reconnecting: " + conn.Status().String())
		}
		return "connected to " + conn.ConnectedUrlRedacted(), nil
	}}
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
