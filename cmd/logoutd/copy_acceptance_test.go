package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands/natsapi"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
	"github.com/logoutd/logoutd/eventstore/transfer"
)

// TestCommandsGoOnAfterACopy: sessions that were opened before a copy are logged out after it, a command that is repeated
// after it gets its first reply, and both histories are proved equal until the new one grows.
func TestCommandsGoOnAfterACopy(t *testing.T) {
	t.Parallel()
	old, fresh := t.TempDir(), filepath.Join(t.TempDir(), "deep", "data")
	a := startServer(t, old)
	_, ended := a.token("alice")
	session, live := a.token("bob")
	ids := []string{newID(), newID(), newID()}
	repeats := [][]byte{
		mustJSON(logoutFields(ids[0], "alice", ended)),
		mustJSON(logoutFields(ids[1], "alice", ended)), // refused: it has ended
		mustJSON(logoutFields(ids[2], "mallory", "a token that nobody knows")),
	}
	var first []reply
	for _, command := range repeats {
		first = append(first, a.must(natsapi.VerbLogoutUser, command))
	}
	record := a.events(url.Values{})
	a.stop()

	done := mustCopyTo(t, old, fresh)
	if want := uint64(len(record)) + 1; done.Copied != want || done.Already != 0 || done.Source != done.Target || done.Source.Events != want || done.EventsPerSec <= 0 {
		t.Errorf("%+v, %d events", done, want)
	}
	if again := mustCopyTo(t, old, fresh); again.Copied != 0 || again.Already != done.Copied || again.Source != done.Source {
		t.Errorf("the second copy: %+v", again)
	}
	if code, _, stderr := cli(serveArgs(fresh)...); code != exitFailed || !strings.Contains(stderr, "key file") {
		t.Errorf("serve without the keys: exit %d: %s", code, stderr)
	}
	keys, err := os.ReadFile(filepath.Join(old, "keys"))
	if err == nil {
		err = os.WriteFile(filepath.Join(fresh, "keys"), keys, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}

	b := startServer(t, fresh)
	if got := b.events(url.Values{}); typesOf(got) != typesOf(record) {
		t.Errorf("the copy holds %s, the original %s", typesOf(got), typesOf(record))
	}
	for i, command := range repeats {
		if again := b.must(natsapi.VerbLogoutUser, command); string(again.body) != string(first[i].body) {
			t.Errorf("command %d was answered %s, and is now answered %s", i, first[i].body, again.body)
		}
	}
	b.logout(newID(), "bob", live)
	if got := typesOf(b.events(url.Values{"stream": {"refreshToken-" + session}})); got != "RefreshTokenIssued UserLogoutAttempted TokenRevoked UserLogoutSucceeded" {
		t.Errorf("bob's session has %s", got)
	}
	b.stop()

	code, out, stderr := cli("copy", "--from="+old, "--to=embedded:"+fresh, "--verify")
	if code != exitFailed || !strings.Contains(stderr, "the source has ended") || !strings.Contains(out, "not equal") {
		t.Errorf("a target that has grown: exit %d: %s%s", code, out, stderr)
	}
	code, _, stderr = cli("copy", "--from="+old, "--to="+fresh)
	if code != exitFailed || !strings.Contains(stderr, "nothing was written") {
		t.Errorf("a copy to a target that has grown: exit %d: %s", code, stderr)
	}
	code, out, stderr = cli("copy", "--from="+fresh, "--to="+old) // and back
	if code != exitOK || !strings.Contains(out, "copied 3 events") || !strings.Contains(out, "equal: every event") || !strings.Contains(out, "move the key file") {
		t.Errorf("a copy back: exit %d: %s%s", code, out, stderr)
	}
}

func (s *server) must(verb string, data []byte) reply {
	s.t.Helper()
	r, err := s.request(verb, data)
	if err != nil || r.status != "" {
		s.t.Fatalf("%s: status %q: %v", verb, r.status, err)
	}
	return r
}

func mustCopyTo(t *testing.T, from, to string) copied {
	t.Helper()
	code, out, stderr := cli("copy", "--from="+from, "--to="+to, "--json")
	var done copied
	if err := json.Unmarshal([]byte(out), &done); code != exitOK || err != nil || !done.Equal {
		t.Fatalf("exit %d: %s%s: %v", code, out, stderr, err)
	}
	return done
}

// TestACopyGoesThroughTheProtocol: into a server that knows ids per stream only, as EventStoreDB does, and back.
func TestACopyGoesThroughTheProtocol(t *testing.T) {
	t.Parallel()
	from, back := t.TempDir(), t.TempDir()
	a := startServer(t, from)
	_, token := a.token("alice")
	a.logout(newID(), "alice", token)
	a.logout(newID(), "alice", token)
	a.stop()

	server := "esdb://" + serveProtocol(t, eventstoretest.NewPerStream()) + "?tls=false"
	there := mustCopyTo(t, from, server)
	if there.Copied != 7 || there.Target != there.Source || there.Target.Streams != 3 {
		t.Errorf("%+v", there)
	}
	if again := mustCopyTo(t, from, server); again.Copied != 0 || again.Already != 7 {
		t.Errorf("the second copy: %+v", again)
	}
	if home := mustCopyTo(t, server, back); home.Source != there.Source || home.Target != there.Source {
		t.Errorf("back: %+v, want %+v", home, there.Source)
	}
}

// serveProtocol serves a store by the protocol of EventStoreDB until the test ends, and answers where.
func serveProtocol(t *testing.T, store eventstore.Store) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := esdbapi.New(esdbapi.Config{Listener: listener, Store: store, AllowAppend: true, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }() // the cleanup waits for it
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// TestAnInterruptedCopySaysHowToGoOn: by Ctrl-C, a copy ends at once, and says that the same command goes on.
func TestAnInterruptedCopySaysHowToGoOn(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	s := startServer(t, from)
	s.token("alice")
	s.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr syncBuffer
	code := run(ctx, []string{"copy", "--from=" + from, "--to=" + t.TempDir()}, noEnvironment, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "interrupted after 0 events: start the same copy again") || stdout.String() != "" {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
}

// TestCopyProgress: elsewhere than on a terminal every line ends, and says what is done and how far.
func TestCopyProgress(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	p := newCopyProgress(&out)
	p.step(transfer.Progress{Phase: transfer.Copying, Events: 1, At: 1, Head: 8}) // too early for a line
	p.every = 0
	p.step(transfer.Progress{Phase: transfer.Copying, Events: 2, At: 2, Head: 8})
	p.waiting(errors.New("target:\naway"))
	p.step(transfer.Progress{Phase: transfer.Verifying, Events: 8, At: 8, Head: 8})
	p.end()
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "copying  2 events  ") || !strings.HasSuffix(lines[0], "  25.0 %") ||
		lines[1] != "waiting: target:; away" || !strings.HasPrefix(lines[2], "comparing  8 events") || p.rate() <= 0 {
		t.Errorf("%q, %f", lines, p.rate())
	}
}

// TestCopyRefusesABadStart: one line that says what is wrong, and nothing made.
func TestCopyRefusesABadStart(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	served := t.TempDir()
	startServer(t, served)
	stopped := t.TempDir()
	startServer(t, stopped).stop()
	for name, c := range map[string]struct {
		from, to string
		more     string
		code     int
		says     string
	}{
		"nothing named":        {"", "", "--json", exitUsage, "name a store each"},
		"the same store":       {served, "embedded:" + served + "/", "--json", exitUsage, "the same store"},
		"no source":            {filepath.Join(empty, "a"), filepath.Join(empty, "b"), "--json", exitFailed, "there is no event store in"},
		"no target to compare": {stopped, filepath.Join(empty, "b"), "--verify", exitFailed, "--to: there is no event store in"},
		"a source in use":      {served, filepath.Join(empty, "b"), "--json", exitFailed, "in use"},
		"an unknown scheme":    {stopped, "postgres://admin:hunter2@db", "--json", exitUsage, "postgres://…"},
		"a password":           {stopped, "esdb://admin:hunter2@127.0.0.1:1?tls=false", "--patience=1ms", exitFailed, "event store"},
		"a server twice":       {"esdb://127.0.0.1:1", "esdb://127.0.0.1:1", "--json", exitUsage, "the same store"},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: several open the same source
			code, out, stderr := cli("copy", "--from="+c.from, "--to="+c.to, c.more)
			if code != c.code || !strings.Contains(stderr, c.says) || out != "" || strings.Contains(stderr, "hunter2") {
				t.Errorf("exit %d: %s%s", code, out, stderr)
			}
			if files, err := os.ReadDir(empty); err != nil || len(files) != 0 {
				t.Errorf("made %v: %v", files, err)
			}
		})
	}
}
