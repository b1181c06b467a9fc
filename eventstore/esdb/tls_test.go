package esdb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	gossip "github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

// certificate is one that signs itself, and the file of its authority.
func certificate(t *testing.T) (credentials.TransportCredentials, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "logoutd test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}), file
}

// Ensure that credentials reach the server over TLS, from either place, through a cluster that is found by its gossip.
func TestTLSWithCredentialsInACluster(t *testing.T) {
	t.Parallel()
	creds, ca := certificate(t)
	db := newDatabase()
	node, leader := startServer(t, db, creds), startServer(t, db, creds)
	members := []*gossip.MemberInfo{node.member(gossip.MemberInfo_Follower), leader.member(gossip.MemberInfo_Leader)}
	node.members.Store(&members)
	leader.members.Store(&members)
	hosts := node.addr + "," + leader.addr
	for stream, cfg := range map[string]esdb.Config{
		"in the string": {ConnectionString: "esdb://ada:p%40ss@" + hosts + "?tlsCaFile=" + ca},
		"beside it":     {ConnectionString: "esdb://other:wrong@" + hosts + "?tlsCaFile=" + ca, Username: "ada", Password: "p@ss"},
		"discovered":    {ConnectionString: "esdb+discover://" + node.addr + "?tlsCaFile=" + ca, Username: "ada", Password: "p@ss"},
	} {
		leader.headers.Clear()
		must(t, open(t, cfg), batch(stream, eventstore.NoStream, 1))
		if !leader.saw("authorization: Basic YWRhOnBAc3M=") {
			t.Errorf("%s: the leader was sent no credentials, or others", stream)
		}
	}
	cfg := esdb.Config{ConnectionString: "esdb://ada:hunter2@" + hosts, ConnectTimeout: 5 * time.Second} // without the authority
	_, err := open(t, cfg).Load(patience(t), "s")
	if !errors.Is(err, eventstore.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), hosts) {
		t.Errorf("a server whose certificate nobody vouches for answers %v", err)
	}
}

// Ensure that no error says the password, whatever goes wrong.
func TestNoErrorSaysThePassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	tried := 0
	check := func(err error) {
		t.Helper()
		tried++
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("the error is %v", err)
		}
	}
	for _, s := range []string{
		"", "hunter2", "http://ada:hunter2@h", "esdb://ada:hunter2", "esdb://ada:hunter2@", "esdb://ada:hunter2@h:0", "esdb://ada:hunter2@h:x",
		"esdb://ada:hunter2@[::1]:1", "esdb://ada:hunt/hunter2@h", "esdb://ada:hunt?hunter2@h", "esdb://ada:%zzhunter2@h", "esdb://:hunter2@h",
		"esdb://ada:hunter2@h/path", "esdb://ada:hunter2@h,", "esdb://ada:hunter2@h?tls=hunter", "esdb://ada:hunter2@h?tsl=true",
		"esdb://ada:hunter2@h?tls=true&tls=false", "esdb://ada:hunter2@h?keepAliveInterval=5", "esdb://ada:hunter2@h?defaultDeadline=0",
		"esdb://ada:hunter2@h?tlsCaFile=/none", "esdb://ada:hunter2@h?userCertFile=/none", "esdb+discover://ada:hunter2@h,i", "esdb://ada:hunter2@h?%zz",
		"esdb://ada:hunter2@h?nodePreference=king",
	} {
		_, err := esdb.Open(esdb.Config{ConnectionString: s})
		check(err)
	}
	s := newServer(t)
	for _, code := range []codes.Code{codes.Unauthenticated, codes.Unavailable, codes.Unknown} {
		cfg := config(s)
		cfg.ConnectionString = strings.Replace(cfg.ConnectionString, "://", "://ada:hunter2@", 1)
		cfg.ResolveTimeout = 20 * time.Millisecond
		store := open(t, cfg)
		s.set(faults{
			read:   func(*readReq, readServer) (bool, error) { return true, status.Error(code, "no") },
			refuse: func(context.Context) error { return status.Error(code, "no") },
		})
		_, err := store.Append(t.Context(), batch("s", eventstore.NoStream, 1))
		check(err)
		_, err = store.Load(t.Context(), "s")
		check(err)
	}
	if tried < 20 {
		t.Errorf("%d errors were looked at", tried)
	}
}
