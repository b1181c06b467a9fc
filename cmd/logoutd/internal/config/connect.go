package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// Connect reaches the NATS server. Once connected, the connection comes back by itself for
// ever; log tells when it is away. The error names the server without its secrets.
func (n *NATS) Connect(name string, log zerolog.Logger) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name),
		nats.Timeout(5 * time.Second),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(200*time.Millisecond, time.Second),
		nats.ReconnectBufSize(64 << 20), // replies wait here while the server is away
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when we close it ourselves
				log.Warn().Err(err).Msg("nats connection lost, reconnecting")
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info().Str("server", c.ConnectedUrlRedacted()).Msg("nats connection is back")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			event := log.Warn().Err(err)
			if sub != nil {
				event = event.Str("subject", sub.Subject)
			}
			event.Msg("nats reports an error")
		}),
	}
	credentials, err := n.credentials()
	if err != nil {
		return nil, err
	}
	c, err := nats.Connect(n.URL, append(options, credentials...)...)
	if err != nil {
		return nil, fmt.Errorf("nats: cannot connect to %s: %w; check --nats-url and the credentials", Redact(n.URL), err)
	}
	return c, nil
}

func (n *NATS) credentials() ([]nats.Option, error) {
	var options []nats.Option
	switch {
	case n.Creds != "":
		options = append(options, nats.UserCredentials(n.Creds))
	case n.NKey != "":
		seed, err := nats.NkeyOptionFromSeed(n.NKey)
		if err != nil {
			return nil, fmt.Errorf("--nats-nkey %s: %w", n.NKey, err)
		}
		options = append(options, seed)
	case n.User != "":
		options = append(options, nats.UserInfo(n.User, n.Password))
	case n.Token != "":
		options = append(options, nats.Token(n.Token))
	}
	if n.TLSCA != "" {
		options = append(options, nats.RootCAs(n.TLSCA))
	}
	if n.TLSCert != "" {
		options = append(options, nats.ClientCert(n.TLSCert, n.TLSKey))
	}
	return options, nil
}

// Redact leaves user and password out of URLs separated by commas.
func Redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		u, err := url.Parse(strings.TrimSpace(part))
		switch {
		case err != nil:
			parts[i] = "[unreadable URL]" // it may hold a password
		case u.User != nil:
			u.User = url.User("redacted")
			parts[i] = u.String()
		}
	}
	return strings.Join(parts, ",")
}
