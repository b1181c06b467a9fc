package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens/sqlite"
	"github.com/logoutd/logoutd/projections/httpapi"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the read side over a history, with a real read model.
type rig struct {
	*testing.T
	*memstoretest.History
	store   *memstoretest.Store
	handler *httpapi.Handler
	runner  *projections.Runner
	now     atomic.Pointer[time.Time] // the runner reads it all the time
}

// newRig starts a runner that lives as long as the test.
func newRig(t *testing.T, change func(*httpapi.Config)) *rig {
	t.Helper()
	r := &rig{T: t, store: memstoretest.New()}
	r.setClock(memstoretest.Epoch)
	r.History = memstoretest.NewHistory(t, r.store)
	model, err := sqlite.New(sqlite.Config{Path: filepath.Join(t.TempDir(), "read.db")})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	now := func() time.Time { return *r.now.Load() }
	if r.runner, err = projections.NewRunner(projections.Config{Source: r.store, Projection: model, Now: now}); err != nil {
		t.Fatalf("new runner: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := model.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	config := httpapi.Config{Events: r.store, Tokens: model, Progress: r.runner, Now: now}
	if change != nil {
		change(&config)
	}
	if r.handler, err = httpapi.NewHandler(config); err != nil {
		t.Fatalf("new handler: %v", err)
	}
	return r
}

func (r *rig) setClock(now time.Time) { r.now.Store(&now) }

// sync waits until the read model has everything.
func (r *rig) sync() {
	r.Helper()
	head, _ := r.store.Head(context.Background()) //nolint:errcheck // it is well
	if err := r.runner.WaitFor(context.Background(), head); err != nil {
		r.Fatalf("wait for %s: %v", head, err)
	}
}

// ask makes one request; header is "Name: value" pairs.
func (r *rig) ask(method, path string, header ...string) *httptest.ResponseRecorder {
	r.Helper()
	request := httptest.NewRequest(method, path, http.NoBody)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Add(name, value)
	}
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, request)
	return answer
}

func (r *rig) get(path string) *httptest.ResponseRecorder {
	r.Helper()
	return r.ask(http.MethodGet, path)
}

// object is a JSON object as a client without types sees it.
type object map[string]any

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

func decode(tb testing.TB, body io.Reader) object {
	tb.Helper()
	var o object
	if err := json.NewDecoder(body).Decode(&o); err != nil {
		tb.Fatalf("body: %v", err)
	}
	return o
}

// problem makes a request that must fail, and answers the document.
func (r *rig) problem(path string, status int, code string) object {
	r.Helper()
	answer := r.get(path)
	o := decode(r, answer.Body)
	if answer.Code != status || o.text("code") != code || answer.Header().Get("Content-Type") != "application/problem+json" {
		r.Errorf("GET %s: %d %s %v, want %d %s", path, answer.Code, answer.Header().Get("Content-Type"), o, status, code)
	}
	return o
}

// pipes is a network in memory without buffers, so that a client that does not read is felt at once.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.gone) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.gone:
		return nil, errors.New("refused")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// serve runs a server over pipes; stop ends it and waits.
func serve(tb testing.TB, handler http.Handler, grace time.Duration) (client *http.Client, stop func()) {
	tb.Helper()
	network := newPipes()
	server, err := httpapi.NewServer(httpapi.ServerConfig{Listener: network, Handler: handler, Grace: grace})
	if err != nil {
		tb.Fatalf("new server: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	transport := &http.Transport{DialContext: network.dial, DisableCompression: true}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				tb.Errorf("server: %v", err)
			}
			transport.CloseIdleConnections()
		})
	}
	tb.Cleanup(stop)
	return &http.Client{Transport: transport}, stop
}

// stream opens an NDJSON body.
func stream(tb testing.TB, client *http.Client, path string) (lines *bufio.Scanner, leave func()) {
	tb.Helper()
	answer, err := client.Get("http://logoutd" + path)
	if err != nil {
		tb.Fatalf("GET %s: %v", path, err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/x-ndjson" {
		tb.Fatalf("GET %s: %s %v", path, answer.Status, answer.Header)
	}
	return bufio.NewScanner(answer.Body), func() { _ = answer.Body.Close() } //nolint:errcheck // left on purpose
}
