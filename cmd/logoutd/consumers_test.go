package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// consumerPatience bounds each wait for a consumer. Nothing takes a tenth of it.
const consumerPatience = 60 * time.Second

// consumer is a program of docs/consumers that writes events to a file.
type consumer struct {
	argv       []string // without what start adds
	dir        string   // that it runs in
	prefixes   []string // of the streams that it copies
	resolution time.Duration
}

// consumerFiles are where one consumer keeps its work.
type consumerFiles struct{ out, checkpoint string }

func newConsumerFiles(t *testing.T) consumerFiles {
	t.Helper()
	dir := t.TempDir()
	return consumerFiles{filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "checkpoint")}
}

// running is a consumer as a process of its own.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *syncBuffer
	ended  chan struct{} // closed when it has ended
}

func (c consumer) start(t *testing.T, connection string, files consumerFiles, extra ...string) *running {
	t.Helper()
	args := append(slices.Clone(c.argv[1:]), "--connection", connection, "--out", files.out, "--checkpoint", files.checkpoint)
	return startProgram(t, c.dir, c.argv[0], append(args, extra...)...)
}

// startProgram runs a program until the test ends or kills it.
func startProgram(t *testing.T, dir, name string, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(name, args...), stderr: new(syncBuffer), ended: make(chan struct{})}
	r.cmd.Dir = dir
	r.cmd.Stderr = r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // kill waits for it
		_ = r.cmd.Wait() // the exit code is in ProcessState
		close(r.ended)
	}()
	t.Cleanup(r.kill)
	return r
}

// kill is kill -9, and waits until the process is gone.
func (r *running) kill() {
	_ = r.cmd.Process.Kill()
	<-r.ended
}

// exit waits until the process ends by itself and answers its code.
func (r *running) exit() int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(consumerPatience):
		r.t.Fatalf("%s does not end: %s", r.cmd, r.stderr.String())
	}
	return r.cmd.ProcessState.ExitCode()
}

// terminate is kill -15, after which it must end well.
func (r *running) terminate() {
	r.t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	if code := r.exit(); code != 0 {
		r.t.Errorf("%s ended with %d on SIGTERM: %s", r.cmd, code, r.stderr.String())
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool, told func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), consumerPatience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("never %s: %s", what, told())
		}
	}
}

// lines counts the lines of a file; one that does not exist has none.
func lines(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// grows waits until the output has so many more lines.
func (r *running) grows(files consumerFiles, by int) {
	r.t.Helper()
	want := lines(r.t, files.out) + by
	eventually(r.t, fmt.Sprintf("grew by %d lines", by), func() bool { return lines(r.t, files.out) >= want }, r.stderr.String)
}

// saved waits for the first checkpoint, which comes after the lines, and answers what it holds.
func (r *running) saved(files consumerFiles) []byte {
	r.t.Helper()
	var b []byte
	eventually(r.t, "saved a checkpoint", func() bool {
		var err error
		b, err = os.ReadFile(files.checkpoint)
		return err == nil
	}, r.stderr.String)
	return b
}

// reaches waits until the output ends with the event at a position.
func (r *running) reaches(files consumerFiles, position string) {
	r.t.Helper()
	at := []byte(`{"position":"` + position + `",`)
	eventually(r.t, "reached position "+position, func() bool {
		b, err := os.ReadFile(files.out)
		return err == nil && bytes.Contains(b, at) && bytes.HasSuffix(b, []byte("\n"))
	}, r.stderr.String)
}

// matching are the events of the streams that a consumer copies, as logoutd itself shows them.
func (c consumer) matching(s *server) []event {
	return slices.DeleteFunc(s.events(url.Values{}), func(e event) bool {
		return !slices.ContainsFunc(c.prefixes, func(p string) bool { return strings.HasPrefix(e.Stream, p) })
	})
}

// compare holds the whole output of a consumer against the record: the same events, in the same order, once.
func (c consumer) compare(t *testing.T, want []event, output []byte) {
	t.Helper()
	var got []event
	for in := json.NewDecoder(bytes.NewReader(output)); in.More(); {
		var e event
		if err := in.Decode(&e); err != nil {
			t.Fatalf("line %d of the output: %v", len(got)+1, err)
		}
		got = append(got, e)
	}
	if len(got) != len(want) {
		t.Errorf("the consumer has %d events, the record %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g, w := c.normal(t, got[i]), c.normal(t, want[i]); g != w {
			t.Fatalf("event %d of the consumer is\n%s\nand of the record\n%s", i, g, w)
		}
	}
}

// normal is an event as text, its time as exact as the client can tell it.
func (c consumer) normal(t *testing.T, e event) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, e.RecordedAt)
	if err != nil {
		t.Fatalf("position %s: recorded_at: %v", e.Position, err)
	}
	e.RecordedAt = at.Truncate(c.resolution).String()
	return string(mustJSON(e))
}

// fixedPort is a free port outside the range from which the system gives ports away, so that nobody takes it
// while the server that is to have it is dead.
func fixedPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close() //nolint:errcheck // was only to see whether it is free
			return address
		}
	}
	t.Fatal("found no free port")
	return ""
}

// load opens and ends sessions, and has logouts refused, until the server dies or stop is called.
func (p *process) load(t *testing.T) (stop func()) {
	t.Helper()
	const connections, pace = 2, 4 * time.Millisecond // the consumers need the processor, too
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for c := range connections {
		conn, err := nats.Connect(p.NATS, nats.MaxReconnects(0))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close()
			own := server{t: t, conn: conn}
			next := time.NewTicker(pace)
			defer next.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-next.C
				if _, err := own.issueAndLogout(fmt.Sprintf("user-%d-%d", c, i)); err != nil {
					return // the kill
				}
				if _, err := own.request("logout_user", mustJSON(logoutFields(newID(), "mallory", "lt1_guessed-and-wrong"))); err != nil {
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(stop)
	return stop
}
