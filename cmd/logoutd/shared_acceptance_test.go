package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTwoLogoutdShareEverything is the shape of docker-compose.yml: one event store behind the
// EventStoreDB protocol, one read model in PostgreSQL and one folder of keys below two processes. A
// token of one ends at the other, each shows it, and after kill -9 of the one that fills the
// read model the other does.
func TestTwoLogoutdShareEverything(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	flags := []string{
		"--readmodel", postgresURL(t), "--key-file", filepath.Join(data, "keys"),
		"--store", startServer(t, data, "--esdb-allow-append").ESDB, "--esdb-listen", "", "--reply-floor", "1ms",
	}
	a := startProcess(t, t.TempDir(), flags...)
	session, token := a.token("alice")
	later := a.logout(newID(), "nobody", "0123456789abcdef").Position // a place to wait for
	if got := a.sessionAt(session, later); got.Status != "active" {
		t.Errorf("after the issue: %+v", got)
	}
	b := startProcess(t, t.TempDir(), flags...)
	position := b.logout(newID(), "alice", token).Position
	for name, s := range map[string]*process{"first": a, "second": b} {
		if got := s.sessionAt(session, position); got.Status != "revoked" || got.RevokedReason != "logout" {
			t.Errorf("the %s shows %+v", name, got)
		}
	}
	if ready := string(b.get("/readyz", nil)); !strings.Contains(ready, "standing by") {
		t.Errorf("the second does not stand by: %s", ready)
	}
	a.kill()
	session, token = b.token("bob")
	if got := b.sessionAt(session, b.logout(newID(), "bob", token).Position); got.Status != "revoked" {
		t.Errorf("after the first was killed: %+v", got)
	}
	if ready := string(b.get("/readyz", nil)); strings.Contains(ready, "standing by") {
		t.Errorf("the second has not taken over: %s", ready)
	}
}
