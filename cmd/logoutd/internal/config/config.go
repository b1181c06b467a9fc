package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/commands/natsapi"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// leastFreeMiB is embedded.LeastFreeBytes, rounded up.
const leastFreeMiB = (embedded.LeastFreeBytes + 1<<20 - 1) >> 20

// Serve are the settings of a running logoutd.
type Serve struct {
	NATS NATS
	ESDB ESDB
	// Data is the folder of event store, read model and keys. Two processes cannot share it.
	Data string
	// Store is where events live: "embedded", or an EventStoreDB connection string. Wrong, and the
	// history is somewhere else.
	Store string
	// ReadModel is where the projection writes: sqlite:<file>, "" is a file in Data; or a postgres://
	// URL, which several processes over one event store share. It can be deleted at any time, and is
	// rebuilt from the events.
	ReadModel string
	// KeyFile holds the keys of tokens; "" is a file in Data. Lost, and no living token is recognised.
	KeyFile string
	// NATSListen is where the embedded NATS server listens; loopback only. Not with NATS.URL.
	NATSListen string
	// HTTP is where the read side listens. It has no users: keep it on loopback or behind a proxy.
	HTTP string
	// QueueLimit bounds the commands that wait or run. Too small, and bursts are answered 503; too
	// large, and callers time out before their turn.
	QueueLimit int
	// ReplyFloor is the shortest time in which a command is answered, so that the outcome of
	// a logout cannot be told from the time. Zero, and it can.
	ReplyFloor time.Duration
	// TokenTTL is the life of a token whose command names none.
	TokenTTL time.Duration
	// FamilyTTL is the life of a session, whatever is rotated.
	FamilyTTL time.Duration
	// CacheMiB is the block cache of the embedded store. Too small, and every logout reads the disk.
	CacheMiB int
	// MinFreeMiB of disk must be free, else commands get a 503 before the disk is full. It
	// must cover what the store reserves and writes before it looks again.
	MinFreeMiB int
	// LogLevel and LogFormat shape the log on standard error.
	LogLevel  string
	LogFormat string
	// DebugListen is where Go's profiles are served; "" is nowhere. Loopback only.
	DebugListen string
}

// Flags is the part of a flag set that the settings need. *pflag.FlagSet is one.
type Flags interface {
	StringVar(p *string, name, value, usage string)
	IntVar(p *int, name string, value int, usage string)
	BoolVar(p *bool, name string, value bool, usage string)
	DurationVar(p *time.Duration, name string, value time.Duration, usage string)
	Changed(name string) bool
}

// AddFlags declares the flags of serve.
func (s *Serve) AddFlags(f Flags) {
	f.StringVar(&s.Data, "data", "./data", "folder of event store, read model and keys")
	f.StringVar(&s.Store, "store", Embedded, "event store: embedded, esdb://HOST:PORT or esdb+discover://HOST:PORT,HOST:PORT; with a password better LOGOUTD_STORE")
	f.StringVar(&s.ReadModel, "readmodel", "", "read model: sqlite:FILE or postgres://USER@HOST/DATABASE (default sqlite:DATA/readmodel.db); with a password better LOGOUTD_READMODEL")
	f.StringVar(&s.KeyFile, "key-file", "", "keys of tokens, made if missing, mode 0600 (default DATA/keys)")
	f.StringVar(&s.NATSListen, "nats-listen", "127.0.0.1:4222", "where the embedded NATS server listens, loopback only")
	f.StringVar(&s.HTTP, "http", "127.0.0.1:8080", "where the read side listens")
	f.IntVar(&s.QueueLimit, "queue-limit", 16384, "how many commands may wait or run; more are answered 503")
	f.DurationVar(&s.ReplyFloor, "reply-floor", time.Millisecond, "shortest time in which a command is answered, so that time tells nothing (default 25ms when --store is remote)")
	f.DurationVar(&s.TokenTTL, "token-ttl", 30*24*time.Hour, "life of an issued token whose command names none")
	f.DurationVar(&s.FamilyTTL, "family-ttl", 90*24*time.Hour, "life of a session, whatever is rotated")
	f.IntVar(&s.CacheMiB, "cache-mib", 256, "block cache of the embedded store, in MiB")
	f.IntVar(&s.MinFreeMiB, "min-free-mib", 256, "disk space that must be free, in MiB; below it commands are answered 503")
	f.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", "auto", "auto (console on a terminal), console or json")
	f.StringVar(&s.DebugListen, "debug-listen", "", "where to serve /debug/pprof/, loopback only (default nowhere)")
	s.NATS.AddFlags(f, "")
	s.ESDB.AddFlags(f)
}

