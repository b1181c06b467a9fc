package commands_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
)

// firstUses are the ways in which a command id can be used for the first time.
var firstUses = []struct {
	name string
	use  func(h *house, e commands.Envelope)
}{
	{"issue", func(h *house, e commands.Envelope) {
		if _, err := h.IssueRefreshToken(h.t.Context(), commands.IssueRefreshToken{Envelope: e, UserID: user("alice")}); err != nil {
			h.t.Fatal(err)
		}
	}},
	{"registration", func(h *house, e commands.Envelope) {
		c := h.register("alice", "the first registered token")
		c.Envelope = e
		h.mustRegister(c)
	}},
	{"registration that wrote its pointer only", func(h *house, e commands.Envelope) {
		c := h.register("alice", "the first registered token")
		c.Envelope = e
		h.journal.faults(works, refuses)
		_, err := h.RegisterRefreshToken(h.t.Context(), c)
		wantCode(h.t, err, commands.CodeOutcomeUnknown)
	}},
	{"logout of a native token", func(h *house, e commands.Envelope) {
		h.mustLogOut(commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: h.mustIssue("alice").RefreshToken})
	}},
	{"logout of a registered token", func(h *house, e commands.Envelope) {
		h.mustRegister(h.register("alice", "the second registered token"))
		h.mustLogOut(commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: credential.NewSecret("the second registered token")})
	}},
	{"refused logout of an unknown token", func(h *house, e commands.Envelope) {
		h.mustLogOut(commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: credential.NewSecret("unknown")})
	}},
	{"refused logout of another user's token", func(h *house, e commands.Envelope) {
		h.mustLogOut(commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: h.mustIssue("bob").RefreshToken})
	}},
	{"refused logout of an ended session", func(h *house, e commands.Envelope) {
		r := h.mustIssue("alice")
		h.mustLogOut(logout("alice", r.RefreshToken))
		h.mustLogOut(commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: r.RefreshToken})
	}},
}

// TestACommandIDIsForOneCommand uses each id a second time, for a command that differs in kind, user,
// token or client: refused by name of the field, and nothing is added.
func TestACommandIDIsForOneCommand(t *testing.T) {
	t.Parallel()
	for _, first := range firstUses {
		t.Run(first.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			mine, bobs, ended := h.mustIssue("alice"), h.mustIssue("bob"), h.mustIssue("alice")
			h.mustLogOut(logout("alice", ended.RefreshToken))
			h.mustRegister(h.register("alice", "a token registered before"))
			e := command()
			first.use(h, e)
			before := h.head()
			for name, token := range map[string]string{
				"a live token": mine.RefreshToken.Reveal(), "another user's token": bobs.RefreshToken.Reveal(),
				"a revoked token": ended.RefreshToken.Reveal(), "a registered token": "a token registered before",
			} {
				_, err := h.LogoutUser(t.Context(), commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: credential.NewSecret(token)})
				h.wantReused(err, before)
				if t.Failed() {
					t.Fatalf("logout of %s", name)
				}
			}
			for _, name := range []string{"bob", "carol"} {
				_, err := h.LogoutUser(t.Context(), commands.LogoutUser{Envelope: e, UserID: user(name), RefreshToken: bobs.RefreshToken})
				h.wantReused(err, before)
				_, err = h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: e, UserID: user(name)})
				h.wantReused(err, before)
				c := h.register(name, "a token that is new here")
				c.Envelope = e
				_, err = h.RegisterRefreshToken(t.Context(), c)
				h.wantReused(err, before)
			}
			client, err := refreshtoken.ParseClientID("web")
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: e, UserID: user("alice"), ClientID: client})
			h.wantReused(err, before)
			for _, token := range []string{"a token that is new here", "a token registered before"} {
				c := h.register("alice", token)
				c.Envelope = e
				_, err = h.RegisterRefreshToken(t.Context(), c)
				h.wantReused(err, before)
			}
			if s, _ := h.family(mine.SessionID); s.Status != refreshtoken.Live {
				t.Error("a session ended that nobody was told of")
			}
		})
	}
}

// The token of the first logout, presented again under its id, is no leave for somebody else.
func TestACommandIDIsForOneUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ended := h.mustIssue("alice")
	h.mustLogOut(logout("alice", ended.RefreshToken))
	for name, token := range map[string]credential.Secret{
		"live": h.mustIssue("alice").RefreshToken, "another's": h.mustIssue("carol").RefreshToken,
		"ended": ended.RefreshToken, "unknown": credential.NewSecret("unknown"),
	} {
		c := logout("alice", token)
		h.mustLogOut(c)
		before := h.head()
		c.UserID = user("bob")
		_, err := h.LogoutUser(t.Context(), c)
		if h.wantReused(err, before); t.Failed() {
			t.Fatalf("the token is %s", name)
		}
	}
}

func TestACommandIDOfAnotherKindOfCommandIsRefused(t *testing.T) {
	t.Parallel()
	for _, first := range firstUses[1:] {
		t.Run("issue under the id of a "+first.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			e := command()
			first.use(h, e)
			before := h.head()
			_, err := h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: e, UserID: user("alice")})
			h.wantReused(err, before)
		})
	}
}

// Everything that is stored has an id of its own, whatever was tried under which command id.
func TestNoEventIDIsStoredTwice(t *testing.T) {
	t.Parallel()
	for _, first := range firstUses {
		t.Run(first.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			e := command()
			first.use(h, e)
			// Whether these are refused is shown above; here only what they leave counts.
			_, _ = h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: e, UserID: user("alice")})
			c := h.register("alice", "a token that is new here")
			c.Envelope = e
			_, _ = h.RegisterRefreshToken(t.Context(), c)
			_, _ = h.LogoutUser(t.Context(), commands.LogoutUser{Envelope: e, UserID: user("alice"), RefreshToken: h.mustIssue("alice").RefreshToken})
			seen := map[uuid.UUID]string{}
			for _, r := range h.events(0) {
				if stream, twice := seen[uuid.UUID(r.ID)]; twice {
					t.Errorf("%s is in %s and in %s", r.ID, stream, r.Stream)
				}
				seen[uuid.UUID(r.ID)] = r.Stream
			}
			if len(seen) < 2 {
				t.Errorf("only %d events", len(seen))
			}
		})
	}
}
