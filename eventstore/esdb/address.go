package esdb

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

const (
	scheme         = "esdb"
	schemeDiscover = "esdb+discover"
	defaultPort    = "2113"

	// gossipSeconds is what one node of a cluster gets to answer, unless gossipTimeout says
	// otherwise. The client's own default leaves no time for the next node.
	gossipSeconds = 2
)

// parts are a connection string taken apart. The client does this, too, but prints what it does
// not know to standard error and repeats the whole string, password included, in its errors.
type parts struct {
	scheme   string
	user     *url.Userinfo
	hosts    []string
	settings url.Values
}

// Redact is a connection string without what may be a secret: scheme and hosts.
func Redact(connectionString string) string {
	p, err := split(connectionString)
	if err != nil {
		return "(invalid connection string)"
	}
	return p.address()
}

func (p parts) address() string { return p.scheme + "://" + strings.Join(p.hosts, ",") }

// configuration turns a Config into what the client understands.
func configuration(c Config) (*sdk.Configuration, string, error) {
	p, err := split(c.ConnectionString)
	if err != nil {
		return nil, "", fmt.Errorf("connection string: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, "", fmt.Errorf("connection string: %w", err)
	}
	// Without credentials, so no error of the client can repeat them.
	conf, err := sdk.ParseConnectionString(p.address() + "?" + p.settings.Encode())
	if err != nil {
		return nil, "", fmt.Errorf("connection string: %w", err)
	}
	if err := conf.Validate(); err != nil {
		return nil, "", fmt.Errorf("connection string: %w", err)
	}
	if p.user != nil {
		conf.Username = p.user.Username()
		conf.Password, _ = p.user.Password()
	}
	if c.Username != "" {
		conf.Username, conf.Password = c.Username, c.Password
	}
	conf.Logger = nil
	// The supervisor looks again; a client that looks ten times keeps everybody waiting meanwhile (G1, G2).
	conf.MaxDiscoverAttempts, conf.DiscoveryInterval = 1, 0
	if !p.has("gossiptimeout") {
		conf.GossipTimeout = gossipSeconds
	}
	return conf, p.address(), nil
}

// split takes a connection string apart. Its errors repeat nothing of the string, since what is at the wrong
// place may be the password.
func split(s string) (parts, error) {
	var p parts
	name, rest, ok := strings.Cut(s, "://")
	if !ok || name != scheme && name != schemeDiscover {
		return p, errors.New("must begin with esdb:// or esdb+discover://")
	}
	p.scheme = name
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, err := url.Parse("x://" + authority[:at+1] + "x")
		if err != nil || user.User.Username() == "" {
			return parts{}, errors.New("credentials must be user:password, percent-encoded")
		}
		p.user, authority = user.User, authority[at+1:]
	}
	if path != "" || strings.Contains(query, "@") {
		return parts{}, errors.New("nothing may follow the hosts but settings after ?; a / ? or @ in credentials must be percent-encoded")
	}
	for _, host := range strings.Split(authority, ",") {
		name, port, given := strings.Cut(host, ":")
		if !given {
			port = defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || name == "" || strings.ContainsAny(name, "[]%") {
			return parts{}, errors.New("each host must be name:port, with a port from 1 to 65535; IPv6 addresses need a name")
		}
		p.hosts = append(p.hosts, name+":"+port)
	}
	if p.scheme == schemeDiscover && len(p.hosts) > 1 {
		return parts{}, errors.New("esdb+discover takes one host, whose name resolves to the nodes")
	}
	settings, err := url.ParseQuery(query)
	if err != nil {
		return parts{}, errors.New("settings must be name=value, joined by & and percent-encoded")
	}
	p.settings = settings
	return p, nil
}

// check refuses what the client would ignore, or print a warning for.
func (p parts) check() error {
	for name, values := range p.settings {
		switch strings.ToLower(name) {
		case "tls", "tlscafile", "tlsverifycert", "usercertfile", "userkeyfile", "nodepreference",
			"gossiptimeout", "maxdiscoverattempts", "discoveryinterval", "keepalivetimeout":
		case "keepaliveinterval":
			if n, err := strconv.Atoi(values[0]); err != nil || n != -1 && n < 10_000 {
				return errors.New("keepAliveInterval must be at least 10000 (ms), or -1")
			}
		case "defaultdeadline":
			if n, err := strconv.Atoi(values[0]); err != nil || n < 1 {
				return errors.New("defaultDeadline must be at least 1 (ms)")
			}
		default:
			return fmt.Errorf("there is no setting %q", name)
		}
		if len(values) != 1 {
			return fmt.Errorf("setting %q is given %d times", name, len(values))
		}
	}
	return nil
}

func (p parts) has(setting string) bool {
	for name := range p.settings {
		if strings.EqualFold(name, setting) {
			return true
		}
	}
	return false
}
