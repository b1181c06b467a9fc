package esdb

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of Config.
const (
	DefaultCallTimeout    = 5 * time.Second
	DefaultConnectTimeout = 15 * time.Second
	DefaultResolveTimeout = 5 * time.Second
	DefaultIdleTimeout    = 30 * time.Second
	DefaultRetryMin       = 50 * time.Millisecond
	DefaultRetryMax       = 5 * time.Second
	DefaultMaxCalls       = 1024
)

// Config says where the server is. Only ConnectionString is required.
type Config struct {
	// ConnectionString is the one of every EventStoreDB client:
	//
	//	esdb://127.0.0.1:2113?tls=false
	//	esdb://a:2113,b:2113,c:2113?tlsCaFile=/etc/logoutd/ca.pem
	//	esdb+discover://cluster.example:2113
	//
	// With credentials as user:password@ before the host, percent-encoded. They are sent over TLS only.
	// The settings discoveryInterval and maxDiscoverAttempts have no effect: RetryMin and RetryMax
	// say how a lost server is looked for. An unknown setting is an error.
	ConnectionString string

	// Username and Password, when set, take the place of those in the string, so that a secret need
	// not be part of an address.
	Username, Password string

	// CallTimeout bounds one exchange with the server. 0 is the defaultDeadline of the connection
	// string, or DefaultCallTimeout.
	CallTimeout time.Duration
	// ConnectTimeout bounds the search for a node and its first answer. 0 is DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// ResolveTimeout bounds how long an append whose answer was lost is settled. 0 is DefaultResolveTimeout.
	ResolveTimeout time.Duration
	// IdleTimeout is how long a subscription may be silent before it is compared with the head
	// of the store. 0 is DefaultIdleTimeout.
	IdleTimeout time.Duration
	// RetryMin and RetryMax bound the pauses between attempts, which double and are jittered.
	// 0 is DefaultRetryMin and DefaultRetryMax.
	RetryMin, RetryMax time.Duration
	// MaxCalls bounds the calls under way; more wait. 0 is DefaultMaxCalls.
	MaxCalls int

	// Notify, optional, is told when the server is lost (the reason) and when it is back (nil), in that
	// order, one at a time. It must not block.
	Notify func(error)
}

func (c Config) withDefaults() Config {
	c.CallTimeout = or(c.CallTimeout, DefaultCallTimeout)
	c.ConnectTimeout = or(c.ConnectTimeout, DefaultConnectTimeout)
	c.ResolveTimeout = or(c.ResolveTimeout, DefaultResolveTimeout)
	c.IdleTimeout = or(c.IdleTimeout, DefaultIdleTimeout)
	c.RetryMin = or(c.RetryMin, DefaultRetryMin)
	c.RetryMax = max(or(c.RetryMax, DefaultRetryMax), c.RetryMin)
	c.MaxCalls = or(c.MaxCalls, DefaultMaxCalls)
	if c.Notify == nil {
		c.Notify = func(error) {}
	}
	return c
}

func or[T int | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

func (c Config) validate() error {
	var problems []error
	if c.ConnectionString == "" {
		problems = append(problems, errors.New("no connection string given"))
	}
	for name, d := range map[string]time.Duration{
		"CallTimeout": c.CallTimeout, "ConnectTimeout": c.ConnectTimeout, "ResolveTimeout": c.ResolveTimeout,
		"IdleTimeout": c.IdleTimeout, "RetryMin": c.RetryMin, "RetryMax": c.RetryMax,
	} {
		if d < 0 {
			problems = append(problems, fmt.Errorf("%s of %s: must not be negative", name, d))
		}
	}
	if c.MaxCalls < 0 {
		problems = append(problems, fmt.Errorf("MaxCalls of %d: must not be negative", c.MaxCalls))
	}
	if c.Password != "" && c.Username == "" {
		problems = append(problems, errors.New("a password without a username"))
	}
	return errors.Join(problems...)
}

// Format keeps secrets out of what prints a Config, with whatever verb.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "esdb.Config{%s}", Redact(c.ConnectionString))
}
