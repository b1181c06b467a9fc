package commands_test

import (
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

func TestNEW3ARepeatedLogoutGetsTheFirstReceiptForEver(t *testing.T) {
	t.Parallel()
	for _, b := range branches {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			c := logout("alice", credential.NewSecret(b.make(h).token))
			first := h.mustLogOut(c)
			head := h.head()
			repeat := func() {
				t.Helper()
				if again := h.mustLogOut(c); again != first {
					t.Errorf("first %+v, then %+v", first, again)
				}
			}
			repeat()
			h.restart()
			repeat()
			h.clock.advance(10 * 365 * 24 * time.Hour)
			repeat()
			// What the caller says besides may differ: a retry from another machine.
			c.CorrelationID, c.Client.IPAddress = "another", "192.0.2.9"
			repeat()
			if h.head() != head {
				t.Errorf("the repeats left %s", types(h.events(head)))
			}
		})
	}
}

func TestARepeatedIssueGetsTheSameSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := commands.IssueRefreshToken{Envelope: command(), UserID: user("alice"), TTL: time.Hour}
	first, err := h.IssueRefreshToken(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	repeat := func(when string) {
		t.Helper()
		again, err := h.IssueRefreshToken(t.Context(), c)
		same := again.SessionID == first.SessionID && again.Position == first.Position && again.Generation == 0 &&
			again.ExpiresAt.Equal(first.ExpiresAt) && again.CommandID == c.CommandID &&
			again.RefreshToken.Reveal() == first.RefreshToken.Reveal()
		if err != nil || !same {
			t.Errorf("%s: %+v %v", when, again, err)
		}
	}
	repeat("at once")
	h.restart()
	repeat("after a restart")
	h.mustRotate(first.SessionID, 2)
	repeat("after a rotation")
	h.mustLogOut(logout("alice", first.RefreshToken))
	head := h.head()
	h.clock.advance(2 * time.Hour)
	repeat("after the session has ended and the token expired")
	if h.head() != head {
		t.Errorf("the repeats left %s", types(h.events(head)))
	}
}

func TestARepeatedRegistrationGetsTheSameSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.register("alice", foreignToken)
	first := h.mustRegister(c)
	head := h.head()
	repeat := func(when string, c commands.RegisterRefreshToken) {
		t.Helper()
		again, err := h.RegisterRefreshToken(t.Context(), c)
		again.CommandID = first.CommandID
		if err != nil || again != first {
			t.Errorf("%s: %+v, first %+v: %v", when, again, first, err)
		}
	}
	repeat("at once", c)
	h.restart()
	repeat("after a restart", c)
	repeat("by another command", h.register("alice", foreignToken))
	named := h.register("alice", foreignToken)
	named.SessionID = first.SessionID
	repeat("by another command that names the session", named)
	if h.head() != head {
		t.Errorf("the repeats left %s", types(h.events(head)))
	}
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	repeat("after the session has ended", c)
	h.clock.advance(2 * time.Hour)
	repeat("after the token has expired", c)
}

// A refused logout of a token that is registered later keeps its reply: the decision was made.
func TestARefusalIsFinalForItsCommand(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := logout("alice", credential.NewSecret(foreignToken))
	first := h.mustLogOut(c)
	h.mustRegister(h.register("alice", foreignToken))
	head := h.head()
	if again := h.mustLogOut(c); again != first || h.head() != head {
		t.Errorf("first %+v, then %+v and %s", first, again, types(h.events(head)))
	}
	// A new command ends the session.
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	if got := types(h.events(head)); got != "UserLogoutAttempted TokenRevoked UserLogoutSucceeded" {
		t.Error(got)
	}
}

// Deliveries overlap: one may have looked a token up before it was registered, and meet the record
// that another has left since.
func TestARepeatThatLookedUpTooEarlyLooksAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustRegister(h.register("alice", foreignToken))
	c := logout("alice", credential.NewSecret(foreignToken))
	first := h.mustLogOut(c)
	head := h.head()
	early := func(then func() error) {
		loads := 0
		h.journal.onLoad = func(_ string, l eventstore.Loaded, err error) (eventstore.Loaded, error) {
			if loads++; loads == 1 {
				return eventstore.Loaded{Revision: eventstore.NoStream}, nil
			}
			return l, then()
		}
	}
	early(func() error { return nil })
	if again := h.mustLogOut(c); again != first {
		t.Errorf("first %+v, then %+v", first, again)
	}
	early(func() error { return eventstore.ErrUnavailable })
	_, err := h.LogoutUser(t.Context(), c)
	wantCode(t, err, commands.CodeUnavailable) // this delivery has done nothing
	if h.head() != head {
		t.Errorf("left %s", types(h.events(head)))
	}
}
