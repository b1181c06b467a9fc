package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// built compiles a consumer as its user would.
func built(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", binary, "../../docs/consumers/"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// node installs the Node.js consumers in a copy, from their lock file.
func node(t *testing.T) (dir string) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs Node.js: %v", err)
		}
	}
	dir = t.TempDir()
	for _, pattern := range []string{"*.mjs", "*.json"} {
		for _, file := range must(filepath.Glob("../../docs/consumers/node/" + pattern)) {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), must(os.ReadFile(file)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

func catchup(t *testing.T) consumer {
	t.Helper()
	return consumer{
		argv: []string{built(t, "catchup")}, prefixes: []string{"refreshToken-", "userLogout-"},
		resolution: 100 * time.Nanosecond, // what the protocol has room for
	}
}

func nodeConsumer(dir, script string) consumer {
	return consumer{
		argv: []string{"node", script, "follow"}, dir: dir, prefixes: []string{"refreshToken-"}, resolution: time.Millisecond,
	}
}

// TestConsumersLoseAndRepeatNothing kills consumer and server in turn, under load. What each consumer
// has in the end is the record, event for event.
func TestConsumersLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	t.Run("catchup", func(t *testing.T) {
		t.Parallel()
		loseAndRepeatNothing(t, catchup(t))
	})
	t.Run("node", func(t *testing.T) {
		t.Parallel()
		dir := node(t)
		for _, script := range []string{"eventstore.mjs", "kurrentdb.mjs"} {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				c := nodeConsumer(dir, script)
				loseAndRepeatNothing(t, c)
				t.Run("read", func(t *testing.T) { readsOnce(t, c) })
			})
		}
	})
}

func loseAndRepeatNothing(t *testing.T, c consumer) {
	const rounds, some = 2, 40
	data, address, files := t.TempDir(), fixedPort(t), newConsumerFiles(t)
	var r *running
	for range rounds {
		p := startProcess(t, data, "--esdb-listen", address)
		p.load(t)
		if r == nil {
			r = c.start(t, p.ESDB, files)
		}
		r.grows(files, some)
		older := r.saved(files)
		r.grows(files, some)
		r.kill()
		afterACrash(t, files, older)
		r = c.start(t, p.ESDB, files)
		r.grows(files, some)
		p.kill()
	}
	p := startProcess(t, data, "--esdb-listen", address) // r is waiting for it
	stop := p.load(t)
	r.grows(files, some)
	stop()
	want := c.matching(&p.server)
	r.reaches(files, want[len(want)-1].Position)
	r.terminate()
	c.compare(t, want, must(os.ReadFile(files.out)))
	seesAnotherRecord(t, c, address, p, files)
	keepsNoPlaceOfWhatItCannotWrite(t, c)
	r = c.start(t, "esdb://audit:geheim%zz@127.0.0.1:x", files)
	if code := r.exit(); code == 0 || strings.Contains(r.stderr.String(), "geheim") {
		t.Errorf("a connection string that is none: exit %d: %s", code, r.stderr.String())
	}
}

// afterACrash leaves the files as the worst moment would: half a line written, and the checkpoint not yet.
func afterACrash(t *testing.T, files consumerFiles, older []byte) {
	t.Helper()
	out := must(os.ReadFile(files.out))
	torn := append(out, `{"position":"1","stream":"refreshTo`...)
	if err := os.WriteFile(files.out, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files.checkpoint, older, 0o600); err != nil {
		t.Fatal(err)
	}
}

// seesAnotherRecord puts a server with another history under the same address.
func seesAnotherRecord(t *testing.T, c consumer, address string, p *process, files consumerFiles) {
	t.Helper()
	before := lines(t, files.out)
	p.kill()
	other := startProcess(t, t.TempDir(), "--esdb-listen", address)
	r := c.start(t, other.ESDB, files)
	if code := r.exit(); code != 1 || !strings.Contains(r.stderr.String(), "restored or replaced") {
		t.Errorf("on a server with another history: exit %d: %s", code, r.stderr.String())
	}
	if lines(t, files.out) != before {
		t.Error("it mixed two histories")
	}
}

// keepsNoPlaceOfWhatItCannotWrite gives it a full disk.
func keepsNoPlaceOfWhatItCannotWrite(t *testing.T, c consumer) {
	t.Helper()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Log("no /dev/full: a full disk is not tried")
		return
	}
	p := startProcess(t, t.TempDir())
	p.token("alice")
	files := newConsumerFiles(t)
	files.out = "/dev/full"
	r := c.start(t, p.ESDB, files)
	if code := r.exit(); code != 1 || !strings.Contains(r.stderr.String(), "no space left") {
		t.Errorf("on a full disk: exit %d: %s", code, r.stderr.String())
	}
	if _, err := os.Stat(files.checkpoint); err == nil {
		t.Error("it keeps a place that its output has not reached")
	}
}

// readsOnce tries the commands that end by themselves.
func readsOnce(t *testing.T, c consumer) {
	p := startProcess(t, t.TempDir())
	session, token := p.token("alice")
	p.logout(newID(), "alice", token)
	p.logout(newID(), "mallory", token)
	p.token("bob")
	c.resolution = time.Second // of reads with the newer client
	ofAlice := func(e event) bool { return e.Stream == "refreshToken-"+session }
	for _, tt := range []struct {
		args []string
		want []event
	}{
		{[]string{"all"}, c.matching(&p.server)},
		{[]string{"stream", "refreshToken-" + session}, filtered(c.matching(&p.server), ofAlice)},
	} {
		cmd := exec.Command("node", append([]string{c.argv[1], "--connection", p.ESDB}, tt.args...)...)
		cmd.Dir = c.dir
		out, err := cmd.Output()
		if err != nil || len(tt.want) == 0 {
			t.Fatalf("%v: %v, %d events are to be seen", tt.args, err, len(tt.want))
		}
		c.compare(t, tt.want, out)
	}
	cmd := exec.Command("node", c.argv[1], "--connection", p.ESDB, "stream", "refreshToken-of-nobody")
	cmd.Dir = c.dir
	if out, err := cmd.Output(); err == nil || len(out) != 0 {
		t.Errorf("a stream that does not exist: %v, %s", err, out)
	}
}

func filtered(events []event, keep func(event) bool) []event {
	var kept []event
	for _, e := range events {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// TestCatchupEndsWhenCaughtUp runs it as a job would.
func TestCatchupEndsWhenCaughtUp(t *testing.T) {
	t.Parallel()
	c, files := catchup(t), newConsumerFiles(t)
	p := startProcess(t, t.TempDir())
	for range 3 { // the first time there is nothing, then something more each time
		if r := c.start(t, p.ESDB, files, "--once"); r.exit() != 0 {
			t.Fatalf("--once: %s", r.stderr.String())
		}
		c.compare(t, c.matching(&p.server), must(os.ReadFile(files.out)))
		_, token := p.token("alice")
		p.logout(newID(), "alice", token)
	}
	out, err := exec.Command(c.argv[0], "--connection", p.ESDB, "--once", "--checkpoint", filepath.Join(t.TempDir(), "other")).Output()
	if err != nil {
		t.Fatal(err)
	}
	c.compare(t, c.matching(&p.server), out)
}
