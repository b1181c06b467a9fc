package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// TestTwoLogoutdOverTLS: one serves its events over TLS to users that `logoutd esdb-user` has made, the other works
// on them as the writer. As the auditor it cannot.
func TestTwoLogoutdOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	users := filepath.Join(dir, "users")
	for role, name := range map[string]string{"writer": "logoutd", "auditor": "audit"} {
		password := filepath.Join(dir, role)
		write(t, password, "hunter2 for "+role+"\n", 0o600)
		code, line, stderr := cli("esdb-user", name, "--role="+role, "--password-file="+password)
		if code != exitOK || !strings.HasPrefix(line, name+":"+role+":$argon2id$") || strings.Contains(line+stderr, "hunter2") {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		appendTo(t, users, line)
	}
	data := t.TempDir()
	store := startServer(t, data, "--esdb-allow-append", "--esdb-tls-cert="+certificate, "--esdb-tls-key="+key, "--esdb-users="+users)
	if !strings.HasSuffix(store.ESDB, "?tls=true") {
		t.Errorf("a client is to connect with %s", store.ESDB)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(store.ESDB, "esdb://"), "?tls=true")
	s := startServer(t, t.TempDir(), "--esdb-listen=", "--key-file="+filepath.Join(data, "keys"), "--store=esdb://logoutd:hunter2%20for%20writer@"+address+"?tlsCAFile="+certificate)
	session, token := s.token("alice")
	r := s.logout(newID(), "alice", token)
	if status := s.sessionAt(session, r.Position).Status; status != "revoked" {
		t.Errorf("session is %s, want revoked", status)
	}
	for _, user := range []string{"audit:hunter2%20for%20auditor", "logoutd:hunter2%20for%20nobody"} {
		refused := startServerAs(t, filepath.Join(data, "keys"), "esdb://"+user+"@"+address+"?tlsCAFile="+certificate)
		answer := refused.mustRequest(natsapi.VerbIssueRefreshToken, map[string]any{"user_id": "bob"})
		if answer.status == "" || strings.Contains(string(answer.body), "hunter2") {
			t.Errorf("as %s an issue is answered %q %s", user[:5], answer.status, answer.body)
		}
	}
}

func startServerAs(t *testing.T, keys, store string) *server {
	t.Helper()
	return startServer(t, t.TempDir(), "--esdb-listen=", "--key-file="+keys, "--store="+store)
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // written below
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// selfSigned makes a certificate for 127.0.0.1 that is its own CA.
func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private))
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))})), 0o600)
	return certificate, key
}
