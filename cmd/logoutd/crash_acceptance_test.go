package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// ack is a logout that was acknowledged.
type ack struct{ command, session, position string }

// TestKillMinusNineLosesNothing kills a loaded logoutd ten times, each time at another moment. After every
// restart each acknowledged logout is there once and whole, and the read model, which went on
// from its own checkpoint, equals one that is built from nothing.
func TestKillMinusNineLosesNothing(t *testing.T) {
	t.Parallel()
	inEveryWorld(t, killsLoseNothing)
}

func killsLoseNothing(t *testing.T, w *world) {
	const kills = 10
	data := t.TempDir()
	var acks []ack
	for n := range kills {
		p := w.startProcess(t, data)
		acks = append(acks, loadUntilKilled(t, p, n)...)
	}
	if len(acks) == 0 {
		t.Fatal("no logout was acknowledged before any kill: nothing was tested")
	}
	t.Logf("%d acknowledged logouts over %d kills", len(acks), kills)
	s := w.start(t, data)
	checkAcknowledged(t, s, acks, w.gapless())
	live := dumpReadModel(t, s)
	s.stop()
	for _, file := range must(filepath.Glob(filepath.Join(data, "readmodel.db*"))) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if rebuilt := dumpReadModel(t, w.start(t, data)); !bytes.Equal(live, rebuilt) {
		t.Errorf("the read model that lived through the kills differs from a rebuilt one: %d and %d bytes", len(live), len(rebuilt))
	}
}

// loadUntilKilled logs users out over 8 connections until the process dies under them.
func loadUntilKilled(t *testing.T, p *process, round int) []ack {
	t.Helper()
	const connections = 8
	var mu sync.Mutex
	var acks []ack
	var all sync.WaitGroup
	for c := range connections {
		conn, err := nats.Connect(p.NATS, nats.MaxReconnects(0))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		all.Go(func() {
			own := server{t: t, conn: conn}
			for i := 0; ; i++ {
				a, err := own.issueAndLogout(fmt.Sprintf("user-%d-%d-%d", round, c, i))
				if err != nil {
					return // the kill; everything before it is acknowledged
				}
				mu.Lock()
				acks = append(acks, a)
				mu.Unlock()
			}
		})
	}
	// Another moment each time: from the first commands to some thousands in.
	time.AfterFunc(time.Duration(20+40*round+rand.IntN(40))*time.Millisecond, p.kill)
	all.Wait()
	return acks
}

func (s *server) issueAndLogout(user string) (ack, error) {
	opened, err := s.request(natsapi.VerbIssueRefreshToken, mustJSON(map[string]any{"user_id": user}))
	if err != nil {
		return ack{}, err
	}
	var token issued
	if err := json.Unmarshal(opened.body, &token); err != nil || opened.status != "" {
		return ack{}, fmt.Errorf("issue: status %s %w", opened.status, err)
	}
	command := newID()
	closed, err := s.request(natsapi.VerbLogoutUser, mustJSON(logoutFields(command, user, token.RefreshToken)))
	if err != nil {
		return ack{}, err
	}
	var out loggedOut
	if err := json.Unmarshal(closed.body, &out); err != nil || closed.status != "" {
		return ack{}, fmt.Errorf("logout: status %s %w", closed.status, err)
	}
	return ack{command, token.SessionID, out.Position}, nil
}

// checkAcknowledged reads the whole log once and holds every acknowledgement against it.
func checkAcknowledged(t *testing.T, s *server, acks []ack, gapless bool) {
	t.Helper()
	ofCommand := map[string][]event{}
	next := uint64(2) // the first is the announcement of the key
	for _, e := range s.events(url.Values{}) {
		if gapless && e.Position != fmt.Sprint(next) {
			t.Fatalf("position %s where %d is due: the log has a gap", e.Position, next)
		}
		next++
		id := metadataOf(t, e)["command_id"].(string)
		ofCommand[id] = append(ofCommand[id], e)
	}
	for _, a := range acks {
		events := ofCommand[a.command]
		if got := typesOf(events); got != "UserLogoutAttempted TokenRevoked UserLogoutSucceeded" {
			t.Errorf("acknowledged logout left %q", got)
			continue
		}
		if last := events[2]; last.Position != a.position || last.Stream != "refreshToken-"+a.session {
			t.Errorf("acknowledged at %s, recorded at %s in %s", a.position, last.Position, last.Stream)
		}
	}
	for id, events := range ofCommand { // also those that nobody was told of: whole or not at all
		if got := typesOf(events); got != "RefreshTokenIssued" && got != "UserLogoutAttempted TokenRevoked UserLogoutSucceeded" {
			t.Errorf("command %s left half a record: %s", id, got)
		}
	}
}

// dumpReadModel reads every session, in pages, once the read model shows the whole log.
func dumpReadModel(t *testing.T, s *server) []byte {
	t.Helper()
	var dump bytes.Buffer
	events := s.events(url.Values{"type": {"RefreshTokenIssued,UserLogoutSucceeded,UserLogoutFailed"}})
	query := url.Values{"status": {"all"}, "limit": {"1000"}, "min_position": {events[len(events)-1].Position}}
	for {
		var page struct {
			Tokens     []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal(s.get("/v1/tokens", query), &page); err != nil {
			t.Fatal(err)
		}
		for _, token := range page.Tokens {
			dump.Write(token)
			dump.WriteByte('\n')
		}
		if page.NextCursor == "" {
			break
		}
		query.Set("cursor", page.NextCursor)
	}
	if sessions := strings.Count(typesOf(events), "RefreshTokenIssued"); bytes.Count(dump.Bytes(), []byte("\n")) != sessions {
		t.Fatalf("the read model has %d sessions, the log %d", bytes.Count(dump.Bytes(), []byte("\n")), sessions)
	}
	return dump.Bytes()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
