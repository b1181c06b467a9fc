package commands_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/eventstore"
)

// TestNoFaultOfTheStoreIsToldAsASuccess carries out one logout and one issue under each plan of faults.
// A success is told only of what is stored, and a repeat under the same id ends well, once.
func TestNoFaultOfTheStoreIsToldAsASuccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		plan []fault
		want commands.Code // 0 is a receipt
		left bool          // events, before the repeat
	}{
		{"nothing fails", nil, 0, true},
		{"delivered twice", []fault{storesTwice}, 0, true},
		{"refused", []fault{refuses}, commands.CodeUnavailable, false},
		{"the store breaks its contract", []fault{breaks}, commands.CodeInternal, false},
		{"stored, and the answer lost", []fault{losesAnswer}, 0, true},
		{"not stored, and the answer lost", []fault{losesCall}, 0, true},
		{"lost again and again, then stored", []fault{losesCall, losesCall, refuses, losesCall}, 0, true},
		{"lost, stored by the repeat, and its answer lost", []fault{losesCall, losesAnswer}, 0, true},
		{"lost, and the repeat delivered twice", []fault{losesCall, storesTwice}, 0, true},
		{"lost, and the repeat breaks", []fault{losesCall, breaks}, 0, true},
		{"lost, and then unavailable for ever", append([]fault{losesCall}, always(refuses)...), commands.CodeOutcomeUnknown, false},
		{"lost for ever", always(losesCall), commands.CodeOutcomeUnknown, false},
		{"lost, and then broken for ever", append([]fault{losesCall}, always(breaks)...), commands.CodeOutcomeUnknown, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.ResolveTimeout = 150 * time.Millisecond
			session := h.mustIssue("alice")
			logout := logout("alice", session.RefreshToken)
			issue := commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")}
			for name, run := range map[string]func() error{
				"logout": func() error { _, err := h.LogoutUser(t.Context(), logout); return err },
				"issue":  func() error { _, err := h.IssueRefreshToken(t.Context(), issue); return err },
			} {
				before := h.head()
				h.journal.faults(c.plan...)
				wantCode(t, run(), c.want)
				if left := h.events(before); (len(left) > 0) != c.left {
					t.Errorf("%s left %q", name, types(left))
				}
				h.journal.faults()
				if err := run(); err != nil {
					t.Errorf("repeated %s: %v", name, err)
				}
				want := map[string]string{"logout": "UserLogoutAttempted TokenRevoked UserLogoutSucceeded", "issue": "RefreshTokenIssued"}
				if got := types(h.events(before)); got != want[name] {
					t.Errorf("%s, in the end: %s", name, got)
				}
			}
		})
	}
}

// A conflict on the repeat of a lost append is an answer: the append was not stored, and the command is
// decided again from what is there now.
func TestAConflictOnTheRepeatDecidesAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	session := h.mustIssue("alice")
	before := h.head()
	h.journal.faults(losesCall)
	h.journal.onAppend = onNth(2, func() { h.mustRotate(session.SessionID, 1) })
	h.mustLogOut(logout("alice", session.RefreshToken))
	if got := types(h.events(before)); got != "RefreshTokenRotated UserLogoutAttempted TokenRevoked UserLogoutSucceeded" {
		t.Error(got)
	}
}

func onNth(n int, do func()) func(eventstore.Append) {
	return func(eventstore.Append) {
		if n--; n == 0 {
			do()
		}
	}
}

func TestAConflictDecidesAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	session := h.mustIssue("alice")
	rival := h.another(h.store)
	before := h.head()
	first := logout("alice", session.RefreshToken)
	h.journal.onAppend = onNth(1, func() {
		if _, err := rival.LogoutUser(t.Context(), first); err == nil { // another command, of another process
			return
		}
		t.Error("the rival failed")
	})
	second := logout("alice", session.RefreshToken)
	h.mustLogOut(second)
	want := "UserLogoutAttempted TokenRevoked UserLogoutSucceeded UserLogoutAttempted UserLogoutFailed"
	events := h.events(before)
	if got := types(events); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if failed := h.decode(events[4]).Event.(refreshtoken.LogoutFailed); failed.Reason != refreshtoken.TokenAlreadyRevoked {
		t.Error(failed.Reason)
	}
}

func TestConflictsWithoutEndAreUnavailable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	session := h.mustIssue("alice")
	h.Timeout = 20 * time.Millisecond
	before, appends := h.head(), h.journal.appends.Load()
	h.journal.faults(always(conflicts)...)
	_, err := h.LogoutUser(t.Context(), logout("alice", session.RefreshToken))
	wantCode(t, err, commands.CodeUnavailable)
	if n := h.journal.appends.Load() - appends; n < 2 {
		t.Errorf("%d attempts", n)
	}
	if after := h.events(before); len(after) != 0 {
		t.Error(types(after))
	}
	// The time of the command bounds the attempts, too.
	ctx, cancel := context.WithCancel(t.Context())
	h.journal.onAppend = func(eventstore.Append) { cancel() }
	_, err = h.LogoutUser(ctx, logout("alice", session.RefreshToken))
	wantCode(t, err, commands.CodeUnavailable)
}

func TestACancelledCommandDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	session := h.mustIssue("alice")
	before := h.head()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.LogoutUser(ctx, logout("alice", session.RefreshToken))
	wantCode(t, err, commands.CodeUnavailable)
	_, err = h.IssueRefreshToken(ctx, commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")})
	wantCode(t, err, commands.CodeUnavailable)
	_, err = h.RegisterRefreshToken(ctx, h.register("alice", foreignToken))
	wantCode(t, err, commands.CodeUnavailable)
	if after := h.events(before); len(after) != 0 {
		t.Error(types(after))
	}
}

// The time of a command may end while its append is under way. Then it was stored or it was not, and
// "nothing was done" is told of what was not only.
func TestACommandThatIsCancelledWhileAppendingIsToldTheTruth(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, f := range []fault{losesAnswer, losesCall} {
		session := h.mustIssue("alice")
		before := h.head()
		for name, run := range map[string]func(context.Context) error{
			"logout": func(ctx context.Context) error {
				_, err := h.LogoutUser(ctx, logout("alice", session.RefreshToken))
				return err
			},
			"refused logout": func(ctx context.Context) error {
				_, err := h.LogoutUser(ctx, logout("bob", session.RefreshToken))
				return err
			},
			"issue": func(ctx context.Context) error {
				_, err := h.IssueRefreshToken(ctx, commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")})
				return err
			},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h.journal.faults(f)
			h.journal.after = cancel // when the first append has been answered
			if err := run(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if len(h.events(before)) == 0 {
				t.Errorf("%s: a receipt for nothing", name)
			}
		}
	}
}

// A repeat whose first record cannot be read back does not know whether it is one.
func TestARepeatThatCannotBeCheckedIsUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	session := h.mustIssue("alice")
	c := logout("alice", session.RefreshToken)
	first := h.mustLogOut(c)
	for _, cause := range []error{eventstore.ErrUnavailable, context.DeadlineExceeded} {
		h.journal.failReads(cause)
		_, err := h.LogoutUser(t.Context(), c)
		wantCode(t, err, commands.CodeOutcomeUnknown)
	}
	h.journal.failReads(errors.New("anything else"))
	_, err := h.LogoutUser(t.Context(), c)
	wantCode(t, err, commands.CodeInternal)
	h.journal.failReads(nil)
	if again := h.mustLogOut(c); again != first {
		t.Errorf("first %+v, then %+v", first, again)
	}
}
