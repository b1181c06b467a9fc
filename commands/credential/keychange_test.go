package credential_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/commands/credential"
)

func statuses(tb testing.TB, path string) string {
	tb.Helper()
	ring, err := credential.OpenKeyFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, k := range ring.Keys() {
		all = append(all, k.ID+" "+k.Status.String())
	}
	return strings.Join(all, ", ")
}

func TestTheLifeOfAKey(t *testing.T) {
	t.Parallel()
	path := keyFile(t, header+keyLine(1, keyring.Active))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var ids []string
	expect := func(want string) {
		t.Helper()
		for i, id := range ids {
			want = strings.ReplaceAll(want, fmt.Sprintf("$%d", i), id)
		}
		if got := statuses(t, path); got != want {
			t.Errorf("keys: %s, want %s", got, want)
		}
	}
	ring, err := credential.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := mint(t, ring, session(1), 0)
	for range 3 {
		id, err := credential.AddKey(path, now) // within one second
		if err != nil || !strings.HasPrefix(id, "20260301T120000Z-") {
			t.Fatal(id, err)
		}
		ids = append(ids, id)
	}
	expect("key-1 active, $0 next, $1 next, $2 next")
	if _, err := credential.PromoteKey(path, ""); err == nil || !strings.Contains(err.Error(), "3 keys are next") {
		t.Errorf("promoted one of three: %v", err)
	}
	if id, err := credential.PromoteKey(path, ids[1]); err != nil || id != ids[1] {
		t.Error(id, err)
	}
	if err := credential.RetireKey(path, ids[0]); err != nil {
		t.Error(err)
	}
	expect("key-1 retired, $0 retired, $1 active, $2 next")
	for name, err := range map[string]error{
		"the active key":   credential.RetireKey(path, ids[1]),
		"a retired key":    credential.RetireKey(path, "key-1"),
		"nobody's key":     credential.RetireKey(path, "nobody"),
		"promoted again":   second(credential.PromoteKey(path, "key-1")),
		"promoted nothing": second(credential.PromoteKey(path, "nobody")),
	} {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if id, err := credential.PromoteKey(path, ""); err != nil || id != ids[2] {
		t.Error(id, err)
	}
	expect("key-1 retired, $0 retired, $1 retired, $2 active")
	if ring, err = credential.OpenKeyFile(path); err != nil {
		t.Fatal(err)
	}
	mustRecognise(t, ring, old.Reveal())
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
}

func TestKeysThatAreAddedAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	path := keyFile(t, header+keyLine(1, keyring.Active))
	link := filepath.Join(t.TempDir(), "keys")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			if _, err := credential.AddKey([]string{path, link}[i%2], time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := strings.Count(statuses(t, path), "next"); got != 12 {
		t.Errorf("%d of 12 keys are there", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestAKeyFileThatIsNotThereIsNotChanged(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/keys"
	if _, err := credential.AddKey(path, time.Now()); err == nil {
		t.Error("a key was added to nothing")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made")
	}
}

func TestADigestIsOfOneCommandUnderAnyKey(t *testing.T) {
	t.Parallel()
	before, after := ringOf(t, 1), ringOf(t, 1, 2)
	command, other := credential.NewSecret("log out alice"), credential.NewSecret("log out bob")
	digest := before.Digest(command)
	if len(digest) != 32 || digest != before.Digest(command) || digest == before.Digest(other) || digest == after.Digest(command) {
		t.Errorf("digest %q", digest)
	}
	if !after.IsDigest(digest, command) || after.IsDigest(digest, other) || after.IsDigest("", command) || ringOf(t, 3).IsDigest(digest, command) {
		t.Error("a digest is taken for another command's, or not for its own")
	}
	// Domains: what stands in events for one thing is no proof of another.
	for _, k := range before.Keys() {
		if k.Check == before.Digest(credential.NewSecret("")) || len(k.Check) != 32 {
			t.Errorf("check value %q", k.Check)
		}
	}
}
