package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// TestSoak lets callers open and end sessions, repeating whatever was not answered with a success, while
// logoutd is killed again and again, its keys are rotated and, on a disk of its own, the disk fills up and
// empties. In the end no acknowledged logout is lost, none is doubled, and no session lives again.
//
// It is short. `make soak` sets LOGOUTD_SOAK, how long it takes, and LOGOUTD_SOAK_DISK, a small disk to fill.
func TestSoak(t *testing.T) {
	t.Parallel()
	lasts, kill := 4*time.Second, time.Second
	if d, err := time.ParseDuration(os.Getenv("LOGOUTD_SOAK")); err == nil {
		lasts, kill = d, 15*time.Second
	}
	disk := os.Getenv("LOGOUTD_SOAK_DISK")
	data := t.TempDir()
	if disk != "" {
		data = filepath.Join(disk, "data")
	}
	s := newSoak(t, data)
	var lanes sync.WaitGroup
	calm := make(chan struct{})
	for lane := range 8 {
		lanes.Go(func() { s.lane(lane, calm) })
	}
	end := time.After(lasts)
	kills, rotations, fills := time.NewTicker(kill), time.NewTicker(kill*3/2), time.NewTicker(4*kill)
	for done := false; !done; {
		select {
		case <-end:
			done = true
		case <-kills.C:
			s.kill()
		case <-rotations.C:
			s.rotate()
		case <-fills.C:
			if disk != "" {
				s.fill(disk, kill/3)
			}
		}
	}
	close(calm)
	lanes.Wait()
	s.verdict()
}

// soak is a logoutd that is started again whenever it has ended, as a service manager does it.
type soak struct {
	t          *testing.T
	data, nats string
	http       string
	ended      chan struct{}
	running    sync.WaitGroup

	mu      sync.Mutex
	process *exec.Cmd

	kills, starts, rotations, fills int
	repeats                         atomic.Int64
	acks                            sync.Map // command id -> session id
	acknowledged                    atomic.Int64
}

func newSoak(t *testing.T, data string) *soak {
	s := &soak{t: t, data: data, nats: fixedPort(t), http: fixedPort(t), ended: make(chan struct{})}
	s.running.Go(s.keepAlive)
	t.Cleanup(func() {
		close(s.ended)
		s.kill()
		s.running.Wait()
	})
	return s
}

func (s *soak) keepAlive() {
	for {
		select {
		case <-s.ended:
			return
		default:
		}
		cmd := exec.Command(os.Args[0], "serve", "--data", s.data, "--nats-listen", s.nats, "--http", s.http, "--esdb-listen", "") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), asMain+"=1")
		var stderr syncBuffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			s.t.Error(err)
			return
		}
		s.mu.Lock()
		s.process = cmd
		s.starts++
		s.mu.Unlock()
		if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
			text := stderr.String()
			s.t.Logf("ended by itself: %v: %s", err, text[max(0, len(text)-600):])
			<-time.After(200 * time.Millisecond)
		}
	}
}

// kill is kill -9.
func (s *soak) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Process.Kill() // it may be gone already
		s.kills++
	}
}

// rotate adds a key and makes it active; on a full disk it does not, and says so.
func (s *soak) rotate() {
	for _, what := range []string{"add", "promote"} {
		if code, _, stderr := cli("keys", what, "--data", s.data); code != exitOK {
			s.t.Logf("keys %s: %s", what, strings.TrimSpace(stderr))
			return
		}
	}
	s.rotations++
}

// fill leaves nothing of a disk for a while, and every other time a little, below the floor.
func (s *soak) fill(disk string, lasts time.Duration) {
	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast) //nolint:gosec // of this test
	if err != nil {
		s.t.Error(err)
		return
	}
	block, leave := make([]byte, 1<<20), uint64(0)
	if s.fills%2 == 1 {
		leave = 100 << 20
	}
	for {
		var st syscall.Statfs_t
		if err := syscall.Statfs(disk, &st); err != nil || st.Bavail*uint64(st.Bsize) < leave+uint64(len(block)) { //nolint:gosec // sizes are positive
			break
		}
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	_ = f.Close()
	<-time.After(lasts)
	if err := os.Remove(ballast); err != nil {
		s.t.Error(err)
	}
	s.fills++
}

