package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/commands/natsapi"
)

// asMain makes the test binary behave as logoutd, so that a test can kill a real process.
const asMain = "LOGOUTD_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// noEnvironment keeps the settings of whoever runs the tests out of them.
func noEnvironment(string) (string, bool) { return "", false }

// server is a running logoutd and a client of it.
type server struct {
	addresses
	t    testing.TB
	conn *nats.Conn
	stop func() // idempotent; waits for a clean end
}

// syncBuffer is a buffer that a running program writes and a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serveArgs is a command line with free ports.
func serveArgs(data string, extra ...string) []string {
	return append([]string{
		"serve", "--json", "--data", data, "--nats-listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--esdb-listen", "127.0.0.1:0",
	}, extra...)
}

// startServer runs `logoutd serve` inside the test, through the same run as the binary.
func startServer(t testing.TB, data string, extra ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var stderr syncBuffer
	ended := make(chan int, 1)
	args := serveArgs(data, extra...)
	go func() { // stop waits for it
		ended <- run(ctx, args, noEnvironment, in, &stderr)
		in.Close() //nolint:errcheck // a pipe
	}()
	s := &server{t: t}
	s.stop = sync.OnceFunc(func() {
		if s.conn != nil {
			s.conn.Close()
		}
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("serve ended with %d: %s", code, stderr.String())
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("serve did not start: %s", stderr.String())
	}
	t.Cleanup(s.stop)
	s.connect(line)
	return s
}

func (s *server) connect(startLine []byte) {
	s.t.Helper()
	if err := json.Unmarshal(startLine, &s.addresses); err != nil {
		s.t.Fatalf("start line: %v", err)
	}
	conn, err := nats.Connect(s.NATS, nats.MaxReconnects(0))
	if err != nil {
		s.t.Fatal(err)
	}
	s.conn = conn
}

// process is a logoutd in a process of its own, which can be killed.
type process struct {
	server
	cmd    *exec.Cmd
	stderr *syncBuffer
}

func startProcess(t testing.TB, data string, extra ...string) *process {
	t.Helper()
	args := serveArgs(data, extra...)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	var stderr syncBuffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{server: server{t: t}, cmd: cmd, stderr: &stderr}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("serve did not start: %s", stderr.String())
	}
	p.connect(line)
	return p
}

// kill is kill -9, and waits until the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.conn.Close()
}

// reply is an answer of logoutd.
type reply struct {
	status string // header Nats-Service-Error-Code, "" when there is none
	body   []byte
}

// request sends bytes to a verb, as any NATS client would.
func (s *server) request(verb string, data []byte) (reply, error) {
	m, err := s.conn.Request(natsapi.Subject(natsapi.DefaultSubjectPrefix, verb), data, 30*time.Second)
	if err != nil {
		return reply{}, err
	}
	return reply{status: m.Header.Get("Nats-Service-Error-Code"), body: m.Data}, nil
}

func (s *server) mustRequest(verb string, fields map[string]any) reply {
	s.t.Helper()
	data, err := json.Marshal(fields)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.request(verb, data)
	if err != nil {
		s.t.Fatalf("%s: %v", verb, err)
	}
	return r
}

// token opens a session.
func (s *server) token(user string) (session, token string) {
	s.t.Helper()
	var r issued
	answer := s.mustRequest(natsapi.VerbIssueRefreshToken, map[string]any{"user_id": user})
	if err := json.Unmarshal(answer.body, &r); err != nil || answer.status != "" || r.RefreshToken == "" {
		s.t.Fatalf("issue: status %q: %v", answer.status, err)
	}
	return r.SessionID, r.RefreshToken
}

// logout sends a command and answers the position of its record.
func (s *server) logout(command, user, token string) loggedOut {
	s.t.Helper()
	answer := s.mustRequest(natsapi.VerbLogoutUser, logoutFields(command, user, token))
	var r loggedOut
	if err := json.Unmarshal(answer.body, &r); err != nil || answer.status != "" {
		s.t.Fatalf("logout: status %q: %v", answer.status, err)
	}
	return r
}

func logoutFields(command, user, token string) map[string]any {
	return map[string]any{
		"command_id": command, "user_id": user, "refresh_token": token,
		"client": map[string]string{"ip_address": "192.0.2.7", "user_agent": "acceptance/1.0"},
	}
}

// events reads /v1/events, but for what is about keys.
func (s *server) events(query url.Values) []event {
	s.t.Helper()
	body := s.get("/v1/events", query)
	var events []event
	for lines := json.NewDecoder(bytes.NewReader(body)); lines.More(); {
		var e event
		if err := lines.Decode(&e); err != nil {
			s.t.Fatal(err)
		}
		events = append(events, e)
	}
	return filtered(events, func(e event) bool { return e.Stream != keyring.Stream })
}

func (s *server) get(path string, query url.Values) []byte {
	s.t.Helper()
	response, err := http.Get("http://" + s.HTTP + path + "?" + query.Encode())
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s %v %s", path, response.Status, err, body)
	}
	return body
}

// sessionAt shows a session as the read model has it once it has reached a position.
func (s *server) sessionAt(id, position string) session {
	s.t.Helper()
	var out session
	if err := json.Unmarshal(s.get("/v1/tokens/"+id, url.Values{"min_position": {position}}), &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// typesOf lists the types of events.
func typesOf(events []event) string {
	var types []string
	for _, e := range events {
		types = append(types, e.Type)
	}
	return strings.Join(types, " ")
}

// cli runs logoutd as its user would and answers exit code and output.
func cli(args ...string) (code int, stdout, stderr string) {
	var out, errs syncBuffer // a program that it starts writes there, too
	code = run(context.Background(), args, noEnvironment, &out, &errs)
	return code, out.String(), errs.String()
}

func newID() string { return uuid.NewString() }

// mustJSON marshals what always can be.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprint("not JSON: ", err))
	}
	return b
}

func metadataOf(t *testing.T, e event) map[string]any {
	t.Helper()
	var meta map[string]any
	if err := json.Unmarshal(e.Metadata, &meta); err != nil {
		t.Fatal(err)
	}
	return meta
}
