package credential_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/keyring"
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
	if mint(t, first, session(1), 0).Reveal() != mint(t, second, session(1), 0).Reveal() {
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
		path := keyFile(t, header+keyLine(1, keyring.Active))
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
		path := keyFile(t, header+keyLine(1, keyring.Active))
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
	want := mint(t, ringOf(t, 1, 2), session(1), 0).Reveal()
	one, two := keyLine(1, keyring.Retired), keyLine(2, keyring.Active)
	for name, content := range map[string]string{
		"comments and empty lines": header + "# a comment\n\n" + one + "  \n# another\n" + two + "\n",
		"no line end at the end":   header + one + strings.TrimSuffix(two, "\n"),
		"line ends of Windows":     strings.ReplaceAll(header+one+two, "\n", "\r\n"),
		"more space than needed":   header + "  " + strings.Replace(one, " ", "   ", 1) + two,
		"the active key first":     header + two + one,
		"a key to come":            header + one + two + keyLine(3, keyring.Next),
	} {
		ring, err := credential.OpenKeyFile(keyFile(t, content))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if mint(t, ring, session(1), 0).Reveal() != want {
			t.Errorf("%s: another key is active", name)
		}
		mustRecognise(t, ring, mint(t, ringOf(t, 1), session(1), 0).Reveal())
	}
}

func TestABadKeyFileIsRefusedWithoutShowingAKey(t *testing.T) {
	t.Parallel()
	good := keyLine(7, keyring.Active)
	material := strings.Fields(good)[2]
	flipped := strings.Replace(good, "BwcH", "BwcI", 1)
	manyKeys := strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 1100) + good
	for name, c := range map[string]struct{ content, want string }{
		"an empty file":                      {"", "no key in it"},
		"a file without a header":            {good, "line 1: want \"logoutd keys 1\""},
		"a file of a later version":          {"logoutd keys 2\n" + good, "line 1: want \"logoutd keys 1\""},
		"only comments":                      {header + "# nothing here\n\n", "no key in it"},
		"an id twice":                        {header + good + good, "line 3: key id used twice"},
		"one flipped character":              {header + flipped, "line 2: the checksum is wrong"},
		"a status that was changed by hand":  {header + strings.Replace(good, "active", "retired", 1), "line 2: the checksum is wrong"},
		"a status that is none":              {header + line("id", "newest", material), "line 2: not a status"},
		"a key too short":                    {header + line("id", "active", material[:40]), "line 2: want 32 bytes"},
		"a key too long":                     {header + line("id", "active", material[:43]+"AAAA="), "line 2: want 32 bytes"},
		"no base64":                          {header + good + line("id", "next", strings.Repeat("*", 44)), "line 3: want 32 bytes"},
		"base64 for URLs":                    {header + line("id", "active", strings.Repeat("_", 43)+"="), "line 2: want 32 bytes"},
		"an id that is none":                 {header + line("i/d", "active", material), "line 2: a key id is"},
		"a key without an id":                {header + material + "\n", "line 2: want an id"},
		"a line of an older version":         {header + "id " + material + "\n", "line 2: want an id"},
		"text behind the checksum":           {header + strings.TrimSpace(good) + " more\n", "line 2: want an id"},
		"no active key":                      {header + keyLine(1, keyring.Next) + keyLine(2, keyring.Retired), "no key is active"},
		"two active keys":                    {header + good + keyLine(1, keyring.Active), "more than one key is active"},
		"a line that is far too long":        {header + good + "id " + strings.Repeat(material, 5000) + "\n", "a line is too long"},
		"a key behind a megabyte":            {header + manyKeys, "over 1048576 bytes"},
		"a key cut off where the file ends":  {header + good + keyLine(8, keyring.Next)[:30], "line 3: want an id"},
		"a line cut off within its checksum": {header + good + strings.TrimSpace(keyLine(8, keyring.Next))[:60], "line 3: the checksum is wrong"},
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
		if _, err := credential.AddKey(path, time.Now()); err == nil {
			t.Errorf("%s: a key was added", name)
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
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := credential.OpenKeyFile(pipe); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
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
				m.token = mint(t, ring, session(1), 0).Reveal()
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
