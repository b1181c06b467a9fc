package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// Events is what the handler needs of an event store.
type Events interface {
	eventstore.StreamReader
	eventstore.LogReader
	eventstore.Subscriber
}

// Progress is what the handler needs of a *projections.Runner.
type Progress interface {
	WaitFor(ctx context.Context, position eventstore.Position) error
	Status() projections.Status
}

// Check is a further condition of readiness. Probe answers a short text for people, and an
// error when the condition does not hold; it must honour its context.
type Check struct {
	Name  string
	Probe func(ctx context.Context) (detail string, err error)
}

// Config of a handler. Events, Tokens, Progress and Now are required; a zero value
// elsewhere is the default.
type Config struct {
	Events   Events
	Tokens   activetokens.Reader
	Progress Progress
	Now      func() time.Time
	Checks   []Check

	// Wait is how long min_position waits unless the request says otherwise. Default 5 s.
	Wait time.Duration
	// MaxWait is the longest that a request may ask for. Default 30 s.
	MaxWait time.Duration
	// KeepAlive is the pause between the empty lines of a silent stream. Default 15 s.
	KeepAlive time.Duration
	// WriteTimeout is how long a client may read nothing of a stream. Default 30 s.
	WriteTimeout time.Duration
	// ProbeTimeout is how long a check of readiness may take. Default 2 s.
	ProbeTimeout time.Duration
}

func (c *Config) setDefaults() error {
	var errs []error
	if c.Events == nil || c.Tokens == nil || c.Progress == nil || c.Now == nil {
		errs = append(errs, errors.New("Events, Tokens, Progress and Now are required"))
	}
	for _, check := range c.Checks {
		if check.Name == "" || check.Probe == nil {
			errs = append(errs, errors.New("a check needs a name and a probe"))
		}
	}
	for _, d := range [...]struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.Wait, 5 * time.Second},
		{&c.MaxWait, 30 * time.Second},
		{&c.KeepAlive, 15 * time.Second},
		{&c.WriteTimeout, 30 * time.Second},
		{&c.ProbeTimeout, 2 * time.Second},
	} {
		if *d.value < 0 {
			errs = append(errs, errors.New("a time is negative: leave it out for the default"))
		}
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	return errors.Join(errs...)
}

// Handler answers the routes of this package.
type Handler struct {
	config Config
	mux    *http.ServeMux
}

// NewHandler checks the configuration. It starts nothing.
func NewHandler(config Config) (*Handler, error) {
	if err := config.setDefaults(); err != nil {
		return nil, fmt.Errorf("http api: %w", err)
	}
	h := &Handler{config: config, mux: http.NewServeMux()}
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/v1/tokens":                       h.tokens,
		"/v1/tokens/{session_id}":          h.token,
		"/v1/tokens/{session_id}/timeline": h.timeline,
		"/v1/events":                       h.events,
		"/healthz":                         h.healthz,
		"/readyz":                          h.readyz,
		"/":                                func(http.ResponseWriter, *http.Request) error { return errNoRoute },
	} {
		h.mux.Handle(pattern, route(serve))
	}
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// route is a handler that may answer an error before it has written anything.
type route func(http.ResponseWriter, *http.Request) error

func (f route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		writeProblem(w, errMethod)
		return
	}
	if err := f(w, r); err != nil {
		writeProblem(w, asProblem(r, err))
	}
}
