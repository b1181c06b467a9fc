package credential

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/logoutd/logoutd/aggregates/keyring"
)

// A key file is text. After the header each line is the id of a key, its status, 32 bytes in base64,
// and the CRC-32C of the line up to there; lines that start with # are comments. Exactly one key is
// active. The commands of `logoutd keys` write it.
const (
	keyFileHeader = "logoutd keys 1"
	keyFileHelp   = "# Anyone who can read this file can forge tokens; without it, none is recognised. Keep a backup.\n" +
		"# id, status, key, checksum. Change it with: logoutd keys add | promote | retire\n"

	// keyBytes is the length of a key: that of the BLAKE2b-256 output.
	keyBytes = 32
	// maxKeyFileBytes bounds what is read: thousands of keys fit.
	maxKeyFileBytes = 1 << 20
)

// OpenKeyFile reads a key file. One that its group or others may read, or with a damaged line, is
// refused (K6). The error names the file and the line, and never shows a key.
func OpenKeyFile(path string) (*Ring, error) {
	// Asked before it is opened: opening a pipe waits for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s: not a regular file", path)
	}
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s: mode %04o lets others read it; run: chmod 600 %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(content) > maxKeyFileBytes {
		return nil, fmt.Errorf("key file %s: over %d bytes", path, maxKeyFileBytes)
	}
	keys, err := parseKeys(content)
	if err == nil {
		err = checkKeys(keys)
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return ringOf(keys), nil
}

func ringOf(keys []key) *Ring {
	return &Ring{keys: keys, active: slices.IndexFunc(keys, func(k key) bool { return k.status == keyring.Active })}
}

// parseKeys reads lines; its errors name the line and never show it.
func parseKeys(content []byte) ([]key, error) {
	var keys []key
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case n == 1 && line != keyFileHeader:
			return nil, fmt.Errorf("line 1: want %q; this is no key file, or one of another version of logoutd: restore the right one from your backup", keyFileHeader)
		case n == 1, line == "", strings.HasPrefix(line, "#"):
			continue
		}
		k, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if slices.ContainsFunc(keys, func(other key) bool { return other.id == k.id }) {
			return nil, fmt.Errorf("line %d: key id used twice", n)
		}
		keys = append(keys, k)
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("a line is too long")
	}
	return keys, nil
}

func parseKey(line string) (key, error) {
	parts := strings.Fields(line)
	if len(parts) != 4 {
		return key{}, errors.New("want an id, a status, a key and a checksum; restore the file from your backup")
	}
	if parts[3] != checksum(parts[0], parts[1], parts[2]) {
		return key{}, errors.New("the checksum is wrong: the line was damaged or changed by hand; restore the file from your backup")
	}
	status, err := keyring.ParseStatus(parts[1])
	if err != nil {
		return key{}, err
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(secret) != keyBytes {
		return key{}, fmt.Errorf("want %d bytes in base64", keyBytes)
	}
	return key{id: parts[0], status: status, secret: secret}, keyring.CheckID(parts[0])
}

// checkKeys sees that there is one active key.
func checkKeys(keys []key) error {
	active := 0
	for _, k := range keys {
		if k.status == keyring.Active {
			active++
		}
	}
	switch {
	case len(keys) == 0:
		return errors.New("no key in it; restore it from your backup")
	case active == 0:
		return errors.New("no key is active; restore it from your backup")
	case active > 1:
		return errors.New("more than one key is active; restore it from your backup")
	}
	return nil
}

// formatKeys is what parseKeys reads.
func formatKeys(keys []key) []byte {
	b := []byte(keyFileHeader + "\n" + keyFileHelp)
	for _, k := range keys {
		status, secret := k.status.String(), base64.StdEncoding.EncodeToString(k.secret)
		b = fmt.Appendf(b, "%s %s %s %s\n", k.id, status, secret, checksum(k.id, status, secret))
	}
	return b
}

func checksum(id, status, secret string) string {
	sum := crc32.Checksum([]byte(id+" "+status+" "+secret), crc32.MakeTable(crc32.Castagnoli))
	return fmt.Sprintf("%08x", sum)
}

func randomKey() []byte {
	b := make([]byte, keyBytes)
	rand.Read(b) //nolint:errcheck // never fails, by its documentation
	return b
}