// lane opens and ends one session after the other, native ones and registered ones in turn.
func (s *soak) lane(lane int, calm <-chan struct{}) {
	conn, err := nats.Connect("nats://"+s.nats, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	for n := 0; ; n++ {
		select {
		case <-calm:
			return
		case <-time.After(20 * time.Millisecond): // some hundreds a second in all: the disk is small
		}
		user := fmt.Sprintf("user-%d-%d", lane, n)
		open, verb := map[string]any{"command_id": newID(), "user_id": user}, natsapi.VerbIssueRefreshToken
		if n%2 == 1 {
			verb = natsapi.VerbRegisterRefreshToken
			open["refresh_token"], open["expires_at"] = "registered by "+newID(), "2999-01-01T00:00:00Z"
		}
		var opened issued
		var closed loggedOut
		if !s.insist(conn, verb, open, &opened) {
			return
		}
		token, registered := open["refresh_token"].(string)
		if !registered {
			token = opened.RefreshToken
		}
		command := newID()
		if !s.insist(conn, natsapi.VerbLogoutUser, logoutFields(command, user, token), &closed) {
			return
		}
		s.acks.Store(command, opened.SessionID)
		s.acknowledged.Add(1)
	}
}

// insist sends a command, under one id, until it succeeds.
func (s *soak) insist(conn *nats.Conn, verb string, fields map[string]any, into any) bool {
	payload := mustJSON(fields)
	for start := time.Now(); time.Since(start) < 3*time.Minute; {
		m, err := conn.Request(natsapi.Subject(natsapi.DefaultSubjectPrefix, verb), payload, 2*time.Second)
		if err == nil {
			switch status := m.Header.Get("Nats-Service-Error-Code"); status {
			case "":
				if err := json.Unmarshal(m.Data, into); err != nil {
					s.t.Error(err)
					return false
				}
				return true
			case "503", "504":
			default:
				s.t.Errorf("%s: %s %s", verb, status, m.Data)
				return false
			}
		}
		s.repeats.Add(1)
		<-time.After(50 * time.Millisecond)
	}
	s.t.Errorf("%s did not succeed within three minutes", verb)
	return false
}

// verdict holds every acknowledgement against the whole record.
func (s *soak) verdict() {
	response, err := http.Get("http://" + s.http + "/v1/events")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	succeeded, refused, over := map[string]int{}, 0, map[string]bool{}
	revived, events, next := 0, 0, uint64(1)
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&e); err != nil {
			s.t.Fatal(err)
		}
		if e.Position != fmt.Sprint(next) {
			s.t.Fatalf("position %s where %d is due: the log has a gap", e.Position, next)
		}
		events, next = events+1, next+1
		var meta struct {
			CommandID uuid.UUID `json:"command_id"`
		}
		if err := json.Unmarshal(e.Metadata, &meta); err != nil {
			s.t.Fatal(err)
		}
		if over[e.Stream] {
			revived++
		}
		switch e.Type {
		case "UserLogoutSucceeded":
			succeeded[meta.CommandID.String()]++
			over[e.Stream] = true
		case "UserLogoutFailed":
			refused++ // each logout here is of a session that lives
		}
	}
	if lines.Err() != nil {
		s.t.Fatal(lines.Err())
	}
	lost, doubled := 0, 0
	s.acks.Range(func(command, session any) bool {
		switch n := succeeded[command.(string)]; { //nolint:forcetypeassert // stored above
		case n == 0 || !over["refreshToken-"+session.(string)]: //nolint:forcetypeassert // stored above
			lost++
		case n > 1:
			doubled++
		}
		return true
	})
	s.t.Logf("%d acknowledged, %d lost, %d doubled, %d revived, %d refused; %d events, %d kills, %d starts, %d rotations, disk filled %d times, %d repeats",
		s.acknowledged.Load(), lost, doubled, revived, refused, events, s.kills, s.starts, s.rotations, s.fills, s.repeats.Load())
	if lost+doubled+revived+refused > 0 || s.acknowledged.Load() == 0 || s.kills == 0 || s.rotations == 0 {
		s.t.Error("an acknowledged logout was not what it was said to be, or nothing was tested")
	}
}
