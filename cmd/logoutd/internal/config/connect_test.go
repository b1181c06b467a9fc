package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
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

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
)

// TestConnectAsSomebody reaches real NATS servers in every way that the flags offer, and is
// refused by each when it comes as nobody.
func TestConnectAsSomebody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(t *testing.T, o *server.Options) config.NATS{
		"user and password": func(_ *testing.T, o *server.Options) config.NATS {
			o.Username, o.Password = "bob", "hunter2"
			return config.NATS{User: "bob", Password: "hunter2"}
		},
		"token": func(_ *testing.T, o *server.Options) config.NATS {
			o.Authorization = "s3cret"
			return config.NATS{Token: "s3cret"}
		},
		"nkey": func(t *testing.T, o *server.Options) config.NATS {
			user, public := key(t, nkeys.CreateUser)
			o.Nkeys = []*server.NkeyUser{{Nkey: public}}
			return config.NATS{NKey: file(t, seed(t, user))}
		},
		"credentials file": credentials,
		"TLS with a client certificate": func(t *testing.T, o *server.Options) config.NATS {
			ca, certificate, private := certificates(t)
			pair, err := tls.LoadX509KeyPair(certificate, private)
			if err != nil {
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(read(t, ca))
			o.TLS, o.TLSVerify = true, true
			o.TLSConfig = &tls.Config{
				Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
				MinVersion: tls.VersionTLS12,
			}
			return config.NATS{TLSCA: ca, TLSCert: certificate, TLSKey: private}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}
			settings := c(t, options)
			settings.URL, settings.SubjectPrefix = start(t, options), "auth"
			if err := settings.Check(); err != nil {
				t.Fatal(err)
			}
			conn, err := settings.Connect("test", zerolog.Nop())
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			conn.Close()
			nobody := config.NATS{URL: settings.URL}
			if conn, err := nobody.Connect("test", zerolog.Nop()); err == nil {
				conn.Close()
				t.Error("the server lets nobody in: this case proves nothing")
			} else if !strings.Contains(err.Error(), "--nats-url") {
				t.Errorf("error does not say what to check: %v", err)
			}
		})
	}
}

func TestConnectErrorsHideSecrets(t *testing.T) {
	t.Parallel()
	n := config.NATS{URL: "nats://bob:hunter2@127.0.0.1:1"}
	if _, err := n.Connect("test", zerolog.Nop()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error("no error, or one that shows the password of the URL")
	}
	if got := config.Redact("nats://a:b@x:1, nats://y:2,nats://tok@z:3"); strings.Contains(got, "b@") || strings.Contains(got, "tok") || !strings.Contains(got, "y:2") {
		t.Errorf("redacted to %s", got)
	}
}

func start(t *testing.T, o *server.Options) string {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("server is not ready")
	}
	return s.ClientURL()
}

// credentials sets up an operator, an account and a user, as `nsc` would.
func credentials(t *testing.T, o *server.Options) config.NATS {
	operator, operatorKey := key(t, nkeys.CreateOperator)
	account, accountKey := key(t, nkeys.CreateAccount)
	system, systemKey := key(t, nkeys.CreateAccount)
	user, userKey := key(t, nkeys.CreateUser)
	claims := jwt.NewOperatorClaims(operatorKey)
	claims.SystemAccount = systemKey
	o.TrustedOperators = []*jwt.OperatorClaims{claims}
	o.SystemAccount = systemKey
	resolver := &server.MemAccResolver{}
	for public := range map[string]nkeys.KeyPair{accountKey: account, systemKey: system} {
		token, err := jwt.NewAccountClaims(public).Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		if err := resolver.Store(public, token); err != nil {
			t.Fatal(err)
		}
	}
	o.AccountResolver = resolver
	token, err := jwt.NewUserClaims(userKey).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, seed(t, user))
	if err != nil {
		t.Fatal(err)
	}
	return config.NATS{Creds: file(t, creds)}
}

func key(t *testing.T, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string) {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	return pair, public
}

func seed(t *testing.T, pair nkeys.KeyPair) []byte {
	t.Helper()
	s, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// certificates makes a CA and one certificate for both sides.
func certificates(t *testing.T) (ca, certificate, private string) {
	t.Helper()
	caKey, caDER := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	parent, err := x509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	own, der := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, parent, caKey)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return file(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", caDER), block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

func sign(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent, by = template, own
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &own.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return own, der
}

func file(t *testing.T, content []byte) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // written below
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(f.Name())
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	return b
}