// Complete fills in what depends on other settings and checks all rules at once.
func (s *Serve) Complete(f Flags) error {
	if s.ReadModel == "" {
		s.ReadModel = "sqlite:" + filepath.Join(s.Data, "readmodel.db")
	}
	if s.KeyFile == "" {
		s.KeyFile = filepath.Join(s.Data, "keys")
	}
	if IsServer(s.Store) && !f.Changed("reply-floor") {
		s.ReplyFloor = remoteReplyFloor
	}
	problems := []error{checkStore(s.Store), s.ESDB.complete(f, IsServer(s.Store))}
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	bad(s.Data != "", "--data: name a folder")
	bad(s.NATS.URL == "" || !f.Changed("nats-listen"),
		"--nats-url and --nats-listen exclude each other: with a URL no server is embedded")
	bad(s.NATS.URL != "" || !s.NATS.hasCredentials(),
		"NATS credentials need --nats-url: the embedded server has no users")
	bad(s.QueueLimit >= 1 && s.QueueLimit <= 1<<20, "--queue-limit %d: want 1 to 1048576", s.QueueLimit)
	bad(s.ReplyFloor >= 0 && s.ReplyFloor <= time.Second, "--reply-floor %s: want 0 to 1s", s.ReplyFloor)
	bad(s.TokenTTL >= time.Second, "--token-ttl %s: want at least 1s", s.TokenTTL)
	bad(s.FamilyTTL >= s.TokenTTL, "--family-ttl %s: want at least --token-ttl, which is %s", s.FamilyTTL, s.TokenTTL)
	bad(s.CacheMiB >= 8 && s.CacheMiB <= 1<<20, "--cache-mib %d: want 8 or more", s.CacheMiB)
	bad(s.MinFreeMiB >= leastFreeMiB, "--min-free-mib %d: want %d or more, which is what the store may take before it notices",
		s.MinFreeMiB, leastFreeMiB)
	_, err := zerolog.ParseLevel(s.LogLevel)
	bad(err == nil && s.LogLevel != "", "--log-level %s: want debug, info, warn or error", s.LogLevel)
	bad(s.LogFormat == "auto" || s.LogFormat == "console" || s.LogFormat == "json",
		"--log-format %s: want auto, console or json", s.LogFormat)
	_, _, err = net.SplitHostPort(s.HTTP)
	bad(err == nil, "--http %s: want host:port, like 127.0.0.1:8080", s.HTTP)
	return errors.Join(append(problems, checkReadModel(s.ReadModel), s.NATS.Check())...)
}

// ReadModelFile is the file of --readmodel.
func (s *Serve) ReadModelFile() string { return strings.TrimPrefix(s.ReadModel, sqlitePrefix) }

// StoreFolder is where the embedded store lives.
func (s *Serve) StoreFolder() string { return filepath.Join(s.Data, "events") }

// NATS says how to reach a NATS server and who to be there.
type NATS struct {
	// URL of the server or servers, separated by commas. "" embeds one in serve.
	URL string
	// SubjectPrefix begins every subject. Callers and logoutd must agree on it.
	SubjectPrefix string
	// Creds is a file with a user JWT and its nkey seed.
	Creds string
	// NKey is a file with an nkey seed.
	NKey string
	// User and Password, or Token: plain credentials, better given in the environment.
	User, Password, Token string
	// TLSCA verifies the server; TLSCert and TLSKey are shown to it.
	TLSCA, TLSCert, TLSKey string
}

// AddFlags declares the flags; url is the default of --nats-url.
func (n *NATS) AddFlags(f Flags, url string) {
	f.StringVar(&n.URL, "nats-url", url, "NATS server, like nats://host:4222 or tls://host:4222")
	f.StringVar(&n.SubjectPrefix, "subject-prefix", natsapi.DefaultSubjectPrefix, "first part of every subject")
	f.StringVar(&n.Creds, "nats-creds", "", "file with a NATS user JWT and seed")
	f.StringVar(&n.NKey, "nats-nkey", "", "file with an nkey seed")
	f.StringVar(&n.User, "nats-user", "", "NATS user")
	f.StringVar(&n.Password, "nats-password", "", "NATS password; better LOGOUTD_NATS_PASSWORD")
	f.StringVar(&n.Token, "nats-token", "", "NATS token; better LOGOUTD_NATS_TOKEN")
	f.StringVar(&n.TLSCA, "nats-tls-ca", "", "file with the CA certificates that verify the NATS server")
	f.StringVar(&n.TLSCert, "nats-tls-cert", "", "file with the client certificate")
	f.StringVar(&n.TLSKey, "nats-tls-key", "", "file with the key of the client certificate")
}

func (n *NATS) hasCredentials() bool {
	return n.Creds+n.NKey+n.User+n.Password+n.Token+n.TLSCA+n.TLSCert+n.TLSKey != ""
}

// Check tells which settings do not fit each other.
func (n *NATS) Check() error {
	ways := 0
	for _, way := range [...]string{n.Creds, n.NKey, n.User, n.Token} {
		if way != "" {
			ways++
		}
	}
	var problems []error
	if ways > 1 {
		problems = append(problems, errors.New("--nats-creds, --nats-nkey, --nats-user and --nats-token exclude each other"))
	}
	if (n.User == "") != (n.Password == "") {
		problems = append(problems, errors.New("--nats-user and --nats-password need each other"))
	}
	if (n.TLSCert == "") != (n.TLSKey == "") {
		problems = append(problems, errors.New("--nats-tls-cert and --nats-tls-key need each other"))
	}
	return errors.Join(append(problems, natsapi.CheckSubjectPrefix(n.SubjectPrefix))...)
}
