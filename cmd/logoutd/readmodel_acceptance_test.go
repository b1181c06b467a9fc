package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/projections/activetokens/postgres/postgrestest"
)

// postgresURL starts a server, or skips.
func postgresURL(t *testing.T) string {
	t.Helper()
	s, err := postgrestest.Start()
	if errors.Is(err, postgrestest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s.URL("postgres")
}

// TestAReadModelInPostgreSQL: a service reads its own logout from it, and health asks for it.
func TestAReadModelInPostgreSQL(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), "--readmodel", postgresURL(t))
	session, token := s.token("alice")
	if got := s.sessionAt(session, s.logout(newID(), "alice", token).Position); got.Status != "revoked" || got.RevokedReason != "logout" {
		t.Errorf("%+v", got)
	}
	code, out, stderr := cli("health", "--url", "http://"+s.HTTP+"/readyz", "--json")
	var reply healthReply
	if err := json.Unmarshal([]byte(out), &reply); err != nil || code != exitOK || !reply.Ready || !strings.Contains(string(reply.Detail), `"projection"`) {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
}

func TestHealthTellsWhoIsNotReady(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	for _, c := range []struct {
		url, says string
		code      int
	}{
		{"http://" + s.HTTP + "/healthz", "ready", exitOK},
		{"http://" + s.HTTP + "/nowhere", "not ready", exitFailed},
		{"http://127.0.0.1:1/readyz", "no logoutd answers", exitFailed},
		{"127.0.0.1:8080", "--url", exitUsage},
	} {
		if code, out, stderr := cli("health", "--url", c.url); code != c.code || !strings.Contains(out+stderr, c.says) {
			t.Errorf("%s: exit %d: %s%s", c.url, code, out, stderr)
		}
	}
}

// TestReadModelSettingsHideTheirPassword in the settings as in every refusal.
func TestReadModelSettingsHideTheirPassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		readmodel, shows string
		code             int
	}{
		{"postgres://bob:hunter2@db.example:5432/x?sslmode=require", "postgres://redacted@db.example:5432/x", exitOK},
		{"postgresql://bob:hunter2@a.example:1,b.example:2/x", "b.example", exitOK},
		{"mysql://bob:hunter2@db.example/x", "postgres://", exitUsage},
	} {
		code, out, stderr := cli("config", "--readmodel", c.readmodel)
		if code != c.code || !strings.Contains(out+stderr, c.shows) || strings.Contains(out+stderr, "hunter2") {
			t.Errorf("exit %d: %s%s", code, out, stderr)
		}
	}
	code, _, stderr := cli(serveArgs(t.TempDir(), "--readmodel", "postgres://bob:hunter2/x@db.example/x")...)
	if code != exitFailed || !strings.Contains(stderr, "%2F") || strings.Contains(stderr, "hunter2") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
