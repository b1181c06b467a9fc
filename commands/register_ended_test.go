package commands_test

import (
	"errors"
	"testing"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
)

// The revoked never come back: not by registering them again either. The repeat of the command
// that registered the token is another matter; it gets its first receipt for ever.
func TestARevokedTokenCannotBeRegisteredAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.register("alice", foreignToken)
	receipt := h.mustRegister(first)
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	before := h.head()
	_, err := h.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
	var conflict *commands.ConflictError
	if !errors.As(err, &conflict) || conflict.Reason != "session_ended" {
		t.Errorf("registered again: %v", err)
	}
	if again := h.mustRegister(first); again != receipt {
		t.Errorf("the repeat got %+v, the first %+v", again, receipt)
	}
	if left := h.events(before); len(left) != 0 {
		t.Errorf("left %s", types(left))
	}
}
