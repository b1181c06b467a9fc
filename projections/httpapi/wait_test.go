package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/httpapi"
)

// progress is a runner that stands still.
type progress struct {
	status projections.Status
	err    error // what a wait answers at once, when set
}

func (p *progress) Status() projections.Status { return p.status }

func (p *progress) WaitFor(ctx context.Context, _ eventstore.Position) error {
	if p.err != nil {
		return p.err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestReadsItsOwnLogout(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.Issue("ada", "")
	r.LogOut(f, "ada")
	if got := decode(t, r.get("/v1/tokens/"+f.ID().String()+"?min_position=4").Body).text("status"); got != "revoked" {
		t.Errorf("after waiting for the logout the session is %q", got)
	}
}

func TestWaitsForThePosition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query, prefer, applied string
		wait                   time.Duration
	}{
		"as long as configured":  {wait: 5 * time.Second},
		"as wait_ms says":        {query: "&wait_ms=1500", wait: 1500 * time.Millisecond},
		"not at all":             {query: "&wait_ms=0"},
		"as Prefer says":         {prefer: "Prefer: respond-async, wait=2", applied: "wait=2", wait: 2 * time.Second},
		"no longer than allowed": {prefer: "Prefer: wait=3600", applied: "wait=30", wait: 30 * time.Second},
		"senseless Prefer":       {prefer: "Prefer: wait=soon", wait: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &progress{status: projections.Status{Position: 5}}
			r := newRig(t, func(c *httpapi.Config) { c.Progress = p })
			f := r.Issue("ada", "")
			r.sync()
			synctest.Test(t, func(t *testing.T) {
				for _, route := range []string{"/v1/tokens", "/v1/tokens/" + f.ID().String(), "/v1/tokens/" + f.ID().String() + "/timeline"} {
					began := time.Now()
					answer := r.ask(http.MethodGet, route+"?min_position=7"+c.query, c.prefer)
					o := decode(t, answer.Body)
					if answer.Code != http.StatusServiceUnavailable || o.text("code") != "not_caught_up" || o.text("position") != "5" ||
						o.text("min_position") != "7" || answer.Header().Get("Retry-After") == "" {
						t.Errorf("GET %s: %d %v %v", route, answer.Code, o, answer.Header())
					}
					if took := time.Since(began); took != c.wait {
						t.Errorf("GET %s waited %s, want %s", route, took, c.wait)
					}
					if got := answer.Header().Get("Preference-Applied"); got != c.applied {
						t.Errorf("GET %s: Preference-Applied is %q, want %q", route, got, c.applied)
					}
				}
			})
		})
	}
}

func TestSaysThatTheProjectionHasStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Progress = &progress{err: projections.ErrStopped} })
	r.problem("/v1/tokens?min_position=7", http.StatusServiceUnavailable, "projection_stopped")
}

// What cannot be used is not read, however old the position that is asked for, and neither is a database that fails.
func TestAReadModelThatCannotBeUsedIsNotRead(t *testing.T) {
	t.Parallel()
	unusable := newRig(t, func(c *httpapi.Config) {
		c.Progress = &passed{progress{status: projections.Status{Position: 5, Unusable: errors.New("being rebuilt, 3 of 9")}}}
	})
	f := unusable.Issue("ada", "")
	unusable.sync()
	away := newRig(t, func(c *httpapi.Config) { c.Tokens, c.Progress = failing{}, &passed{} })
	for _, route := range []string{"/v1/tokens", "/v1/tokens/" + f.ID().String(), "/v1/tokens/" + f.ID().String() + "/timeline"} {
		for _, query := range []string{"", "?min_position=1"} {
			if o := unusable.problem(route+query, http.StatusServiceUnavailable, "unavailable"); !strings.Contains(o.text("detail"), "being rebuilt, 3 of 9") {
				t.Errorf("GET %s%s: %v", route, query, o)
			}
		}
		if o := away.problem(route, http.StatusServiceUnavailable, "unavailable"); !strings.Contains(o.text("detail"), "connection refused") {
			t.Errorf("GET %s: %v", route, o)
		}
	}
}

// passed is a runner that has everything.
type passed struct{ progress }

func (*passed) WaitFor(context.Context, eventstore.Position) error { return nil }

// failing is a read model whose database is away.
type failing struct{ activetokens.Reader }

var errAway = errors.New("connection refused")

func (failing) Session(context.Context, refreshtoken.SessionID) (activetokens.Row, eventstore.Position, error) {
	return activetokens.Row{}, 0, errAway
}

func (failing) List(context.Context, activetokens.Query) (activetokens.Page, error) {
	return activetokens.Page{}, errAway
}
