package credential_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands/credential"
)

func TestAKeyFileIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "folder", "keys")
	if _, err := credential.OpenKeyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opened a file that is not there: %v", err)
	}
	first, created, err := credential.OpenOrCreateKeyFile(path, time.Now())
	if err != nil || !created {
		t.Fatalf("created %t: %v", created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
	second, created, err := credential.OpenOrCreateKeyFile(path, time.Now())
	if err != nil || created {
		t.Fatalf("created %t again: %v", created, err)
	}
	if first.Mint(session(1), 0).Reveal() != second.Mint(session(1), 0).Reveal() {
		t.Error("the file has another key the second time")
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the file: %v %v", left, err)
	}
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o660, 0o666, 0o777, 0o610} {
		path := keyFile(t, keyLine(1))
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := credential.OpenKeyFile(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if _, created, err := credential.OpenOrCreateKeyFile(path, time.Now()); err == nil || created {
			t.Errorf("mode %04o: created %t: %v", mode, created, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		path := keyFile(t, keyLine(1))
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := credential.OpenKeyFile(path); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestWhatAKeyFileMayHold(t *testing.T) {
	t.Parallel()
	want := ringOf(t, 1, 2).Mint(session(1), 0).Reveal()
	one, two := keyLine(1), keyLine(2)
	for name, content := range map[string]string{
		"comments and empty lines": "# a comment\n\n" + one + "  \n# another\n" + two + "\n",
		"no line end at the end":   one + strings.TrimSuffix(two, "\n"),
		"line ends of Windows":     strings.ReplaceAll(one+two, "\n", "\r\n"),
		"more space than needed":   "  " + strings.Replace(one, " ", "   ", 1) + two,
	} {
		ring, err := credential.OpenKeyFile(keyFile(t, content))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ring.Mint(session(1), 0).Reveal() != want {
			t.Errorf("%s: other keys, or in another order", name)
		}
		mustRecognise(t, ring, ringOf(t, 1).Mint(session(1), 0).Reveal())
	}
}

func TestABadKeyFileIsRefusedWithoutShowingAKey(t *testing.T) {
	t.Parallel()
	line := keyLine(7)
	material := strings.TrimSpace(strings.TrimPrefix(line, "key-7 "))
	manyKeys := strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 1100) + line
	for name, c := range map[string]struct{ content, want string }{
		"an empty file":                     {"", "no key in it"},
		"only comments":                     {"# nothing here\n\n", "no key in it"},
		"an id twice":                       {line + line, "line 2: key id used twice"},
		"a key too short":                   {"id " + material[:40] + "\n", "line 1: want"},
		"a key too long":                    {"id " + material[:43] + "AAAA=\n", "line 1: want"},
		"no base64":                         {line + "id " + strings.Repeat("*", 44) + "\n", "line 2: want"},
		"base64 for URLs":                   {"id " + strings.Repeat("_", 43) + "=\n", "line 1: want"},
		"a key without an id":               {material + "\n", "line 1: want"},
		"an id without a key":               {"id\n", "line 1: want"},
		"text behind the key":               {strings.TrimSpace(line) + " more\n", "line 1: want"},
		"a line that is far too long":       {line + "id " + strings.Repeat(material, 5000) + "\n", "a line is too long"},
		"a key behind a megabyte":           {manyKeys, "over 1048576 bytes"},
		"a key cut off where the file ends": {line + "id " + material[:20], "line 2: want"},
	} {
		path := keyFile(t, c.content)
		_, err := credential.OpenKeyFile(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), material[:8]) || strings.Contains(err.Error(), "***") {
			t.Errorf("%s: the error shows what is in the file: %v", name, err)
		}
		// What is there is never replaced: it may be all that is left of the keys.
		if _, created, err := credential.OpenOrCreateKeyFile(path, time.Now()); err == nil || created {
			t.Errorf("%s: created %t: %v", name, created, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != c.content {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}

func TestAKeyFileIsAFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := credential.OpenKeyFile(folder); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if _, created, err := credential.OpenOrCreateKeyFile(folder, time.Now()); err == nil || created {
		t.Errorf("created %t: %v", created, err)
	}
	// A file stands where the folder should be.
	if _, created, err := credential.OpenOrCreateKeyFile(filepath.Join(keyFile(t, "x"), "keys"), time.Now()); err == nil || created {
		t.Errorf("created %t: %v", created, err)
	}
}

func TestThoseWhoMakeTheKeyFileTogetherAgree(t *testing.T) {
	t.Parallel()
	const starters = 16
	path := filepath.Join(t.TempDir(), "keys")
	type made struct {
		token   string
		created bool
		err     error
	}
	results := make(chan made)
	start := make(chan struct{})
	for range starters {
		go func() { // sends one result, and each is received
			<-start
			ring, created, err := credential.OpenOrCreateKeyFile(path, time.Now())
			m := made{created: created, err: err}
			if err == nil {
				m.token = ring.Mint(session(1), 0).Reveal()
			}
			results <- m
		}()
	}
	close(start)
	tokens, makers := map[string]bool{}, 0
	for range starters {
		m := <-results
		if m.err != nil {
			t.Error(m.err)
		}
		if tokens[m.token] = true; m.created {
			makers++
		}
	}
	if len(tokens) != 1 || makers != 1 {
		t.Errorf("%d different keys, %d say that they made the file", len(tokens), makers)
	}
}
