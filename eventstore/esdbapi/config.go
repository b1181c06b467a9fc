package esdbapi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/eventstore"
)

// Defaults of Config.
const (
	DefaultMaxConnections = 1000
	DefaultMaxStreams     = 1000
	DefaultAppendMemory   = 64 << 20
	DefaultCacheBytes     = 32 << 20
	DefaultWriteTimeout   = 2 * time.Second
	DefaultReceiveTimeout = 30 * time.Second
	DefaultGrace          = 10 * time.Second
)

// Config of a server. Listener and Store are required; a zero value elsewhere is the default.
type Config struct {
	Listener net.Listener // Run closes it. Without TLS it must be on a loopback address
	Store    eventstore.Store

	// AllowAppend lets writers append, delete and tombstone. Without it the server is read-only.
	AllowAppend bool

	// Protected are prefixes of the names of logoutd's own streams. Nobody may delete, tombstone or
	// truncate those, or give them metadata, whatever AllowAppend and the users' roles say.
	Protected []string

	// TLS is required wherever others than this machine can connect, and Users with it.
	TLS   *tls.Config
	Users *Users

	// Advertise is the host:port that gossip tells clients to connect to. Default: the listener's.
	Advertise string

	// Now is the clock that $maxAge and deadlines are measured by. Nil is time.Now.
	Now func() time.Time

	// Log gets what goes wrong, without names or data of clients. The zero value logs nothing.
	Log zerolog.Logger

	// MaxConnections is the number of clients at a time; more wait to be accepted.
	MaxConnections int
	// MaxStreams is the number of calls under way on one connection; more wait in the client.
	MaxStreams uint32
	// AppendMemory bounds, in bytes, what clients have sent of appends that are not stored yet, all
	// together. What is over it is told to try again later.
	AppendMemory int64
	// CacheBytes bounds the encoded events that are kept for all subscribers together.
	CacheBytes int64
	// WriteTimeout is how long an append may take once it is complete.
	WriteTimeout time.Duration
	// ReceiveTimeout is how long a client may take to send an append.
	ReceiveTimeout time.Duration
	// Grace is how long Run waits for calls under way before it breaks them off.
	Grace time.Duration
}

func (c Config) withDefaults() Config {
	setDefault(&c.MaxConnections, DefaultMaxConnections)
	setDefault(&c.MaxStreams, DefaultMaxStreams)
	setDefault(&c.AppendMemory, DefaultAppendMemory)
	setDefault(&c.CacheBytes, DefaultCacheBytes)
	setDefault(&c.WriteTimeout, DefaultWriteTimeout)
	setDefault(&c.ReceiveTimeout, DefaultReceiveTimeout)
	setDefault(&c.Grace, DefaultGrace)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Advertise == "" && c.Listener != nil {
		c.Advertise = c.Listener.Addr().String()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports everything that is wrong at once.
func (c Config) validate() error {
	if c.Listener == nil || c.Store == nil {
		return errors.New("esdb server: Listener and Store are required")
	}
	var problems []error
	address := c.Listener.Addr().String()
	if c.TLS == nil && !loopback(c.Listener.Addr()) {
		problems = append(problems, fmt.Errorf("address %s can be reached by others, and there is no TLS: "+
			"give a certificate and users, or listen on 127.0.0.1", address))
	}
	if (c.TLS == nil) != (c.Users == nil) {
		problems = append(problems, errors.New("TLS and users go together: passwords are not taken in the clear, and without users nobody is let in"))
	}
	if host, port, err := net.SplitHostPort(c.Advertise); err != nil || host == "" || !validPort(port) {
		problems = append(problems, fmt.Errorf("advertised address %q: want host:port", c.Advertise))
	}
	for _, prefix := range c.Protected {
		if prefix == "" || strings.HasPrefix(prefix, "$") {
			problems = append(problems, fmt.Errorf("protected prefix %q: want the beginning of a name that is not a system stream's", prefix))
		}
	}
	if c.MaxConnections < 0 || c.AppendMemory < 0 || c.CacheBytes < 0 || c.WriteTimeout < 0 || c.ReceiveTimeout < 0 || c.Grace < 0 {
		problems = append(problems, errors.New("no limit may be negative"))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("esdb server: %w", err)
	}
	return nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// loopback reports whether only this machine can reach an address.
func loopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	default:
		return false
	}
}
