package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// TestARollingRotationOverThreeProcesses runs three logoutd on one event store, each with a key file of its own,
// and follows docs/deployment.md: a key is added, its file copied to one host after the other, promoted, and
// copied again. Meanwhile each session is opened at one process and ended at another, and each foreign token is
// registered at two of them at once.
func TestARollingRotationOverThreeProcesses(t *testing.T) {
	t.Parallel()
	storeData := t.TempDir()
	store := startServer(t, storeData, "--esdb-allow-append")
	files := []string{filepath.Join(storeData, "keys")}
	var processes []*process
	for range 3 {
		data := t.TempDir()
		files = append(files, filepath.Join(data, "keys"))
		copyFile(t, files[0], files[len(files)-1])
		processes = append(processes, startProcess(t, data, "--store", store.ESDB, "--esdb-listen", "", "--reply-floor", "1ms"))
	}
	r := &rotation{t: t, processes: processes, calm: make(chan struct{})}
	var lanes sync.WaitGroup
	for lane := range 4 {
		lanes.Go(func() { r.lane(lane) })
	}
	for range 2 {
		for _, step := range []string{"add", "promote"} {
			if code, _, stderr := cli("keys", step, "--key-file", files[0]); code != exitOK {
				t.Fatal(stderr)
			}
			for i, file := range files {
				if i > 0 {
					copyFile(t, files[0], file)
					r.awaitKeys(&processes[i-1].server, file)
				}
				r.await(10) // some commands meet files that differ
			}
		}
	}
	close(r.calm)
	lanes.Wait()
	r.verdict(store)
}

type rotation struct {
	t         *testing.T
	processes []*process
	calm      chan struct{}
	tried     atomic.Int64
	rounds    atomic.Int64
}

// await lets n more commands be sent, whatever becomes of them.
func (r *rotation) await(n int64) {
	for until := r.tried.Load() + n; r.tried.Load() < until && !r.t.Failed(); <-time.After(time.Millisecond) {
	}
}

// awaitKeys returns when a process has read its key file.
func (r *rotation) awaitKeys(s *server, file string) {
	want := ringIn(r.t, file)
	for ; !r.t.Failed(); <-time.After(10 * time.Millisecond) {
		_, ready := s.readiness()
		if strings.Contains(ready, "key "+want.ActiveID()+" is active") && strings.Contains(ready, want.Keys()[len(want.Keys())-1].ID) {
			return
		}
	}
}

func (r *rotation) lane(lane int) {
	for n := 0; ; n++ {
		select {
		case <-r.calm:
			return
		default:
		}
		at := func(i int) *server { return &r.processes[(lane+n+i)%len(r.processes)].server }
		user, token := fmt.Sprintf("user-%d-%d", lane, n), "registered by "+newID()
		registration := func() map[string]any {
			return map[string]any{"command_id": newID(), "user_id": user, "refresh_token": token, "expires_at": "2999-01-01T00:00:00Z"}
		}
		var native, foreign, again issued
		var both sync.WaitGroup
		both.Go(func() { r.insist(at(1), natsapi.VerbRegisterRefreshToken, registration(), &again) })
		r.insist(at(2), natsapi.VerbRegisterRefreshToken, registration(), &foreign)
		both.Wait()
		r.insist(at(0), natsapi.VerbIssueRefreshToken, map[string]any{"command_id": newID(), "user_id": user}, &native)
		if again.SessionID != foreign.SessionID {
			r.t.Errorf("one token has the sessions %s and %s", again.SessionID, foreign.SessionID)
		}
		r.insist(at(0), natsapi.VerbLogoutUser, logoutFields(newID(), user, token), new(loggedOut))
		r.insist(at(1), natsapi.VerbLogoutUser, logoutFields(newID(), user, native.RefreshToken), new(loggedOut))
		if r.t.Failed() {
			return
		}
		r.rounds.Add(1)
	}
}

// insist repeats a command, under its id, until it succeeds: a process that lacks a key says 503.
func (r *rotation) insist(s *server, verb string, fields map[string]any, into any) {
	for start := time.Now(); time.Since(start) < time.Minute && !r.t.Failed(); {
		reply, err := s.request(verb, mustJSON(fields))
		r.tried.Add(1)
		switch {
		case err == nil && reply.status == "":
			if err := json.Unmarshal(reply.body, into); err != nil {
				r.t.Error(err)
			}
			return
		case err != nil || reply.status != "503" && reply.status != "504":
			r.t.Errorf("%s: %s %s: %v", verb, reply.status, reply.body, err)
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	r.t.Errorf("%s did not succeed in time", verb)
}

// verdict: every session was opened once and has ended, and nothing that lived was refused.
func (r *rotation) verdict(store *server) {
	count := map[string]int{}
	for _, e := range store.events(url.Values{}) {
		count[e.Type]++
	}
	rounds := int(r.rounds.Load())
	r.t.Logf("%d rounds, %d commands; %v", rounds, r.tried.Load(), count)
	if rounds == 0 || count["RefreshTokenIssued"] != 2*rounds || count["UserLogoutSucceeded"] != 2*rounds || count["UserLogoutFailed"] != 0 {
		r.t.Error("a live token was refused, lives on after its logout, or has two sessions")
	}
}
