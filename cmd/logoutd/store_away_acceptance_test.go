package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// storeSide is a logoutd that serves its events to another one, and can be killed and started again
// where it was.
type storeSide struct {
	t       *testing.T
	data    string
	address string
	process *process
}

func startStoreSide(t *testing.T) *storeSide {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &storeSide{t: t, data: t.TempDir(), address: free.Addr().String()}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

func (s *storeSide) start() {
	s.t.Helper()
	s.process = startProcess(s.t, s.data, "--esdb-listen", s.address, "--esdb-allow-append")
}

func (s *storeSide) url() string { return "esdb://" + s.address + "?tls=false" }

// TestKillMinusNineOfTheStoreLosesNothing kills the store under a loaded logoutd 20 times. Whoever was not
// answered a success repeats his command, as a caller would; in the end every command has left its
// events once and whole, and logoutd was never restarted.
func TestKillMinusNineOfTheStoreLosesNothing(t *testing.T) {
	t.Parallel()
	const kills = 20
	store := startStoreSide(t)
	s := startServer(t, t.TempDir(), "--store", store.url(), "--key-file", filepath.Join(store.data, "keys"), "--esdb-listen", "")
	l := startLoad(t, s, 8)
	for range kills {
		// Some commands go through before the next kill, which then finds others on the way.
		l.await(1 + rand.Int64N(40))
		store.process.kill()
		store.start()
	}
	l.await(1)
	acks := l.stop()
	t.Logf("%d logouts over %d kills of the store; %d replies were no success and were repeated", len(acks), kills, l.repeats.Load())
	checkExactly(t, s, acks)
}

// TestTheStoreAwayUnderLoad takes the store away for a while: commands are answered 503 at once, or
// wait; /readyz says what is wrong; and once the store is back everything goes on by itself.
// LOGOUTD_STORE_AWAY makes it longer.
func TestTheStoreAwayUnderLoad(t *testing.T) {
	t.Parallel()
	away := 3 * time.Second
	if d, err := time.ParseDuration(os.Getenv("LOGOUTD_STORE_AWAY")); err == nil {
		away = d
	}
	store := startStoreSide(t)
	s := startServer(t, t.TempDir(), "--store", store.url(), "--key-file", filepath.Join(store.data, "keys"), "--esdb-listen", "")
	l := startLoad(t, s, 8)
	l.await(20)
	store.process.kill()
	gone := time.Now()
	status, body := s.readiness()
	for ; status == http.StatusOK && time.Since(gone) < 30*time.Second; status, body = s.readiness() {
		<-time.After(20 * time.Millisecond)
	}
	if status != http.StatusServiceUnavailable || !strings.Contains(body, store.address) {
		t.Errorf("while the store is away /readyz answers %d: %s", status, body)
	}
	<-time.After(time.Until(gone.Add(away)))
	store.start()
	l.await(20)
	acks := l.stop()
	t.Logf("%d logouts; %d replies were no success while the store was away for %s", len(acks), l.repeats.Load(), away)
	checkExactly(t, s, acks)
	for gone = time.Now(); ; <-time.After(20 * time.Millisecond) {
		if status, body = s.readiness(); status == http.StatusOK {
			return
		}
		if time.Since(gone) > 30*time.Second {
			t.Fatalf("the store is back and /readyz answers %d: %s", status, body)
		}
	}
}

func (s *server) readiness() (status int, body string) {
	s.t.Helper()
	return s.ask("/readyz")
}

func (s *server) ask(path string) (status int, body string) {
	s.t.Helper()
	response, err := http.Get("http://" + s.HTTP + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// checkExactly demands that the log holds the events of these logouts and of their sessions, and nothing else.
func checkExactly(t *testing.T, s *server, acks []ack) {
	t.Helper()
	if len(acks) == 0 {
		t.Fatal("no logout was acknowledged: nothing was tested")
	}
	checkAcknowledged(t, s, acks, false)
	if n := len(s.events(nil)); n != 4*len(acks) {
		t.Errorf("%d events of %d sessions that were opened and ended, want %d", n, len(acks), 4*len(acks))
	}
}

// load opens and ends sessions, one after the other in each of its lanes, and repeats what was
// not answered with a success until it is.
type load struct {
	t       *testing.T
	done    atomic.Int64 // logouts
	repeats atomic.Int64
	ended   chan struct{}
	lanes   sync.WaitGroup

	mu   sync.Mutex
	acks []ack
}

func startLoad(t *testing.T, s *server, lanes int) *load {
	t.Helper()
	l := &load{t: t, ended: make(chan struct{})}
	for lane := range lanes {
		conn, err := nats.Connect(s.NATS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		l.lanes.Go(func() {
			own := server{t: t, conn: conn}
			for n := 0; ; n++ {
				select {
				case <-l.ended:
					return
				default:
				}
				if !l.session(&own, fmt.Sprintf("user-%d-%d", lane, n)) {
					return
				}
			}
		})
	}
	return l
}

// session opens one and ends it. It is false when that is hopeless.
func (l *load) session(s *server, user string) bool {
	var opened issued
	var closed loggedOut
	command := newID()
	if !l.insist(s, natsapi.VerbIssueRefreshToken, map[string]any{"command_id": newID(), "user_id": user}, &opened) ||
		!l.insist(s, natsapi.VerbLogoutUser, logoutFields(command, user, opened.RefreshToken), &closed) {
		return false
	}
	l.mu.Lock()
	l.acks = append(l.acks, ack{command, opened.SessionID, closed.Position})
	l.mu.Unlock()
	l.done.Add(1)
	return true
}

// insist sends a command, under one id, until it succeeds.
func (l *load) insist(s *server, verb string, fields map[string]any, into any) bool {
	payload := mustJSON(fields)
	for start := time.Now(); time.Since(start) < 2*time.Minute; {
		r, err := s.request(verb, payload)
		switch {
		case err == nil && r.status == "":
			if err := json.Unmarshal(r.body, into); err != nil {
				l.t.Errorf("%s: %v", verb, err)
				return false
			}
			return true
		case err == nil && r.status != "503" && r.status != "504":
			l.t.Errorf("%s answers %s %s", verb, r.status, r.body)
			return false
		}
		l.repeats.Add(1)
		<-time.After(20 * time.Millisecond)
	}
	l.t.Errorf("%s did not succeed within two minutes", verb)
	return false
}

// await returns when n more logouts have succeeded.
func (l *load) await(n int64) {
	l.t.Helper()
	target := l.done.Load() + n
	for start := time.Now(); l.done.Load() < target; <-time.After(time.Millisecond) {
		if time.Since(start) > 2*time.Minute {
			l.t.Fatalf("%d logouts, waiting for %d", l.done.Load(), target)
		}
	}
}

// stop lets every lane finish what it has begun.
func (l *load) stop() []ack {
	close(l.ended)
	l.lanes.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks
}
