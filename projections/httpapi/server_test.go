package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/httpapi"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func TestStopWaitsForAnswersUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(5 * time.Second):
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		for grace, finishes := range map[time.Duration]bool{6 * time.Second: true, 4 * time.Second: false} {
			client, stop := serve(t, http.HandlerFunc(slow), grace)
			answered := make(chan error, 1)
			go func() {
				answer, err := client.Get("http://logoutd/")
				if err == nil {
					err = answer.Body.Close()
				}
				answered <- err
			}()
			synctest.Wait()
			stop()
			if err := <-answered; (err == nil) != finishes {
				t.Errorf("with a grace of %s an answer that takes 5 s: %v", grace, err)
			}
		}
	})
}

// Whoever stops the server closes what handlers read from next.
func TestStopOutlastsEveryHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		client, stop := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(5 * time.Second)
			ended.Store(true)
		}), time.Second)
		broken := make(chan error, 1)
		go func() {
			_, err := client.Get("http://logoutd/") //nolint:bodyclose // there is none
			broken <- err
		}()
		synctest.Wait()
		stop()
		if !ended.Load() {
			t.Error("stopped while a handler was running")
		}
		if err := <-broken; err == nil {
			t.Error("an answer after the grace")
		}
	})
}

func TestServerReportsABrokenListener(t *testing.T) {
	t.Parallel()
	network := newPipes()
	server, err := httpapi.NewServer(httpapi.ServerConfig{Listener: network, Handler: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	if err := network.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.Run(context.Background()); err == nil {
		t.Error("a server without a listener ran")
	}
}

func TestRefusesAnIncompleteConfig(t *testing.T) {
	t.Parallel()
	if _, err := httpapi.NewHandler(httpapi.Config{}); err == nil {
		t.Error("a handler without anything behind it")
	}
	if _, err := httpapi.NewServer(httpapi.ServerConfig{}); err == nil {
		t.Error("a server without a listener")
	}
}

// model is a read model of which only the damage can be asked.
type model struct {
	activetokens.Reader
	err error
}

func (m model) Damage(context.Context) (activetokens.Damage, error) {
	return activetokens.Damage{}, m.err
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	well := projections.Status{
		Projection: projections.Description{Name: "activetokens", Version: 1}, Running: true, Healthy: true, Position: 1, Head: 1,
	}
	with := func(change func(*projections.Status)) projections.Status {
		s := well
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		status projections.Status
		store  error
		model  error
		nats   error
		fails  string
	}{
		"all is well":               {status: well},
		"behind but moving":         {status: with(func(s *projections.Status) { s.Head, s.Lag = 9999, 9998 })},
		"in passing trouble":        {status: with(func(s *projections.Status) { s.Err = errors.New("disk full") })},
		"projection not started":    {status: with(func(s *projections.Status) { s.Unusable = errors.New("not open yet") }), fails: "projection"},
		"projection stopped":        {status: with(func(s *projections.Status) { s.Healthy, s.Err = false, projections.ErrGap }), fails: "projection"},
		"projection stalled":        {status: with(func(s *projections.Status) { s.Healthy = false }), fails: "projection"},
		"read model not readable":   {status: well, model: errors.New("connection refused"), fails: "projection"},
		"event store not available": {status: well, store: eventstore.ErrUnavailable, fails: "event_store"},
		"a check of the caller":     {status: well, nats: errors.New("disconnected"), fails: "nats"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memstoretest.New()
			memstoretest.NewHistory(t, store).Other("a")
			store.Fail(c.store)
			h, err := httpapi.NewHandler(httpapi.Config{
				Events: store, Tokens: model{err: c.model}, Progress: &progress{status: c.status}, Now: time.Now,
				Checks: []httpapi.Check{{Name: "nats", Probe: func(context.Context) (string, error) { return "nats://127.0.0.1", c.nats }}},
			})
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{T: t, handler: h}
			answer := r.get("/readyz")
			o := decode(t, answer.Body)
			var failed []string
			checks, _ := o["checks"].([]any)
			for _, each := range checks {
				fields, _ := each.(map[string]any)
				if ok, _ := fields["ok"].(bool); !ok {
					failed = append(failed, object(fields).text("name"))
				}
			}
			want := http.StatusOK
			if c.fails != "" {
				want = http.StatusServiceUnavailable
			}
			if answer.Code != want || strings.Join(failed, " ") != c.fails || len(checks) != 3 || o.text("head") == "" {
				t.Errorf("GET /readyz: %d %v", answer.Code, o)
			}
			if alive := r.get("/healthz"); alive.Code != http.StatusOK {
				t.Errorf("GET /healthz: %d", alive.Code)
			}
		})
	}
}
