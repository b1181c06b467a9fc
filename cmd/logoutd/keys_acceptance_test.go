package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// TestWhoStartsTogetherMakesOneKeyFile: processes on one empty store and one folder of keys.
func TestWhoStartsTogetherMakesOneKeyFile(t *testing.T) {
	t.Parallel()
	store, err := embedded.Open(embedded.Config{Dir: filepath.Join(t.TempDir(), "events"), CacheBytes: 8 << 20, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	file := filepath.Join(t.TempDir(), "keys")
	var logs [4]bytes.Buffer
	var group sync.WaitGroup
	start := func(file string, log *bytes.Buffer) error {
		k := &keeper{file: file, keys: credential.NewKeys(store, time.Now), log: zerolog.New(log)}
		return k.start(t.Context(), nil, false)
	}
	for i := range logs {
		group.Go(func() {
			if err := start(file, &logs[i]); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	made := 0
	for i := range logs {
		made += strings.Count(logs[i].String(), "made a key file")
	}
	if head, err := store.Head(t.Context()); made != 1 || head != 1 || err != nil {
		t.Errorf("%d made the file, %d announcements: %v", made, head, err)
	}
	// Later, and without the file.
	err = start(filepath.Join(t.TempDir(), "keys"), &logs[0])
	ring, openErr := credential.OpenKeyFile(file)
	if err == nil || openErr != nil || !strings.Contains(err.Error(), ring.ActiveID()) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("no key file beside announced keys: %v %v", err, openErr)
	}
}

// TestTheKeysOfAnotherInstallationAreRefused: the data folder of one, the key file of another. The process
// that started all the same would tell everybody "Successfully logged out." while the sessions live on.
func TestTheKeysOfAnotherInstallationAreRefused(t *testing.T) {
	t.Parallel()
	data, other := t.TempDir(), t.TempDir()
	withEvents(t, data)
	withEvents(t, other)
	own := ringIn(t, filepath.Join(data, "keys"))
	copyFile(t, filepath.Join(other, "keys"), filepath.Join(data, "keys"))
	code, _, stderr := cli("serve", "--data="+data, "--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--esdb-listen=")
	if code != exitFailed || !strings.Contains(stderr, "key "+own.ActiveID()+" is") || !strings.Contains(stderr, filepath.Join(data, "keys")) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestAKeyIsRotatedWhileCommandsGoOn follows `logoutd help keys` word by word, on a running logoutd.
func TestAKeyIsRotatedWhileCommandsGoOn(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startServer(t, data)
	file := filepath.Join(data, "keys")
	keys := func(args ...string) (code int, list []keyLine, stderr string) {
		t.Helper()
		code, out, stderr := cli(append([]string{"keys", "--json", "--data", data}, args...)...)
		if err := json.Unmarshal([]byte(out), &list); err != nil && code == exitOK {
			t.Fatalf("keys %v: %s%s", args, out, stderr)
		}
		return code, list, stderr
	}
	_, before := s.token("alice")
	old := ringIn(t, file).ActiveID()
	if code, list, stderr := keys("add"); code != exitOK || len(list) != 2 || list[1].State != "next" {
		t.Fatalf("exit %d: %v %s", code, list, stderr)
	}
	await := func(what string, done func([]keyLine) bool) {
		t.Helper()
		for {
			_, list, _ := keys("check", "--http", s.HTTP)
			if done(list) {
				return
			}
			if t.Context().Err() != nil {
				t.Fatalf("%s: %v", what, list)
			}
		}
	}
	await("the key is announced", func(l []keyLine) bool { return len(l) == 2 && l[1].Store == "next" })
	if code, list, stderr := keys("promote"); code != exitOK || list[1].State != "active" || list[0].State != "retired" {
		t.Fatalf("exit %d: %v %s", code, list, stderr)
	}
	await("the key is active", func(l []keyLine) bool { return len(l) == 2 && l[1].Store == "active" && l[0].Store == "retired" })
	_, after := s.token("alice")
	ring := ringIn(t, file)
	for name, token := range map[string]string{old: before, ring.ActiveID(): after} {
		p, err := ring.Recognise(credential.NewSecret(token))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ring.Mint(name, p.SessionID, 0); err != nil || again.Reveal() != token {
			t.Errorf("a token is not of key %s: %v", name, err)
		}
		r := s.logout(newID(), "alice", token)
		session := s.get("/v1/tokens/"+p.SessionID.String(), url.Values{"min_position": {r.Position}})
		if !strings.Contains(string(session), `"status":"revoked"`) {
			t.Errorf("session of key %s after its logout: %s", name, session)
		}
	}
	// A damaged file changes nothing but the log; the file of another installation is named by check.
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(good), "active", "retired", 1), 0o600)
	_, token := s.token("alice")
	s.logout(newID(), "alice", token)
	other := t.TempDir()
	withEvents(t, other)
	copyFile(t, filepath.Join(other, "keys"), file)
	if code, list, stderr := keys("check", "--http", s.HTTP); code != exitFailed || len(list) != 3 || !strings.Contains(stderr, "key "+old+" is missing") {
		t.Errorf("exit %d: %v %s", code, list, stderr)
	}
	write(t, file, string(good), 0o600)
	_, token = s.token("alice")
	s.logout(newID(), "alice", token)
}

func TestAKeyFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	store, err := embedded.Open(embedded.Config{Dir: filepath.Join(t.TempDir(), "events"), CacheBytes: 8 << 20, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	file := filepath.Join(t.TempDir(), "keys")
	k := &keeper{file: file, keys: credential.NewKeys(store, time.Now), log: zerolog.Nop()}
	if err := k.start(t.Context(), nil, false); err != nil {
		t.Fatal(err)
	}
	if k.changed() {
		t.Error("changed, and nobody changed it")
	}
	if _, err := credential.AddKey(file, time.Now()); err != nil {
		t.Fatal(err)
	}
	if !k.changed() {
		t.Error("a change was not seen")
	}
	// A key that another process has announced meanwhile, and this file lacks.
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := credential.AddKey(file, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := credential.NewKeys(store, time.Now).Announce(t.Context(), ringIn(t, file)); err != nil {
		t.Fatal(err)
	}
	write(t, file, string(before), 0o600)
	var missing *keyring.MissingError
	if err := k.load(context.Background()); !errors.As(err, &missing) {
		t.Errorf("went on with a file that lacks a key: %v", err)
	}
	if _, err := k.keys.Probe(t.Context()); !errors.As(err, &missing) || !strings.Contains(err.Error(), "copy the key file") {
		t.Errorf("ready without a key that is announced: %v", err)
	}
}

func TestKeysSayHowToNameTheirFile(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"list", "add", "promote", "check"} {
		code, _, stderr := cli("keys", what, "--data", t.TempDir())
		if code != exitFailed || !strings.Contains(stderr, "--key-file") {
			t.Errorf("keys %s: exit %d: %s", what, code, stderr)
		}
	}
}

func TestSIGHUPReadsTheKeyFile(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir())
	loads := func() int { return strings.Count(p.stderr.String(), "keys loaded") }
	before := loads()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "read the key file again", func() bool { return loads() > before }, p.stderr.String)
	_, token := p.token("alice")
	p.logout(newID(), "alice", token)
}

func ringIn(t *testing.T, file string) *credential.Ring {
	t.Helper()
	ring, err := credential.OpenKeyFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(content), 0o600)
}
