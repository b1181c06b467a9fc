package esdbapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

// certificate makes one for 127.0.0.1 that signs itself, and the pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// as is the official client of a user, over TLS; nobody has no name.
func (r *rig) as(t testing.TB, pool *x509.CertPool, name, password string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString("esdb://" + r.address + "?maxDiscoverAttempts=1")
	if err != nil {
		t.Fatal(err)
	}
	config.RootCAs, config.Username, config.Password = pool, name, password
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// serveUsers is a server with TLS, an auditor and a writer.
func serveUsers(t testing.TB) (*rig, *x509.CertPool) {
	t.Helper()
	users, err := esdbapi.LoadUsers(usersFile(t, 0o600, "audit:auditor:"+cheapHash(t), "write:writer:"+cheapHash(t)))
	if err != nil {
		t.Fatal(err)
	}
	pair, pool := certificate(t)
	return serve(t, func(c *esdbapi.Config) {
		c.TLS, c.Users = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, users
	}), pool
}

// allowed is no error, and no code of the client.
const allowed esdb.ErrorCode = -1

// codeIn is the client's own code for an error.
func codeIn(err error) esdb.ErrorCode {
	var e *esdb.Error
	if !errors.As(err, &e) {
		return esdb.ErrorCodeUnknown
	}
	return e.Code()
}

// Ensure that everybody may do what his role says and nothing else, with the errors of a real node.
func TestRoles(t *testing.T) {
	t.Parallel()
	r, pool := serveUsers(t)
	r.seed(t, "seeded", 3)
	const denied, unauthenticated = esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated
	for name, c := range map[string]struct {
		user, password string
		reads, appends esdb.ErrorCode
	}{
		"an auditor reads":     {"audit", goodPassword, allowed, denied},
		"a writer does both":   {"write", goodPassword, allowed, allowed},
		"nobody does nothing":  {"", "", denied, denied},
		"a wrong password":     {"write", "wrong horse battery", unauthenticated, unauthenticated},
		"somebody unknown":     {"mallory", goodPassword, unauthenticated, unauthenticated},
		"another's upper case": {"WRITE", goodPassword, unauthenticated, unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := r.as(t, pool, c.user, c.password)
			if got := readCode(within(t), client); got != c.reads {
				t.Errorf("a read answers %v, want %v", got, c.reads)
			}
			_, err := client.AppendToStream(within(t), "by "+name, esdb.AppendToStreamOptions{}, event("A", "{}"), event("B", "{}"))
			if err == nil && c.appends != allowed || err != nil && codeIn(err) != c.appends {
				t.Errorf("an append answers %v, want code %v", err, c.appends)
			}
			sub, err := client.SubscribeToAll(within(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
			if c.reads != allowed {
				if err == nil {
					t.Error("a subscription was let in")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			if e := sub.Recv(); e.EventAppeared == nil {
				t.Errorf("the subscription begins with %+v", e)
			}
		})
	}
	if _, err := r.as(t, pool, "", "").GetServerVersion(); err != nil {
		t.Errorf("the features are not for everybody: %v", err)
	}
}

func readCode(ctx context.Context, c *esdb.Client) esdb.ErrorCode {
	stream, err := c.ReadStream(ctx, "seeded", esdb.ReadStreamOptions{}, 3)
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return allowed
	}
	return codeIn(err)
}

// Ensure that a client which does not trust the certificate, or speaks no TLS, gets nowhere, and the server goes on.
func TestTLSIsNotOptional(t *testing.T) {
	t.Parallel()
	r, pool := serveUsers(t)
	if _, err := r.client(t).GetServerVersion(); err == nil {
		t.Error("a client without TLS was let in")
	}
	if _, err := r.as(t, x509.NewCertPool(), "audit", goodPassword).GetServerVersion(); err == nil {
		t.Error("the client trusts everybody: this proves nothing")
	}
	r.seed(t, "seeded", 3)
	if code := readCode(within(t), r.as(t, pool, "write", goodPassword)); code != allowed {
		t.Errorf("after them a good client is answered %v", code)
	}
}
