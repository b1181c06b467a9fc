package credential_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
)

// header begins a key file.
const header = "logoutd keys 1\n"

// keyLine is a line of a key file; the same number gives the same key.
func keyLine(n byte, status keyring.Status) string {
	return line(fmt.Sprintf("key-%d", n), status.String(), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32)))
}

// line adds the checksum, which is written out here so that a mistake in it is seen.
func line(id, status, key string) string {
	text := id + " " + status + " " + key
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

func keyFile(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// ringOf opens a file with the keys of these numbers, the oldest first and the last one active.
func ringOf(tb testing.TB, keys ...byte) *credential.Ring {
	tb.Helper()
	var content strings.Builder
	content.WriteString(header)
	for i, n := range keys {
		status := keyring.Retired
		if i == len(keys)-1 {
			status = keyring.Active
		}
		content.WriteString(keyLine(n, status))
	}
	ring, err := credential.OpenKeyFile(keyFile(tb, content.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// aRing is a ring that no other has.
func aRing(tb testing.TB) *credential.Ring {
	tb.Helper()
	ring, _, err := credential.OpenOrCreateKeyFile(filepath.Join(tb.TempDir(), "keys"), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// mint makes a token with the active key.
func mint(tb testing.TB, ring *credential.Ring, session refreshtoken.SessionID, generation uint32) credential.Secret {
	tb.Helper()
	token, err := ring.Mint(ring.ActiveID(), session, generation)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func session(n byte) refreshtoken.SessionID {
	return refreshtoken.SessionIDFrom([16]byte{15: n, 6: 0x70, 8: 0x80})
}

func mustRecognise(tb testing.TB, ring *credential.Ring, token string) credential.Presented {
	tb.Helper()
	p, err := ring.Recognise(credential.NewSecret(token))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
