package main

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestABrokenReadModelIsRebuilt: whatever is in the place of the read model, logoutd starts and
// carries out commands, and soon shows what is in the events, as one does that is built from nothing.
func TestABrokenReadModelIsRebuilt(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, data, file string){
		"a text": func(t *testing.T, _, file string) {
			write(t, file, strings.Repeat("not a database\n", 1000), 0o600)
		},
		"cut short": func(t *testing.T, _, file string) {
			if err := os.Truncate(file, 4096); err != nil {
				t.Fatal(err)
			}
		},
		"of an older version": func(t *testing.T, _, file string) {
			content := must(os.ReadFile(file))
			copy(content[60:], []byte{0, 0, 0, 1}) // where SQLite keeps PRAGMA user_version
			write(t, file, string(content), 0o600)
		},
		"of another store": func(t *testing.T, _, file string) {
			other := t.TempDir()
			withEvents(t, other)
			if err := os.Rename(filepath.Join(other, "readmodel.db"), file); err != nil {
				t.Fatal(err)
			}
		},
		"ahead of a store that was restored": func(t *testing.T, data, _ string) {
			remove(t, filepath.Join(data, "events"))
			if err := os.CopyFS(filepath.Join(data, "events"), os.DirFS(filepath.Join(data, "backup"))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			withEvents(t, data)
			if err := os.CopyFS(filepath.Join(data, "backup"), os.DirFS(filepath.Join(data, "events"))); err != nil {
				t.Fatal(err)
			}
			withEvents(t, data)
			file := filepath.Join(data, "readmodel.db")
			spoil(t, data, file)

			s := startServer(t, data)
			session, token := s.token("bob")
			position := s.logout(newID(), "bob", token).Position
			if got := s.get("/v1/tokens/"+session, url.Values{"min_position": {position}, "wait_ms": {"30000"}}); !bytes.Contains(got, []byte(`"revoked"`)) {
				t.Errorf("after the logout: %s", got)
			}
			if status, body := s.readiness(); status != http.StatusOK {
				t.Errorf("/readyz: %d %s", status, body)
			}
			mended := dumpReadModel(t, s)
			s.stop()
			if _, err := os.Stat(file + ".replaced"); err != nil {
				t.Errorf("what was there is not kept: %v", err)
			}
			for _, file := range must(filepath.Glob(file + "*")) {
				remove(t, file)
			}
			if rebuilt := dumpReadModel(t, startServer(t, data)); !bytes.Equal(mended, rebuilt) {
				t.Errorf("rebuilt:\n%s\nmended:\n%s", rebuilt, mended)
			}
		})
	}
}

// TestCommandsGoOnWithoutAReadModel: nothing about it is a condition of a logout. /readyz and every read
// say what is wrong, and when that has gone it goes on by itself.
func TestCommandsGoOnWithoutAReadModel(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "not", "yet")
	for name, c := range map[string]struct {
		readmodel, says string
		mend            func()
	}{
		"no folder": {readmodel: "sqlite:" + filepath.Join(folder, "r.db"), says: "no such file", mend: func() {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Error(err)
			}
		}},
		"a folder in its place": {readmodel: "sqlite:" + t.TempDir(), says: "is a directory"},
		"no server":             {readmodel: "postgres://127.0.0.1:1/logoutd", says: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, t.TempDir(), "--readmodel", c.readmodel)
			session, token := s.token("alice")
			position := s.logout(newID(), "alice", token).Position
			var body string
			eventually(t, "/readyz says what is wrong", func() bool {
				var status int
				status, body = s.readiness()
				return status == http.StatusServiceUnavailable && strings.Contains(body, c.says)
			}, func() string { return body })
			for _, path := range []string{"/v1/tokens", "/v1/tokens/" + session, "/v1/tokens/" + session + "/timeline"} {
				if status, body := s.ask(path); status != http.StatusServiceUnavailable || !strings.Contains(body, c.says) {
					t.Errorf("GET %s: %d %s", path, status, body)
				}
			}
			if c.mend == nil {
				return
			}
			c.mend()
			if got := s.get("/v1/tokens/"+session, url.Values{"min_position": {position}, "wait_ms": {"30000"}}); !bytes.Contains(got, []byte(`"revoked"`)) {
				t.Errorf("mended: %s", got)
			}
			if status, body := s.readiness(); status != http.StatusOK {
				t.Errorf("/readyz: %d %s", status, body)
			}
		})
	}
}

// TestAReadModelOfAnotherLogoutdIsLeftAlone: two installations are pointed at one database. The second
// one touches nothing, says so, and takes its commands.
func TestAReadModelOfAnotherLogoutdIsLeftAlone(t *testing.T) {
	t.Parallel()
	database := postgresURL(t)
	first := startServer(t, t.TempDir(), "--readmodel", database)
	session, token := first.token("alice")
	first.sessionAt(session, first.logout(newID(), "nobody", "0123456789abcdef").Position)

	second := startServer(t, t.TempDir(), "--readmodel", database)
	_, other := second.token("bob")
	second.logout(newID(), "bob", other)
	var body string
	eventually(t, "the second says whose it is", func() bool {
		var status int
		status, body = second.readiness()
		return status == http.StatusServiceUnavailable && strings.Contains(body, "another event store") && strings.Contains(body, "name another place")
	}, func() string { return body })
	if status, body := second.ask("/v1/tokens"); status != http.StatusServiceUnavailable || !strings.Contains(body, "another event store") {
		t.Errorf("the second reads: %d %s", status, body)
	}
	if got := first.sessionAt(session, first.logout(newID(), "alice", token).Position); got.Status != "revoked" {
		t.Errorf("the first shows %+v", got)
	}
}
