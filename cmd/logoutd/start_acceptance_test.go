package main

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestServeRefusesABadStart: one line that says what is wrong and what to do, exit 1 or 2, and
// nothing changed in the data folder.
func TestServeRefusesABadStart(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel cases
	port := taken.Addr().String()
	for name, c := range map[string]struct {
		args    []string
		prepare func(t *testing.T, data string)
		code    int
		says    []string
	}{
		"the HTTP port is taken":           {args: []string{"--http=" + port}, code: exitFailed, says: []string{port, "--http"}},
		"the NATS port is taken":           {args: []string{"--nats-listen=" + port}, code: exitFailed, says: []string{port, "--nats-listen"}},
		"the EventStoreDB port is taken":   {args: []string{"--esdb-listen=" + port}, code: exitFailed, says: []string{port, "--esdb-listen"}},
		"EventStoreDB beyond loopback":     {args: []string{"--esdb-listen=0.0.0.0:0"}, code: exitFailed, says: []string{"loopback", "--esdb-tls-cert"}},
		"users and no TLS":                 {args: []string{"--esdb-users=users"}, code: exitUsage, says: []string{"--esdb-tls-cert"}},
		"a certificate that is not there":  {args: []string{"--esdb-users=x", "--esdb-tls-cert=gone", "--esdb-tls-key=gone"}, code: exitFailed, says: []string{"gone", "--esdb-tls-cert"}},
		"appends and no protocol":          {args: []string{"--esdb-listen=", "--esdb-allow-append"}, code: exitUsage, says: []string{"--esdb-listen"}},
		"a store of another client":        {args: []string{"--store=kurrentdb://x:1"}, code: exitUsage, says: []string{"esdb://"}},
		"a store away, and no keys yet":    {args: []string{"--store=esdb://127.0.0.1:1?tls=false"}, code: exitFailed, says: []string{"127.0.0.1:1", "keys"}},
		"NATS beyond loopback":             {args: []string{"--nats-listen=0.0.0.0:0"}, code: exitFailed, says: []string{"loopback", "--nats-url"}},
		"no NATS server at the URL":        {args: []string{"--nats-url=nats://" + "127.0.0.1:1"}, code: exitFailed, says: []string{"127.0.0.1:1", "--nats-url"}},
		"a URL and an embedded server":     {args: []string{"--nats-url=nats://x:1", "--nats-listen=127.0.0.1:0"}, code: exitUsage, says: []string{"exclude"}},
		"credentials and no URL":           {args: []string{"--nats-user=a", "--nats-password=b"}, code: exitUsage, says: []string{"--nats-url"}},
		"a user without a password":        {args: []string{"--nats-url=nats://x:1", "--nats-user=a"}, code: exitUsage, says: []string{"--nats-password"}},
		"two ways to be somebody":          {args: []string{"--nats-url=nats://x:1", "--nats-token=a", "--nats-nkey=b"}, code: exitUsage, says: []string{"exclude"}},
		"a store that is not known":        {args: []string{"--store=mysql://x"}, code: exitUsage, says: []string{"--store"}},
		"a read model that is not known":   {args: []string{"--readmodel=mysql://x"}, code: exitUsage, says: []string{"--readmodel", "sqlite:"}},
		"a flag that is not known":         {args: []string{"--sotre=embedded"}, code: exitUsage, says: []string{"--sotre"}},
		"an argument that is not known":    {args: []string{"now"}, code: exitUsage, says: []string{"now"}},
		"a duration that is none":          {args: []string{"--token-ttl=soon"}, code: exitUsage, says: []string{"--token-ttl"}},
		"a session shorter than its token": {args: []string{"--family-ttl=1h"}, code: exitUsage, says: []string{"--family-ttl", "--token-ttl"}},
		"a subject prefix with a wildcard": {args: []string{"--subject-prefix=a.*"}, code: exitUsage, says: []string{"prefix"}},
		"no room for the store":            {args: []string{"--min-free-mib=142"}, code: exitUsage, says: []string{"--min-free-mib", "143"}},
		"no place for the queue":           {args: []string{"--queue-limit=0"}, code: exitUsage, says: []string{"--queue-limit"}},
		"a key file that others can read": {code: exitFailed, says: []string{"keys", "chmod 600"}, prepare: func(t *testing.T, data string) {
			write(t, filepath.Join(data, "keys"), "k AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0o644)
		}},
		"a key file without a key": {code: exitFailed, says: []string{"keys", "no key"}, prepare: func(t *testing.T, data string) {
			write(t, filepath.Join(data, "keys"), "# nothing\n", 0o600)
		}},
		"a key file that is lost": {code: exitFailed, says: []string{"keys", "backup"}, prepare: func(t *testing.T, data string) {
			withEvents(t, data)
			remove(t, filepath.Join(data, "keys"))
		}},
		"a folder of something else": {code: exitFailed, says: []string{"events"}, prepare: func(t *testing.T, data string) {
			write(t, filepath.Join(data, "events", "letters.txt"), "dear diary\n", 0o600)
		}},
		"a newer store": {code: exitFailed, says: []string{"newer"}, prepare: func(t *testing.T, data string) {
			withEvents(t, data)
			write(t, filepath.Join(data, "events", "FORMAT"), "logoutd event store 99\n", 0o600)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			if c.prepare != nil {
				c.prepare(t, data)
			}
			before := listing(t, data)
			args := append([]string{"serve", "--data=" + data, "--log-level=error"}, defaultsFor(c.args)...)
			var out, stderr bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // it must not start at all
			defer cancel()
			code := run(ctx, args, noEnvironment, &out, &stderr)
			message := strings.TrimSuffix(strings.TrimSuffix(stderr.String(), "\n"), "\nlogoutd: see: logoutd help")
			if code != c.code || strings.Contains(message, "\n") {
				t.Errorf("exit %d, want %d and one line: %s", code, c.code, stderr.String())
			}
			for _, word := range c.says {
				if !strings.Contains(message, word) {
					t.Errorf("%q does not say %q", message, word)
				}
			}
			if c.prepare == nil && !slices.Equal(before, listing(t, data)) {
				t.Errorf("the data folder has changed: %v", listing(t, data))
			}
		})
	}
}

// defaultsFor adds free ports where a case says nothing of them.
func defaultsFor(args []string) []string {
	has := func(flag string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, flag) })
	}
	if !has("--http") {
		args = append(args, "--http=127.0.0.1:0")
	}
	if !has("--nats-") {
		args = append(args, "--nats-listen=127.0.0.1:0")
	}
	if !has("--esdb-listen") {
		args = append(args, "--esdb-listen=127.0.0.1:0")
	}
	return args
}

