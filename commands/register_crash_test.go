package commands_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// between leaves a registration that was interrupted between its two appends.
func (h *house) between(name string) commands.RegisterRefreshToken {
	h.t.Helper()
	c := h.register(name, foreignToken)
	h.journal.faults(works, refuses)
	_, err := h.RegisterRefreshToken(h.t.Context(), c)
	wantCode(h.t, err, commands.CodeOutcomeUnknown) // the pointer is an event of the command
	if got := types(h.events(0)); got != "TokenFingerprintRegistered" {
		h.t.Fatalf("left %s", got)
	}
	return c
}

func TestAfterACrashBetweenPointerAndFamilyTheTokenIsNotRegistered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.between("alice")
	h.restart()
	before := h.head()
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	if e := h.events(before); len(e) != 2 || !strings.Contains(string(e[1].Data), `"token_not_found"`) {
		t.Errorf("%s", types(e))
	}
}

func TestAnInterruptedRegistrationIsFinishedByItsRepeat(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.between("alice")
	h.restart()
	r := h.mustRegister(c)
	if got := types(h.events(0)); got != "TokenFingerprintRegistered RefreshTokenIssued" {
		t.Error(got)
	}
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	if s, _ := h.family(r.SessionID); s.Status != refreshtoken.Ended {
		t.Errorf("%+v", s)
	}
}

func TestAnInterruptedRegistrationIsTakenOverByAnotherCommand(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.between("alice")
	h.restart()
	taken := h.mustRegister(h.register("bob", foreignToken))
	_, err := h.RegisterRefreshToken(t.Context(), c)
	wantCode(t, err, commands.CodeConflict) // it is bob's now
	h.mustLogOut(logout("bob", credential.NewSecret(foreignToken)))
	if s, _ := h.family(taken.SessionID); s.Status != refreshtoken.Ended || s.UserID != user("bob") {
		t.Errorf("%+v", s)
	}
}

// Deliveries of one command at the same time choose a session each; one is kept.
func TestARegistrationDeliveredTwiceAtOnceHasOneSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 20 {
		c := h.register("alice", foreignToken+command().CommandID.String())
		receipts := make([]commands.RegisterReceipt, 4)
		var wg sync.WaitGroup
		for i := range receipts {
			wg.Go(func() {
				r, err := h.RegisterRefreshToken(context.Background(), c)
				if err != nil {
					t.Error(err)
				}
				receipts[i] = r
			})
		}
		wg.Wait()
		for _, r := range receipts {
			if r != receipts[0] {
				t.Errorf("%+v and %+v", receipts[0], r)
			}
		}
	}
	if events := h.events(0); len(events) != 40 {
		t.Errorf("%d events of 20 registrations", len(events))
	}
}

// The duplicate is forced: another run of the command stores the pointer between look-up and append.
func TestARegistrationKeepsTheSessionOfItsOwnFirstRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.register("alice", foreignToken)
	var first commands.RegisterReceipt
	h.journal.onAppend = onNth(1, func() {
		var err error
		if first, err = h.another(h.store).RegisterRefreshToken(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
	if r := h.mustRegister(c); r != first {
		t.Errorf("%+v, the first run had %+v", r, first)
	}
}

// Two runs of one command and a rival: the first run has found no pointer yet when the rival writes one,
// and the second takes it over.
func TestARegistrationKeepsWhatItsOtherRunTookOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.register("alice", foreignToken)
	var second commands.RegisterReceipt
	h.journal.onAppend = onNth(1, func() {
		rival := &journal{Journal: h.store, plan: []fault{works, refuses}} // interrupted after its pointer
		_, err := h.another(rival).RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
		wantCode(t, err, commands.CodeOutcomeUnknown)
		if second, err = h.another(h.store).RegisterRefreshToken(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
	if first := h.mustRegister(c); first != second {
		t.Errorf("%+v, the other run had %+v", first, second)
	}
	if got := types(h.events(0)); got != "TokenFingerprintRegistered RefreshTokenIssued" {
		t.Error(got)
	}
}

func TestALostAnswerOfEitherAppendOfARegistrationIsResolved(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string][]fault{
		"pointer stored": {losesAnswer}, "pointer not stored": {losesCall}, "pointer twice": {storesTwice},
		"family stored": {works, losesAnswer}, "family not stored": {works, losesCall}, "family twice": {works, storesTwice},
		"both": {losesAnswer, losesAnswer},
	} {
		h := newHouse(t)
		h.journal.faults(plan...)
		h.mustRegister(h.register("alice", foreignToken))
		if got := types(h.events(0)); got != "TokenFingerprintRegistered RefreshTokenIssued" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What names a pointer stream names a fingerprint, and errors go to logs.
func TestNoErrorShowsAFingerprint(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.ResolveTimeout = 30 * time.Millisecond
	f := string(fingerprint(t, h.ring, foreignToken))
	errs := 0
	check := func(err error) {
		t.Helper()
		if err == nil || strings.Contains(err.Error(), f) || strings.Contains(err.Error(), "tokenFingerprint") || strings.Contains(err.Error(), foreignToken) {
			t.Errorf("%v", err)
		}
		errs++
	}
	named := func(err error) error { return errors.Join(errors.New("stream tokenFingerprint-"+f), err) }
	for _, plan := range [][]fault{always(refuses), always(losesCall), always(breaks), always(conflicts)} {
		h.Timeout = 50 * time.Millisecond
		h.journal.faults(plan...)
		_, err := h.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
		check(err)
	}
	h.journal.faults()
	h.Timeout = time.Minute
	c := h.register("alice", foreignToken)
	h.mustRegister(c)
	for _, cause := range []error{
		eventstore.ErrUnavailable, eventstore.ErrCorrupt, eventstore.ErrInvalid, context.Canceled, context.DeadlineExceeded, errors.New("anything"),
	} {
		// Reading the pointer back, for another command under the same id.
		h.journal.failReads(named(cause))
		_, err := h.LogoutUser(t.Context(), commands.LogoutUser{Envelope: c.Envelope, UserID: user("alice"), RefreshToken: credential.NewSecret("unknown")})
		check(err)
		_, err = h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: c.Envelope, UserID: user("alice")})
		check(err)
		h.journal.failReads(nil)
		// Following the pointer.
		h.journal.onLoad = func(stream string, l eventstore.Loaded, err error) (eventstore.Loaded, error) {
			if strings.HasPrefix(stream, credential.PointerPrefix) {
				return eventstore.Loaded{}, named(cause)
			}
			return l, err
		}
		_, err = h.LogoutUser(t.Context(), logout("alice", credential.NewSecret(foreignToken)))
		check(err)
		_, err = h.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
		check(err)
		h.journal.onLoad = nil
	}
	if errs != 4+6*4 {
		t.Errorf("%d errors", errs)
	}
}
