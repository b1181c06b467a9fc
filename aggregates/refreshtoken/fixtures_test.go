package refreshtoken_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// The tests speak in these events.
type events = []refreshtoken.Event

func session(last byte) refreshtoken.SessionID {
	return refreshtoken.SessionIDFrom([16]byte{0x01, 0x98, 6: 0x70, 8: 0x80, 15: last})
}

// user takes a literal, so a bad one is a mistake in the test itself.
func user(name string) refreshtoken.UserID {
	id, err := refreshtoken.ParseUserID(name)
	if err != nil {
		panic(err)
	}
	return id
}

func client(name string) refreshtoken.ClientID {
	id, err := refreshtoken.ParseClientID(name)
	if err != nil {
		panic(err)
	}
	return id
}

// at counts minutes from the issue of the family.
func at(minutes int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// issued is alice's native family: its token lives for 60 minutes, itself for 600.
func issued() refreshtoken.Issued {
	return refreshtoken.Issued{
		SessionID: session(1), UserID: user("alice"), ClientID: client("web"), Kind: refreshtoken.Native,
		IssuedAt: at(0), ExpiresAt: at(60), AbsoluteExpiresAt: at(600),
	}
}

// registered is a family whose tokens another login service mints.
func registered() refreshtoken.Issued {
	e := issued()
	e.Kind, e.Fingerprint = refreshtoken.Registered, "f0"
	return e
}

func rotated(generation uint32, expires time.Time) refreshtoken.Rotated {
	return refreshtoken.Rotated{
		SessionID: session(1), UserID: user("alice"), Generation: generation, ExpiresAt: expires,
	}
}

func revoked(generation uint32, why refreshtoken.Reason) refreshtoken.Revoked {
	return refreshtoken.Revoked{
		SessionID: session(1), UserID: user("alice"), Generation: generation, Reason: why, RevokedBy: "alice",
	}
}

func attempted(name string) refreshtoken.LogoutAttempted {
	return refreshtoken.LogoutAttempted{UserID: user(name)}
}

func succeeded() refreshtoken.LogoutSucceeded {
	return refreshtoken.LogoutSucceeded{UserID: user("alice"), SessionID: session(1)}
}

// scenario is one decision: given a history, when something is asked, then these events
// follow or this refusal does.
type scenario struct {
	name  string
	given events
	when  func(refreshtoken.State) (events, error)
	then  events
	err   error
}

func play(t *testing.T, scenarios []scenario) {
	t.Helper()
	if len(scenarios) == 0 {
		t.Fatal("no scenario to play")
	}
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := refreshtoken.Fold(c.given...)
			got, err := c.when(before)
			if !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if !slices.Equal(got, c.then) {
				t.Errorf("events\n%+v\nwant\n%+v", got, c.then)
			}
			if after := refreshtoken.Fold(c.given...); after != before {
				t.Errorf("the decision changed the state from %+v to %+v", before, after)
			}
		})
	}
}
