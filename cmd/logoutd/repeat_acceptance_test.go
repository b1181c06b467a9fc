package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// TestNEW3EachCommandDeliveredTenTimes: 1 000 commands, each delivered 10 times, shuffled, over
// 32 connections, leave exactly one terminal event each, and all their replies are equal.
func TestNEW3EachCommandDeliveredTenTimes(t *testing.T) {
	t.Parallel()
	inEveryWorld(t, eachCommandDeliveredTenTimes)
}

func eachCommandDeliveredTenTimes(t *testing.T, w *world) {
	const commands, times, connections = 1000, 10, 32
	s := w.start(t, t.TempDir())
	payloads := make([][]byte, commands)
	ids := make([]string, commands)
	for i := range payloads {
		user, token := fmt.Sprintf("user-%d", i), strings.Repeat("unknown", 4)
		if i%4 != 0 { // a quarter is refused
			_, token = s.token(user)
		}
		ids[i] = newID()
		payloads[i] = mustJSON(logoutFields(ids[i], user, token))
	}
	deliveries := make([]int, 0, commands*times)
	for i := range commands * times {
		deliveries = append(deliveries, i%commands)
	}
	rand.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })

	replies := make([][]string, commands)
	var mu sync.Mutex
	var all sync.WaitGroup
	for c := range connections {
		conn, err := nats.Connect(s.NATS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		all.Go(func() {
			own := server{addresses: s.addresses, t: t, conn: conn}
			for n := c; n < len(deliveries); n += connections {
				r, err := own.request(natsapi.VerbLogoutUser, payloads[deliveries[n]])
				if err != nil {
					t.Errorf("delivery %d: %v", n, err)
					return
				}
				mu.Lock()
				replies[deliveries[n]] = append(replies[deliveries[n]], r.status+string(r.body))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	terminal := terminalEvents(t, s)
	for i, id := range ids {
		if len(replies[i]) != times {
			t.Fatalf("command %d: %d replies, want %d", i, len(replies[i]), times)
		}
		for _, r := range replies[i] {
			if r != replies[i][0] {
				t.Errorf("command %d: replies differ: %s and %s", i, replies[i][0], r)
			}
		}
		want := "UserLogoutSucceeded"
		if i%4 == 0 {
			want = "UserLogoutFailed"
		}
		if got := strings.Join(terminal[id], " "); got != want {
			t.Errorf("command %d left %q, want one %s", i, got, want)
		}
	}
}

// terminalEvents groups the types of the events that close a logout by command.
func terminalEvents(t *testing.T, s *server) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, e := range s.events(url.Values{"type": {"UserLogoutSucceeded,UserLogoutFailed"}}) {
		id := metadataOf(t, e)["command_id"].(string)
		out[id] = append(out[id], e.Type)
	}
	return out
}

// TestNEW4TwoHundredLogoutsOfOneToken: one wins, 199 find the token revoked.
func TestNEW4TwoHundredLogoutsOfOneToken(t *testing.T) {
	t.Parallel()
	inEveryWorld(t, twoHundredLogoutsOfOneToken)
}

func twoHundredLogoutsOfOneToken(t *testing.T, w *world) {
	const rivals = 200
	s := w.start(t, t.TempDir())
	session, token := s.token("alice")
	var all sync.WaitGroup
	for range rivals {
		all.Go(func() {
			r, err := s.request(natsapi.VerbLogoutUser, mustJSON(logoutFields(newID(), "alice", token)))
			if err != nil || r.status != "" {
				t.Errorf("status %q: %v", r.status, err)
			}
		})
	}
	all.Wait()
	family := typesOf(s.events(url.Values{"stream": {"refreshToken-" + session}}))
	if want := "RefreshTokenIssued UserLogoutAttempted TokenRevoked UserLogoutSucceeded"; family != want {
		t.Errorf("family has %s, want %s", family, want)
	}
	revoked := 0
	for _, e := range s.events(url.Values{"type": {"UserLogoutFailed"}}) {
		if strings.Contains(string(e.Data), `"token_already_revoked"`) {
			revoked++
		}
	}
	if revoked != rivals-1 {
		t.Errorf("%d found the token revoked, want %d", revoked, rivals-1)
	}
}
