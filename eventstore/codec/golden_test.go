package codec_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// golden is a file of testdata: one event as some version of logoutd stored it (C2).
type golden struct {
	Type     string          `json:"type"`
	Schema   int             `json:"schema"`
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
}

func (g golden) recorded() eventstore.Recorded {
	return eventstore.Recorded{
		Stream: "refreshToken-x", Revision: 7,
		Event: eventstore.Event{Type: g.Type, Data: g.Data, Metadata: g.Metadata},
	}
}

// goldens reads every golden file of the events about tokens, by its name without extension.
func goldens(tb testing.TB) map[string]golden {
	tb.Helper()
	return goldensIn(tb, "testdata")
}

func goldensIn(tb testing.TB, folder string) map[string]golden {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("found %d golden files: %v", len(files), err)
	}
	all := make(map[string]golden, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this package
		if err != nil {
			tb.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(text, &g); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if want := fmt.Sprintf("%s.v%d", g.Type, g.Schema); name != want && !strings.HasPrefix(name, want+".") {
			tb.Errorf("%s holds %s", file, want)
		}
		all[name] = g
	}
	return all
}

// The values that the golden files stand for. They are written out here, so that a mistake made alike in
// encoding and decoding is still seen.
const (
	sessionText = "01890a5d-ac96-774b-bcce-b302099a8057"
	commandText = "0198f3c2-7d1e-7a44-9b1f-5e2d8c6a4b10"
	fingerprint = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	keyID       = "20260301T000000Z"
	escapes     = "Zoë \"王\" \\ <b>&"
)

var (
	session = refreshtoken.SessionIDFrom([16]byte{
		0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, 0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57,
	})
	alice, mallory = user("alice"), user("mallory")
)

func user(name string) refreshtoken.UserID {
	id, err := refreshtoken.ParseUserID(name)
	if err != nil {
		panic(err)
	}
	return id
}

func date(month time.Month, day, nanoseconds int) time.Time {
	return time.Date(2026, month, day, 12, 30, 0, nanoseconds, time.UTC)
}

func full(who codec.ActorType, id string) codec.Metadata {
	return codec.Metadata{
		CorrelationID: "0198f3c2-7d1e-7a44-9b1f-5e2d8c6a4b11", CausationID: commandText, CommandID: commandText,
		OccurredAt: date(3, 1, 123456789), Schema: 1, Actor: codec.Actor{Type: who, ID: id},
		Client:      codec.Client{IPAddress: "203.0.113.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"},
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Producer: codec.Producer,
	}
}

func minimal(who codec.ActorType, id string) codec.Metadata {
	m := full(who, id)
	m.OccurredAt, m.Client, m.Traceparent = date(3, 1, 0), codec.Client{}, ""
	return m
}

func meanings() map[string]codec.Decoded {
	client, err := refreshtoken.ParseClientID("web")
	if err != nil {
		panic(err)
	}
	escaped := minimal(codec.ActorAdmin, escapes+"\u2028")
	escaped.Client.UserAgent = "\t\x00\x7f 😀"
	traced := full(codec.ActorUser, "alice")
	traced.Tracestate = "vendor=t61rcWkgMzE,other=1"
	digested := full(codec.ActorService, "login")
	digested.CommandDigest = "5f0e1c2d3b4a69788796a5b4c3d2e1f0"
	return map[string]codec.Decoded{
		"UserLogoutAttempted.v1.tracestate": {Event: refreshtoken.LogoutAttempted{UserID: alice}, Metadata: traced},
		"RefreshTokenIssued.v1": {Event: refreshtoken.Issued{
			SessionID: session, UserID: alice, ClientID: client, IssuedAt: date(3, 1, 123456789),
			ExpiresAt: date(3, 31, 123456789), AbsoluteExpiresAt: date(8, 28, 123456789),
			Kind: refreshtoken.Registered, Fingerprint: fingerprint,
		}, Metadata: full(codec.ActorService, "login")},
		"RefreshTokenIssued.v1.minimal": {Event: refreshtoken.Issued{
			SessionID: session, UserID: alice, IssuedAt: date(3, 1, 0), ExpiresAt: date(3, 31, 0),
			AbsoluteExpiresAt: date(8, 28, 0), Kind: refreshtoken.Native,
		}, Metadata: minimal(codec.ActorSystem, "logoutd")},
		"RefreshTokenIssued.v1.key": {Event: refreshtoken.Issued{
			SessionID: session, UserID: alice, ClientID: client, IssuedAt: date(3, 1, 123456789),
			ExpiresAt: date(3, 31, 123456789), AbsoluteExpiresAt: date(8, 28, 123456789),
			Kind: refreshtoken.Registered, KeyID: keyID, Fingerprint: fingerprint,
		}, Metadata: digested},
		"RefreshTokenRotated.v1.key": {Event: refreshtoken.Rotated{
			SessionID: session, UserID: alice, Generation: 4294967295, ExpiresAt: date(3, 31, 1),
			KeyID: keyID, Fingerprint: fingerprint,
		}, Metadata: digested},
		"RefreshTokenRotated.v1": {Event: refreshtoken.Rotated{
			SessionID: session, UserID: alice, Generation: 4294967295, ExpiresAt: date(3, 31, 1), Fingerprint: fingerprint,
		}, Metadata: full(codec.ActorService, "login")},
		"RefreshTokenRotated.v1.minimal": {Event: refreshtoken.Rotated{
			SessionID: session, UserID: alice, Generation: 1, ExpiresAt: date(3, 31, 0),
		}, Metadata: minimal(codec.ActorSystem, "logoutd")},
		"TokenRevoked.v1": {Event: refreshtoken.Revoked{
			SessionID: session, UserID: alice, Generation: 3, Reason: refreshtoken.ReasonReuseDetected,
			RevokedBy: "logoutd", CauseID: commandText,
		}, Metadata: full(codec.ActorSystem, "logoutd")},
		"TokenRevoked.v1.minimal": {Event: refreshtoken.Revoked{
			SessionID: session, UserID: alice, Reason: refreshtoken.ReasonLogout, RevokedBy: "alice",
		}, Metadata: minimal(codec.ActorSystem, "logoutd")},
		"TokenRevoked.v1.escapes": {Event: refreshtoken.Revoked{
			SessionID: session, UserID: user(escapes), Reason: refreshtoken.ReasonAdmin, RevokedBy: escapes + "\u2028",
		}, Metadata: escaped},
		"UserLogoutAttempted.v1": {
			Event: refreshtoken.LogoutAttempted{UserID: alice}, Metadata: full(codec.ActorUser, "alice"),
		},
		"UserLogoutSucceeded.v1": {
			Event:    refreshtoken.LogoutSucceeded{UserID: alice, SessionID: session},
			Metadata: full(codec.ActorUser, "alice"),
		},
		"UserLogoutFailed.v1": {Event: refreshtoken.LogoutFailed{
			UserID: mallory, Reason: refreshtoken.TokenUserMismatch, SessionID: session,
		}, Metadata: full(codec.ActorUser, "mallory")},
		"UserLogoutFailed.v1.minimal": {
			Event:    refreshtoken.LogoutFailed{UserID: mallory, Reason: refreshtoken.TokenNotFound},
			Metadata: minimal(codec.ActorSystem, "logoutd"),
		},
		"TokenFingerprintRegistered.v1": {
			Event:    refreshtoken.FingerprintRegistered{SessionID: session, Generation: 2},
			Metadata: full(codec.ActorService, "login"),
		},
	}
}