// TestServeRefusesAFolderInUse: a second logoutd on the same data says so and leaves the first alone.
func TestServeRefusesAFolderInUse(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := startServer(t, data)
	code, _, stderr := cli(serveArgs(data)...)
	if code != exitFailed || !strings.Contains(stderr, "in use") || !strings.Contains(stderr, "--data") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	first.logout(newID(), "alice", "0123456789abcdef")
}

// TestEnvironmentSetsFlags: every flag is a variable, and a wrong one is named.
func TestEnvironmentSetsFlags(t *testing.T) {
	t.Parallel()
	env := func(values map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	}
	var out, stderr bytes.Buffer
	code := run(context.Background(), []string{"config"}, env(map[string]string{"LOGOUTD_QUEUE_LIMIT": "77"}), &out, &stderr)
	if code != exitOK || !strings.Contains(out.String(), "77") || !strings.Contains(out.String(), "environment") {
		t.Errorf("exit %d: %s%s", code, out.String(), stderr.String())
	}
	code = run(context.Background(), []string{"config"}, env(map[string]string{"LOGOUTD_QUEUE_LIMIT": "many"}), &out, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "LOGOUTD_QUEUE_LIMIT") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

// withEvents leaves the data of a logoutd that has run.
func withEvents(t *testing.T, data string) {
	t.Helper()
	s := startServer(t, data)
	_, token := s.token("alice")
	r := s.logout(newID(), "alice", token)
	s.get("/v1/tokens", map[string][]string{"min_position": {r.Position}})
	s.stop()
}

func write(t *testing.T, file, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func listing(t *testing.T, folder string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		files = append(files, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
