package natsapi_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/natsapi"
)

// TestAFloodOfOneIsUnavailableAndNobodyElse: of 80 places one token, user or client has ten.
func TestAFloodOfOneIsUnavailableAndNobodyElse(t *testing.T) {
	t.Parallel()
	from := func(user, token, address string) string {
		return strings.TrimSuffix(logoutOf(user, token), "}") + `,"client":{"ip_address":"` + address + `"}}`
	}
	for name, next := range map[string]func(n int) string{
		"token": func(n int) string {
			return from(fmt.Sprint("user ", n), "one token, unknown", fmt.Sprintf("192.0.2.%d", n))
		},
		"user": func(n int) string {
			return from("mallory", fmt.Sprint("unknown token ", n), fmt.Sprintf("192.0.2.%d", n))
		},
		"client": func(n int) string { return from(fmt.Sprint("user ", n), fmt.Sprint("unknown token ", n), "192.0.2.1") },
	} {
		h, hold := holding(80)
		d := newDesk(t, hold)
		replies := d.inbox()
		for n := range 11 {
			d.send(natsapi.VerbLogoutUser, next(n))
		}
		m := received(t, replies) // nothing else gets a reply while all are held
		a := wantError(t, m, "503", "unavailable", "")
		if !strings.Contains(a.Message, "token, user or client") || a.RetryAfterMS <= 0 || !strings.Contains(string(m.Data), a.CommandID) {
			t.Errorf("%s: %s", name, m.Data)
		}
		d.issue("somebody else")
		close(h.release)
		for range 10 {
			if m := received(t, replies); read(t, m).status != "" {
				t.Errorf("%s: %s", name, m.Data)
			}
		}
		d.mustAsk(natsapi.VerbLogoutUser, next(12)) // there is room again
	}
}

// received is the next reply.
func received(t testing.TB, replies <-chan *nats.Msg) *nats.Msg {
	t.Helper()
	select {
	case m := <-replies:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no reply")
		return nil
	}
}

// TestAPanicGivesItsPlaceBack: a token that has ten places can panic more often.
func TestAPanicGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(_ *desk, c *natsapi.Config) { _, hold := holding(80); hold(nil, c) }, failingWith(nil))
	for range 25 {
		wantError(t, d.ask(natsapi.VerbLogoutUser, logoutOf("alice", "one token, unknown")), "500", "internal", "")
	}
}

func TestTheTokensOfOneSessionRunInOrder(t *testing.T) {
	t.Parallel()
	h, hold := holding(1000)
	d := newDesk(t, hold)
	session, err := refreshtoken.ParseSessionID(d.issue("alice").SessionID)
	if err != nil {
		t.Fatal(err)
	}
	replies := d.inbox()
	const generations = 20
	var want []string
	for g := range uint32(generations) {
		token, err := d.ring.Mint(d.ring.ActiveID(), session, g)
		if err != nil {
			t.Fatal(err)
		}
		payload := logoutOf("alice", token.Reveal())
		want = append(want, payload)
		d.send(natsapi.VerbLogoutUser, payload)
	}
	for d.queue.Pending() < generations {
		runtime.Gosched()
	}
	for _, payload := range want {
		if id := <-h.entered; !strings.Contains(payload, id) || len(h.entered) != 0 {
			close(h.release)
			t.Fatal("a command did not wait for the one before it on the same session")
		}
		h.release <- struct{}{}
		<-replies
	}
}
