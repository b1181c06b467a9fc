package credential

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keyBytes is the length of a key: that of the BLAKE2b-256 output.
const keyBytes = 32

// maxKeyFileBytes bounds what is read: thousands of keys fit.
const maxKeyFileBytes = 1 << 20

// NewRing makes a ring of one random key that lives in memory only.
func NewRing() *Ring {
	return &Ring{keys: []key{{id: "memory", secret: randomKey()}}}
}

// OpenKeyFile reads a key file. Each line is the id of a key, a space, and 32 bytes in base64;
// lines that start with # are comments. The last line is the newest key: to rotate,
// append a line and restart; to retire a key, delete its line once no token of it lives.
//
// A file that its group or others may read is refused (K6).
func OpenKeyFile(path string) (*Ring, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s: not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s: mode %04o lets others read it; run: chmod 600 %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(content) > maxKeyFileBytes { // the newest key is at the end: never read a part
		return nil, fmt.Errorf("key file %s: over %d bytes", path, maxKeyFileBytes)
	}
	ring, err := parseKeys(content)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return ring, nil
}

// OpenOrCreateKeyFile is OpenKeyFile, but makes a file with one key where there is none.
// created tells which it was; of processes that start together it is true for one.
func OpenOrCreateKeyFile(path string, now time.Time) (ring *Ring, created bool, err error) {
	ring, err = OpenKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, false, err
	}
	if created, err = createKeyFile(path, now); err != nil {
		return nil, false, fmt.Errorf("key file %s: %w", path, err)
	}
	ring, err = OpenKeyFile(path)
	return ring, created, err
}

// createKeyFile writes beside the target and links it into place, so that a crash leaves
// no half file and two processes that start together agree on one key.
func createKeyFile(path string, now time.Time) (created bool, err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(folder, ".keys-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is linked, or of no use
	id := now.UTC().Format("20060102T150405Z")
	_, err = fmt.Fprintf(f, "# logoutd keys: id, then 32 bytes in base64. The last line is the newest key.\n"+
		"# Whoever reads this file can forge tokens. Without it, living tokens are not recognised.\n%s %s\n",
		id, base64.StdEncoding.EncodeToString(randomKey()))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	err = os.Link(f.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	created = err == nil
	dir, err := os.Open(folder) //nolint:gosec // the operator names the folder
	if err != nil {
		return created, err
	}
	return created, errors.Join(dir.Sync(), dir.Close())
}

// parseKeys reads lines; its errors name the line and never show it.
func parseKeys(content []byte) (*Ring, error) {
	var keys []key
	ids := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, encoded, found := strings.Cut(line, " ")
		secret, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
		if !found || err != nil || len(secret) != keyBytes {
			return nil, fmt.Errorf("line %d: want an id, a space and %d bytes in base64", n, keyBytes)
		}
		if ids[id] {
			return nil, fmt.Errorf("line %d: key id used twice", n)
		}
		ids[id] = true
		keys = append([]key{{id: id, secret: secret}}, keys...)
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("a line is too long")
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it; delete the file to have one made, or restore it from your backup")
	}
	return &Ring{keys: keys}, nil
}

func randomKey() []byte {
	b := make([]byte, keyBytes)
	rand.Read(b) //nolint:errcheck // never fails, by its documentation
	return b
}
