package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// protocol is the EventStoreDB protocol before there is a store to serve: its port is taken, its
// files are read.
type protocol struct{ config esdbapi.Config }

// listenESDB takes the port of the EventStoreDB protocol, and reads what it needs; nil when it is not served.
func listenESDB(ctx context.Context, s config.ESDB, log zerolog.Logger, undo *closing) (*protocol, error) {
	if s.Listen == "" {
		return nil, nil
	}
	c := esdbapi.Config{
		AllowAppend: s.AllowAppend, Advertise: s.Advertise, Now: time.Now, Log: log,
		// The record of sessions: nobody deletes or hides any of it through the protocol.
		Protected: []string{
			keyring.Stream, refreshtoken.StreamPrefix, commands.LogoutStreamPrefix, credential.PointerPrefix, claims.StreamPrefix,
		},
	}
	if s.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("--esdb-tls-cert %s, --esdb-tls-key %s: %w", s.TLSCert, s.TLSKey, err)
		}
		c.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		if c.Users, err = esdbapi.LoadUsers(s.Users); err != nil {
			return nil, fmt.Errorf("--esdb-users: %w", err)
		}
	}
	listener, open, err := listen(ctx, "eventstoredb protocol", "--esdb-listen", s.Listen, undo)
	if err != nil {
		return nil, err
	}
	if open && c.TLS == nil {
		return nil, fmt.Errorf("--esdb-listen %s can be reached from other machines: give it --esdb-tls-cert, --esdb-tls-key and --esdb-users, or listen on loopback", s.Listen)
	}
	c.Listener = listener
	return &protocol{c}, nil
}

// over makes the server of a store; nil when the protocol is not served.
func (p *protocol) over(store eventstore.Store) (*esdbapi.Server, error) {
	if p == nil {
		return nil, nil
	}
	p.config.Store = store
	return esdbapi.New(p.config)
}

// connectionString is what a client on this machine connects with.
func (p *protocol) connectionString() string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("esdb://%s?tls=%t", p.config.Listener.Addr(), p.config.TLS != nil)
}
