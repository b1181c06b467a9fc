package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Embedded is the value of --store that keeps events inside this process.
const Embedded = "embedded"

const (
	defaultESDBListen = "127.0.0.1:2113"
	// remoteReplyFloor is the reply floor over a store that every command reaches by several
	// round trips: their number differs between the outcomes of a logout, their time must not show.
	remoteReplyFloor = 25 * time.Millisecond
)

// ESDB says how the EventStoreDB protocol is served to audit consumers.
type ESDB struct {
	// Listen is host:port; "" is nowhere. Without TLS it must be on loopback.
	Listen string
	// Advertise is the host:port under which clients reach Listen; "" is Listen itself.
	// Wrong, and clients that discover the cluster are sent astray.
	Advertise string
	// AllowAppend lets clients append. Off, they only read.
	AllowAppend bool
	// TLSCert and TLSKey are the certificate that is shown to clients.
	TLSCert, TLSKey string
	// Users is the file of those who may connect; needed with TLS.
	Users string
}

// AddFlags declares the flags.
func (e *ESDB) AddFlags(f Flags) {
	f.StringVar(&e.Listen, "esdb-listen", defaultESDBListen,
		"where the EventStoreDB protocol is served; \"\" is nowhere (default nowhere when --store is remote)")
	f.StringVar(&e.Advertise, "esdb-advertise", "", "host:port under which clients reach it (default --esdb-listen)")
	f.BoolVar(&e.AllowAppend, "esdb-allow-append", false, "let clients of the EventStoreDB protocol append")
	f.StringVar(&e.TLSCert, "esdb-tls-cert", "", "file with the certificate of the EventStoreDB protocol")
	f.StringVar(&e.TLSKey, "esdb-tls-key", "", "file with its key")
	f.StringVar(&e.Users, "esdb-users", "", "file with its users, one NAME:ROLE:HASH a line; see logoutd help esdb-user")
}

// complete fills in what depends on the store, and checks.
func (e *ESDB) complete(f Flags, remote bool) error {
	if remote && !f.Changed("esdb-listen") {
		e.Listen = ""
	}
	var problems []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	bad((e.TLSCert == "") == (e.TLSKey == ""), "--esdb-tls-cert and --esdb-tls-key need each other")
	bad((e.TLSCert == "") == (e.Users == ""), "--esdb-tls-cert and --esdb-users need each other: users without TLS would show their passwords, and TLS without users lets everybody in")
	if e.Listen == "" {
		bad(!e.AllowAppend && e.Advertise == "" && e.TLSCert == "", "--esdb-allow-append, --esdb-advertise and --esdb-tls-cert need --esdb-listen")
		return errors.Join(problems...)
	}
	for flag, address := range map[string]string{"--esdb-listen": e.Listen, "--esdb-advertise": e.Advertise} {
		_, _, err := net.SplitHostPort(address)
		bad(err == nil || address == "", "%s %s: want host:port, like %s", flag, address, defaultESDBListen)
	}
	return errors.Join(problems...)
}

// IsServer tells whether a store is named by the connection string of a server.
func IsServer(store string) bool {
	return strings.HasPrefix(store, "esdb://") || strings.HasPrefix(store, "esdb+discover://")
}

// checkStore knows the forms of --store. What is behind the scheme is checked by who opens it.
func checkStore(store string) error {
	switch {
	case store == Embedded, IsServer(store):
		return nil
	case strings.HasPrefix(store, "kurrentdb"), strings.HasPrefix(store, "kdb"):
		return errors.New("--store: this client spells the scheme esdb:// or esdb+discover://, for KurrentDB too")
	}
	return fmt.Errorf("--store %s: want embedded, esdb://HOST:PORT or esdb+discover://HOST:PORT", Redact(store))
}
