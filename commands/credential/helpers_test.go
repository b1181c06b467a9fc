package credential_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
)

// keyLine is a line of a key file; the same number gives the same key.
func keyLine(n byte) string {
	key := make([]byte, 32)
	for i := range key {
		key[i] = n
	}
	return fmt.Sprintf("key-%d %s\n", n, base64.StdEncoding.EncodeToString(key))
}

func keyFile(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// ringOf opens a file with the keys of these numbers, the oldest first.
func ringOf(tb testing.TB, keys ...byte) *credential.Ring {
	tb.Helper()
	var content strings.Builder
	for _, n := range keys {
		content.WriteString(keyLine(n))
	}
	ring, err := credential.OpenKeyFile(keyFile(tb, content.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
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
