package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandLineFollowsTheReadme walks the way of a newcomer: open a session, look at it, end it, read the record.
func TestCommandLineFollowsTheReadme(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	url, read := "--nats-url="+s.NATS, "--http="+s.HTTP
	ok := func(args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := cli(args...)
		if code != exitOK {
			t.Fatalf("logoutd %s: exit %d: %s", args[0], code, stderr)
		}
		return stdout, stderr
	}
	token, note := ok("issue", "alice", url, "--client-id=web")
	if !strings.HasPrefix(token, "lt1_") || strings.Count(token, "\n") != 1 || !strings.Contains(note, "session ") {
		t.Errorf("issue printed a token of %d bytes and %q", len(token), note)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	var reply loggedOut
	out, _ := ok("logout", "alice", url, "--token-file="+file, "--json")
	if err := json.Unmarshal([]byte(out), &reply); err != nil || reply.Position != "5" {
		t.Fatalf("logout replied %s: %v", out, err)
	}
	if out, _ = ok("sessions", read, "--user-id=alice", "--min-position="+reply.Position); strings.Contains(out, "alice") {
		t.Errorf("alice has an active session after her logout:\n%s", out)
	}
	if out, _ = ok("sessions", read, "--status=all"); !strings.Contains(out, "revoked (logout)") || !strings.Contains(out, "web") {
		t.Errorf("sessions shows\n%s", out)
	}
	id := strings.Fields(strings.Split(out, "\n")[1])[0]
	if out, _ = ok("sessions", id, read, "--timeline"); !strings.Contains(out, "RefreshTokenIssued") || !strings.Contains(out, "UserLogoutSucceeded") {
		t.Errorf("timeline shows\n%s", out)
	}
	out, _ = ok("events", read, "--user-id=alice", "--json")
	if got := strings.Count(out, "\n"); got != 4 {
		t.Errorf("events printed %d lines, want 4:\n%s", got, out)
	}
	if out, _ = ok("events", read, "--type=TokenRevoked"); !strings.Contains(out, "TokenRevoked") || strings.Count(out, "\n") != 1 {
		t.Errorf("events printed\n%s", out)
	}
}

func TestDemoShowsEveryBranchAndEnds(t *testing.T) {
	t.Parallel()
	code, out, stderr := cli("demo")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{
		"RefreshTokenIssued", "TokenFingerprintRegistered", "TokenRevoked", "UserLogoutSucceeded",
		"token_not_found", "token_user_mismatch", "token_already_revoked", "event  none", "invalid_command",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not show %s", want)
		}
	}
	code, out, stderr = cli("demo", "--json")
	if code != exitOK {
		t.Fatalf("--json: exit %d: %s", code, stderr)
	}
	steps := 0
	for lines := json.NewDecoder(strings.NewReader(out)); lines.More(); steps++ {
		var s step
		if err := lines.Decode(&s); err != nil || s.Title == "" || s.Status == "" {
			t.Fatalf("step %d: %+v %v", steps, s, err)
		}
	}
	if steps != 11 {
		t.Errorf("%d steps, want 11", steps)
	}
}

// TestBenchMeasuresWhatItSays runs a small benchmark against a logoutd of its own.
func TestBenchMeasuresWhatItSays(t *testing.T) {
	t.Setenv(asMain, "1") // the benchmark starts this test binary as logoutd
	code, out, stderr := cli("bench", "--json", "--rounds=1", "--logouts=300", "--in-flight=16", "--live=50")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var report benchOutput
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Rounds) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	r := report.Rounds[0]
	if r.Logouts != 300 || r.LogoutPerSec <= 0 || r.EchoPerSec <= 0 || r.Ratio <= 0 || r.P50US <= 0 || r.CatchUpMS < 0 || report.IssuePerSec <= 0 {
		t.Errorf("round %+v", r)
	}
}

func TestConfigPrintsSettingsWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--nats-url=nats://bob:hunter2@shown.example:4222"},
		{"--nats-url=nats://shown.example:4222", "--nats-user=bob", "--nats-password=hunter2"},
		{"--store=esdb://bob:hunter2@shown.example:2113"},
		{"--store=esdb+discover://bob:hunter2@a.example:2113,shown.example:2113?nodePreference=leader"},
	} {
		code, out, stderr := cli(append([]string{"config", "--json"}, args...)...)
		if code != exitOK || strings.Contains(out+stderr, "hunter2") || !strings.Contains(out, "shown.example") {
			t.Errorf("%s: exit %d: a password shows, or a host does not", args[0][:12], code)
		}
	}
	code, out, stderr := cli("config", "--store=mysql://bob:hunter2@x")
	if code != exitUsage || strings.Contains(out+stderr, "hunter2") {
		t.Errorf("exit %d: a wrong --store shows its password", code)
	}
}

// TestConfigFitsTheStore: what depends on where events are kept follows --store.
func TestConfigFitsTheStore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args          []string
		listen, floor string
	}{
		{nil, "127.0.0.1:2113", "1ms"},
		{[]string{"--esdb-listen="}, "-", "1ms"},
		{[]string{"--store=esdb://x:2113"}, "-", "25ms"},
		{[]string{"--store=esdb://x:2113", "--esdb-listen=127.0.0.1:9", "--reply-floor=0s"}, "127.0.0.1:9", "0s"},
	} {
		code, out, stderr := cli(append([]string{"config", "--json"}, c.args...)...)
		var settings []setting
		if err := json.Unmarshal([]byte(out), &settings); err != nil || code != exitOK {
			t.Fatalf("%v: exit %d: %s", c.args, code, stderr)
		}
		for _, s := range settings {
			if s.Name == "esdb-listen" && s.Value != c.listen || s.Name == "reply-floor" && s.Value != c.floor {
				t.Errorf("%v: --%s is %s", c.args, s.Name, s.Value)
			}
		}
	}
}
