package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/logoutd/logoutd/projections/activetokens"
)

// DefaultSchema is how the schema of the tables begins when the URL names no search_path (PG4).
const DefaultSchema = "logoutd"

// Config says where the read model is. URL is required; a zero value elsewhere is the default.
type Config struct {
	// URL is postgres://USER:PASSWORD@HOST:PORT/DATABASE, with the parameters of libpq after a
	// question mark: several hosts and target_session_attrs, sslmode, search_path for the beginning of the schema's name (PG4).
	URL string
	// Readers is the number of connections that read at the same time. Default 4.
	Readers int
	// Timeout bounds a batch, and a look at the checkpoint. Default 1 minute.
	Timeout time.Duration
	// TurnEvery is how often one that stands by asks for its turn. Default 500 ms.
	TurnEvery time.Duration
}

// IsURL reports whether a setting names a PostgreSQL server.
func IsURL(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// Redact shows a URL without user, password and parameters, readable or not.
func Redact(rawURL string) string {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	u, err := url.Parse(rawURL)
	if err != nil {
		return scheme + "://[unreadable URL]" // it may hold a password
	}
	u.RawQuery, u.Fragment = "", ""
	if strings.Contains(rest, "@") {
		u.User = url.User("redacted")
	}
	return u.String()
}

// target is a URL that was understood.
type target struct {
	connection *pgx.ConnConfig
	readers    *pgxpool.Config
	schema     string
	location   string
}

// parse reads the URL. The password is taken out first, so that no error of the parser can quote it (PG6).
func parse(rawURL string) (*target, error) {
	u, err := url.Parse(rawURL)
	if err != nil || !IsURL(rawURL) {
		return nil, errors.New("read model: cannot be read as postgres://USER:PASSWORD@HOST:PORT/DATABASE; " +
			"in the password, write % as %25, / as %2F, @ as %40, # as %23, ? as %3F")
	}
	u.RawQuery = strings.ReplaceAll(u.RawQuery, "+", "%2B") // which is itself here, as in libpq
	query := u.Query()
	if query.Has("password") || query.Has("sslpassword") {
		return nil, errors.New("read model: a password belongs before the @ of the URL, or into PGPASSWORD or PGPASSFILE")
	}
	schema := query.Get("search_path")
	if schema == "" {
		schema = DefaultSchema
	}
	schema += "_" + strconv.Itoa(activetokens.Version)
	if len(schema) > 63 || strings.ContainsAny(schema, "\x00,\"") || strings.HasPrefix(schema, "pg_") {
		return nil, errors.New("read model: search_path names one schema, in at most 60 bytes and not pg_…")
	}
	query.Del("search_path")
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	password, hasPassword := u.User.Password()
	if hasPassword {
		u.User = url.User(u.User.Username())
	}
	pool, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if hasPassword {
		pool.ConnConfig.Password = password
	}
	c := pool.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	serverGivesUp(c.RuntimeParams)
	return &target{connection: c, readers: pool, schema: schema, location: locate(c, schema)}, nil
}

// serverGivesUp makes the server let go of a client that has vanished (PG7), within half a minute.
func serverGivesUp(params map[string]string) {
	for name, value := range map[string]string{
		"application_name":                    "logoutd",
		"idle_in_transaction_session_timeout": "30s",
		"idle_session_timeout":                "0", // the turn is an idle session
		"tcp_keepalives_idle":                 "10",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
	} {
		if params[name] == "" {
			params[name] = value
		}
	}
}

func locate(c *pgx.ConnConfig, schema string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + c.Database, Host: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}
	if strings.HasPrefix(c.Host, "/") {
		u.Host, u.RawQuery = "", "host="+c.Host
	}
	return fmt.Sprintf("schema %q of %s", schema, u.String())
}
