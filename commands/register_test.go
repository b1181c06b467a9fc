package commands_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

func fingerprint(t testing.TB, ring *credential.Ring, token string) credential.Fingerprint {
	t.Helper()
	p, err := ring.Recognise(credential.NewSecret(token))
	if err != nil {
		t.Fatal(err)
	}
	return p.Fingerprints[0]
}

func TestARegistrationWritesThePointerBeforeTheFamily(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.register("alice", foreignToken)
	r := h.mustRegister(c)
	f := fingerprint(t, h.ring, foreignToken)
	times := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000000Z") }
	want := [][3]string{
		{"tokenFingerprint-" + string(f), "TokenFingerprintRegistered", fmt.Sprintf(`{"session_id":%q,"generation":0}`, r.SessionID)},
		{r.SessionID.Stream(), "RefreshTokenIssued", fmt.Sprintf(`{"session_id":%q,"user_id":"alice","generation":0,"issued_at":%q,`+
			`"expires_at":%q,"absolute_expires_at":%q,"token_kind":"registered","key_id":%q,"fingerprint":%q}`,
			r.SessionID, times(h.clock.Now()), times(c.ExpiresAt), times(c.ExpiresAt), h.ring.ActiveID(), f)},
	}
	events := h.events(0)
	if len(events) != len(want) {
		t.Fatal(types(events))
	}
	for i, e := range events {
		if e.Stream != want[i][0] || e.Type != want[i][1] || string(e.Data) != want[i][2] || e.ID != codec.EventID(c.CommandID, i) {
			t.Errorf("event %d: %s %s %s", i, e.Stream, e.Type, e.Data)
		}
	}
	if r.Position != events[1].Position || r.CommandID != c.CommandID || r.Generation != 0 || !r.ExpiresAt.Equal(c.ExpiresAt) {
		t.Errorf("%+v", r)
	}
	if r.SessionID.Bytes()[6]>>4 != 7 {
		t.Errorf("session id %s is not of version 7", r.SessionID)
	}
}

func TestAFingerprintStandsForItsToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.register("alice", "")
	c.Fingerprint = fingerprint(t, h.ring, foreignToken)
	r := h.mustRegister(c)
	if again := h.mustRegister(h.register("alice", foreignToken)); again.SessionID != r.SessionID {
		t.Error("the token has another session than its fingerprint")
	}
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	if s, _ := h.family(r.SessionID); s.Status != refreshtoken.Ended {
		t.Errorf("%+v", s)
	}
}

func TestASessionIDOfTheCallerIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.register("alice", foreignToken)
	c.SessionID = refreshtoken.SessionIDFrom(uuid.New())
	if r := h.mustRegister(c); r.SessionID != c.SessionID {
		t.Errorf("%s, asked for %s", r.SessionID, c.SessionID)
	}
}

func TestAnInvalidRegistrationLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, c := range []struct {
		name, field string
		change      func(c *commands.RegisterRefreshToken)
	}{
		{"no user", "user_id", func(c *commands.RegisterRefreshToken) { c.UserID = refreshtoken.UserID{} }},
		{"no command id", "command_id", func(c *commands.RegisterRefreshToken) { c.CommandID = uuid.Nil }},
		{"expired", "expires_at", func(c *commands.RegisterRefreshToken) { c.ExpiresAt = h.clock.Now() }},
		{"expiry missing", "expires_at", func(c *commands.RegisterRefreshToken) { c.ExpiresAt = time.Time{} }},
		{"an expiry that no record can express", "expires_at", func(c *commands.RegisterRefreshToken) {
			c.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
		}},
		{"neither token nor fingerprint", "refresh_token", func(c *commands.RegisterRefreshToken) { c.RefreshToken = credential.Secret{} }},
		{"both", "refresh_token", func(c *commands.RegisterRefreshToken) {
			c.Fingerprint = credential.Fingerprint(strings.Repeat("a", 64))
		}},
		{"too short", "refresh_token", func(c *commands.RegisterRefreshToken) { c.RefreshToken = credential.NewSecret("short") }},
		{"too long", "refresh_token", func(c *commands.RegisterRefreshToken) {
			c.RefreshToken = credential.NewSecret(strings.Repeat("a", 513))
		}},
		{"not printable", "refresh_token", func(c *commands.RegisterRefreshToken) {
			c.RefreshToken = credential.NewSecret("a line end\nin the middle")
		}},
		{"a native token", "refresh_token", func(c *commands.RegisterRefreshToken) {
			c.RefreshToken = h.mint(refreshtoken.SessionIDFrom(uuid.New()), 0)
		}},
		{"what looks like a native token", "refresh_token", func(c *commands.RegisterRefreshToken) {
			c.RefreshToken = credential.NewSecret("lt1_but from somewhere else")
		}},
	} {
		r := h.register("alice", foreignToken)
		c.change(&r)
		_, err := h.RegisterRefreshToken(t.Context(), r)
		var invalid *commands.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != c.field {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if left := h.events(0); len(left) != 0 {
		t.Errorf("left %s", types(left))
	}
}

func TestWhatIsTakenIsAConflict(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mine := h.mustRegister(h.register("alice", foreignToken))
	native := h.mustIssue("alice")
	before := h.head()
	for _, c := range []struct {
		name, user, token, reason string
		session                   refreshtoken.SessionID
	}{
		{"the token of another user", "bob", foreignToken, "token_registered", refreshtoken.SessionID{}},
		{"the token under another session", "alice", foreignToken, "token_registered", refreshtoken.SessionIDFrom(uuid.New())},
		{"a session with another token", "alice", "another opaque token", "session_exists", mine.SessionID},
		{"the session of another user", "bob", "another opaque token", "session_exists", mine.SessionID},
		{"a session with native tokens", "alice", "another opaque token", "session_exists", native.SessionID},
	} {
		r := h.register(c.user, c.token)
		r.SessionID = c.session
		_, err := h.RegisterRefreshToken(t.Context(), r)
		var conflict *commands.ConflictError
		if !errors.As(err, &conflict) || conflict.Reason != c.reason {
			t.Errorf("%s: %v", c.name, err)
		}
		wantCode(t, err, commands.CodeConflict)
		if strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: the error shows the token", c.name)
		}
	}
	if left := h.events(before); len(left) != 0 {
		t.Errorf("left %s", types(left))
	}
	// The token that met a taken session is free, and ends no session that it has not.
	h.mustLogOut(logout("alice", credential.NewSecret("another opaque token")))
	h.mustRegister(h.register("alice", "another opaque token"))
	for _, session := range []refreshtoken.SessionID{mine.SessionID, native.SessionID} {
		if s, _ := h.family(session); s.Status != refreshtoken.Live {
			t.Errorf("%+v", s)
		}
	}
}

// The session that a pointer reserved may go to a family of another kind before its own comes.
func TestAPointerLeadsToRegisteredFamiliesOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	issued := h.mustIssue("alice")
	c := h.register("alice", foreignToken)
	c.SessionID = issued.SessionID
	// As if the family had come between the look at the session and the pointer.
	looks := 0
	h.journal.onLoad = func(stream string, l eventstore.Loaded, err error) (eventstore.Loaded, error) {
		if stream == issued.SessionID.Stream() {
			if looks++; looks == 1 {
				return eventstore.Loaded{Revision: eventstore.NoStream}, err
			}
		}
		return l, err
	}
	_, err := h.RegisterRefreshToken(t.Context(), c)
	wantCode(t, err, commands.CodeConflict)
	h.journal.onLoad = nil
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	if s, _ := h.family(issued.SessionID); s.Status != refreshtoken.Live {
		t.Error("a token that was never registered ended a session")
	}
}

func TestRegisteredTokensOutliveARotationOfTheKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := h.mustRegister(h.register("alice", foreignToken))
	h.rotateKeys()
	h.Processor = h.another(h.journal)
	if again := h.mustRegister(h.register("alice", foreignToken)); again.SessionID != before.SessionID {
		t.Error("the rotation gave the token a second session")
	}
	h.mustRegister(h.register("alice", "registered under the new key"))
	for _, token := range []string{foreignToken, "registered under the new key"} {
		head := h.head()
		h.mustLogOut(logout("alice", credential.NewSecret(token)))
		if got := types(h.events(head)); got != "UserLogoutAttempted TokenRevoked UserLogoutSucceeded" {
			t.Errorf("%s: %s", token, got)
		}
	}
}
