package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// endpoint is what the group delivers to. It accepts everything, but for the users named here.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	accepted map[string][]string // by event id: the names of those whose delivery was accepted, in order
	tries    map[string]int      // by event id, whatever the answer
	hold     string              // who gets no answer
	held     chan string         // the ids that are held
	away     bool
	asked    int // how often whether it is back
}

const (
	unwelcome = "unwelcome" // a user whose events are refused
	flaky     = "flaky"     // a user whose events fail twice before they are accepted
	hopeless  = "hopeless"  // a user whose events always fail
)

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{accepted: map[string][]string{}, tries: map[string]int{}, held: make(chan string, 1)}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var posted struct {
		ID   string
		Data struct {
			UserID string `json:"user_id"`
		}
	}
	err := json.NewDecoder(r.Body).Decode(&posted)
	if name := r.UserAgent(); e.holds(name) {
		e.held <- posted.ID
		<-r.Context().Done() // until it is killed
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := r.Header.Get("Idempotency-Key")
	switch {
	case e.away:
		if r.Method == http.MethodHead {
			e.asked++
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodHead: // only asks whether anybody is there
	case err != nil || posted.ID != id || id == "":
		w.WriteHeader(http.StatusNotImplemented)
	default:
		e.tries[id]++
		e.answer(w, posted.Data.UserID, id, r.UserAgent())
	}
}

// holds says, once, whether a delivery is to be held.
func (e *endpoint) holds(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if name != e.hold {
		return false
	}
	e.hold = ""
	return true
}

func (e *endpoint) answer(w http.ResponseWriter, user, id, name string) {
	switch {
	case user == unwelcome:
		w.WriteHeader(http.StatusUnprocessableEntity)
	case user == hopeless, user == flaky && e.tries[id] <= 2:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		e.accepted[id] = append(e.accepted[id], name)
	}
}

// has tells whether every one of the events was accepted.
func (e *endpoint) has(events []event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !slices.ContainsFunc(events, func(ev event) bool { return len(e.accepted[ev.ID]) == 0 })
}

func (e *endpoint) told() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("%d events accepted", len(e.accepted))
}

// byName counts the accepted deliveries of each process.
func (e *endpoint) byName() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	count := map[string]int{}
	for _, names := range e.accepted {
		for _, name := range names {
			count[name]++
		}
	}
	return count
}

func (e *endpoint) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// member starts one process of the group.
func member(t *testing.T, binary, connection string, e *endpoint, name string) *running {
	t.Helper()
	r := startProgram(t, "", binary, "--connection", connection, "--endpoint", e.URL, "--name", name,
		"--group", "acceptance", "--stream-prefix", "refreshToken-,userLogout-")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %s", name, r.stderr.String())
		}
	})
	return r
}

// deliverable are the events that the endpoint accepts, sooner or later.
func deliverable(s *server) []event {
	return filtered(s.events(url.Values{}), func(e event) bool {
		var data struct {
			UserID string `json:"user_id"`
		}
		return json.Unmarshal(e.Data, &data) == nil && data.UserID != unwelcome && data.UserID != hopeless
	})
}

// TestGroupDeliversEverything shares the record among three processes. Undisturbed each event is delivered
// once; when one of them or the server is killed, at least once.
func TestGroupDeliversEverything(t *testing.T) {
	t.Parallel()
	binary, data, address, e := built(t, "group"), t.TempDir(), fixedPort(t), newEndpoint(t)
	p := startProcess(t, data, "--esdb-listen", address, "--esdb-allow-append") // to create the group
	sessions(t, &p.server, 40)
	members := map[string]*running{}
	for _, name := range []string{"one", "two", "three"} {
		members[name] = member(t, binary, p.ESDB, e, name)
	}
	eventually(t, "delivered what was there", func() bool { return e.has(deliverable(&p.server)) }, e.told)
	eventually(t, "had all three at work", func() bool {
		sessions(t, &p.server, 1) // live
		return len(e.byName()) == len(members)
	}, e.told)
	p.token(unwelcome)
	p.token(flaky)
	p.token(hopeless)
	eventually(t, "delivered what came live", func() bool { return e.has(deliverable(&p.server)) }, e.told)
	checkOnce(t, e, deliverable(&p.server))
	checkParked(t, e, &p.server)

	t.Log("one is killed with an event in its hands")
	e.set(func() { e.hold = "one" })
	stop := p.load(t)
	id := <-e.held
	members["one"].kill()
	stop()
	eventually(t, "delivered what the dead one had", func() bool { return e.has(deliverable(&p.server)) }, e.told)
	e.set(func() {
		if names := e.accepted[id]; len(names) != 1 || names[0] == "one" {
			t.Errorf("the event in the hands of the dead one was accepted from %v", names)
		}
		for id, names := range e.accepted {
			if len(names) > 1 && !slices.Contains(names, "one") {
				t.Errorf("event %s was accepted from %v, who both live", id, names)
			}
		}
	})

	t.Log("the endpoint is away, then the server is killed")
	e.set(func() { e.away = true })
	p.load(t)
	eventually(t, "asked whether the endpoint is back", func() (often bool) {
		e.set(func() { often = e.asked >= 4 })
		return often
	}, e.told)
	p.kill()
	e.set(func() { e.away = false })
	p = startProcess(t, data, "--esdb-listen", address) // which the group, once created, does without
	sessions(t, &p.server, 20)
	eventually(t, "delivered everything", func() bool { return e.has(deliverable(&p.server)) }, e.told)
	if n := parked(&p.server); n != 2 {
		t.Errorf("%d events are parked, not the two that nobody takes", n)
	}
	members["two"].terminate()
	members["three"].terminate()
}

// sessions opens sessions, ends them, and has one logout refused for each.
func sessions(t *testing.T, s *server, n int) {
	t.Helper()
	for i := range n {
		user := fmt.Sprint("user-", i)
		_, token := s.token(user)
		s.logout(newID(), user, token)
		s.logout(newID(), "mallory", token)
	}
}

// checkOnce sees that nothing was delivered twice.
func checkOnce(t *testing.T, e *endpoint, events []event) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.accepted) != len(events) || len(events) == 0 {
		t.Errorf("%d events were accepted of %d", len(e.accepted), len(events))
	}
	for id, names := range e.accepted {
		if len(names) != 1 {
			t.Errorf("event %s was accepted %d times, from %v", id, len(names), names)
		}
	}
}

// checkParked sees that what is refused is tried once, and what fails, as often as it should.
func checkParked(t *testing.T, e *endpoint, s *server) {
	t.Helper()
	for user, want := range map[string]int{unwelcome: 1, flaky: 3, hopeless: 8} {
		events := s.events(url.Values{"user_id": {user}})
		if len(events) != 1 {
			t.Fatalf("%s has %d events", user, len(events))
		}
		tries := func() int {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.tries[events[0].ID]
		}
		eventually(t, fmt.Sprintf("tried the event of %s %d times", user, want), func() bool { return tries() >= want }, e.told)
		if got := tries(); got != want {
			t.Errorf("the event of %s was tried %d times, not %d", user, got, want)
		}
	}
	eventually(t, "parked two events", func() bool { return parked(s) == 2 }, e.told)
}

// parked counts what the server has put aside.
func parked(s *server) int {
	return len(filtered(s.events(url.Values{"stream": {"$persistentsubscription-*"}}), func(e event) bool {
		return strings.HasSuffix(e.Stream, "-parked")
	}))
}
