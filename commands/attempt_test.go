package commands_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/eventstore"
)

// TestARivalThatNeverPausesStarvesNoLogout: before each of the first appends the session is rotated, as by a
// rival that is always faster.
func TestARivalThatNeverPausesStarvesNoLogout(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Timeout = time.Hour // the command has time; nothing else may end it
	issued := h.mustIssue("alice")
	const lost = 60
	n := 0
	h.journal.onAppend = func(a eventstore.Append) {
		if n++; n <= lost && a.Stream == issued.SessionID.Stream() {
			if err := h.rotate(issued.SessionID); err != nil {
				t.Error(err)
			}
		}
	}
	h.mustLogOut(logout("alice", issued.RefreshToken))
	if s, _ := h.family(issued.SessionID); s.Generation != lost || n != lost+1 {
		t.Errorf("%d appends, %+v", n, s)
	}
}

// stuck is a journal that does nothing until the caller gives up.
type stuck struct {
	commands.Journal
	t testing.TB
}

func (s stuck) wait(ctx context.Context) error {
	if _, has := ctx.Deadline(); !has {
		s.t.Error("the command has no time limit")
		return errors.New("would be stuck for ever")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s stuck) Load(ctx context.Context, _ string) (eventstore.Loaded, error) {
	return eventstore.Loaded{}, s.wait(ctx)
}

func (s stuck) Append(ctx context.Context, _ eventstore.Append) (eventstore.Result, error) {
	return eventstore.Result{}, s.wait(ctx)
}

func TestAStoreThatHangsIsUnavailableInTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	issued := h.mustIssue("alice")
	p := h.another(h.store)
	p.Journal, p.Timeout = stuck{h.journal, t}, time.Millisecond
	_, err := p.LogoutUser(context.Background(), logout("alice", issued.RefreshToken))
	wantCode(t, err, commands.CodeUnavailable)
	_, err = p.IssueRefreshToken(context.Background(), commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")})
	wantCode(t, err, commands.CodeUnavailable)
	_, err = p.RegisterRefreshToken(context.Background(), h.register("alice", foreignToken))
	wantCode(t, err, commands.CodeUnavailable)
}
