package commands_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

func TestNEW1ALogoutLeavesOneRevocationAndOneSuccess(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	issued, other := h.mustIssue("alice"), h.mustIssue("alice")
	h.mustLogOut(logout("alice", issued.RefreshToken))
	if got, want := types(h.events(0)), "RefreshTokenIssued RefreshTokenIssued UserLogoutAttempted TokenRevoked UserLogoutSucceeded"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s, _ := h.family(issued.SessionID); s.Status != refreshtoken.Ended || s.EndReason != refreshtoken.ReasonLogout {
		t.Errorf("%+v", s)
	}
	if s, _ := h.family(other.SessionID); s.Status != refreshtoken.Live {
		t.Errorf("another session of the user: %+v", s)
	}
}

func TestNEW2EveryRefusalNamesItsReasonAndRevokesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mine, foreign, ended := h.mustIssue("alice"), h.mustIssue("bob"), h.mustIssue("alice")
	h.mustLogOut(logout("alice", ended.RefreshToken))
	before := h.head()
	reasons := map[string]int{}
	for _, token := range []string{"no token", foreign.RefreshToken.Reveal(), ended.RefreshToken.Reveal()} {
		c := logout("alice", credential.NewSecret(token))
		r := h.mustLogOut(c)
		if r != (commands.LogoutReceipt{CommandID: c.CommandID, Position: h.head()}) {
			t.Errorf("the receipt of a refusal is not the one of a success: %+v", r)
		}
	}
	for _, e := range h.events(before) {
		if !strings.HasPrefix(e.Stream, commands.LogoutStreamPrefix) {
			t.Errorf("a refusal grew %s", e.Stream)
		}
		switch event := h.decode(e).Event.(type) {
		case refreshtoken.LogoutFailed:
			reasons[event.Reason.String()]++
		case refreshtoken.Revoked:
			t.Errorf("a refusal revoked %s", event.SessionID)
		}
	}
	if len(reasons) != 3 || reasons["token_not_found"] != 1 || reasons["token_user_mismatch"] != 1 || reasons["token_already_revoked"] != 1 {
		t.Errorf("reasons: %v", reasons)
	}
	for _, live := range []commands.IssueReceipt{mine, foreign} {
		if s, _ := h.family(live.SessionID); s.Status != refreshtoken.Live {
			t.Errorf("%+v", s)
		}
	}
}

func TestNEW4OfManyLogoutsOfOneTokenOneSucceeds(t *testing.T) {
	t.Parallel()
	const racers = 24
	h := newHouse(t)
	issued := h.mustIssue("alice")
	processors := []*commands.Processor{h.Processor, h.another(h.store)} // as two processes
	before := h.head()
	errs := make(chan error)
	for i := range racers {
		go func() { // sends one result, and each is received
			_, err := processors[i%2].LogoutUser(context.Background(), logout("alice", issued.RefreshToken))
			errs <- err
		}()
	}
	for range racers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	count := map[string]int{}
	for _, e := range h.events(before) {
		name := e.Type
		if failed, is := h.decode(e).Event.(refreshtoken.LogoutFailed); is {
			name += " " + failed.Reason.String()
		}
		count[name]++
	}
	if count["UserLogoutAttempted"] != racers || count["TokenRevoked"] != 1 || count["UserLogoutSucceeded"] != 1 ||
		count["UserLogoutFailed token_already_revoked"] != racers-1 || len(count) != 4 {
		t.Errorf("%v", count)
	}
}

func TestNEW5NoSuccessorSurvivesALogoutThatRacesWithARotation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Timeout = time.Minute // the race is decided by who is first, not by how fast this machine is
	rotations := 0
	for range 60 {
		issued := h.mustIssue("alice")
		var wg sync.WaitGroup
		var over atomic.Bool
		racing := make(chan struct{})
		wg.Go(func() { // as many rotations as fit before the end
			for n := 0; !over.Load(); n++ {
				err := h.rotate(issued.SessionID)
				if n == 0 {
					close(racing)
				}
				if errors.Is(err, refreshtoken.ErrEnded) {
					return
				}
				if err != nil && !errors.Is(err, eventstore.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
		<-racing
		_, err := h.LogoutUser(t.Context(), logout("alice", issued.RefreshToken))
		over.Store(true)
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		s, _ := h.family(issued.SessionID)
		if s.Status != refreshtoken.Ended {
			t.Fatalf("the session lives: %+v", s)
		}
		last := ""
		for e, err := range h.store.ReadStream(t.Context(), issued.SessionID.Stream(), 0, eventstore.Forward) {
			if err != nil {
				t.Fatal(err)
			}
			last = e.Type
		}
		if last != codec.UserLogoutSucceeded {
			t.Errorf("%s came after the logout", last)
		}
		// The newest successor, too, is answered as revoked.
		before := h.head()
		h.mustLogOut(logout("alice", h.mint(issued.SessionID, s.Generation)))
		if e := h.events(before); !strings.Contains(string(e[len(e)-1].Data), "token_already_revoked") {
			t.Errorf("%s", e[len(e)-1].Data)
		}
		rotations += int(s.Generation)
	}
	if rotations < 60 {
		t.Errorf("%d rotations in 60 races", rotations)
	}
}

func TestNEW6AnExpiredTokenEndsItsSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	issued := h.mustIssue("alice")
	h.clock.advance(100 * 24 * time.Hour)
	if !h.clock.Now().After(issued.ExpiresAt) {
		t.Fatal("the token has not expired")
	}
	h.mustLogOut(logout("alice", issued.RefreshToken))
	if s, _ := h.family(issued.SessionID); s.Status != refreshtoken.Ended {
		t.Errorf("%+v", s)
	}
}

func TestNEW7WhatCannotBeATokenIsRefusedBeforeAnyLookup(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, text := range []string{"", "short", strings.Repeat("a", 513), strings.Repeat("a", 1<<20), "line\nend in the middle", "lt1_forged"} {
		h.mustLogOut(logout("alice", credential.NewSecret(text)))
	}
	if loads, reads := h.journal.loads.Load(), h.journal.reads.Load(); loads != 0 || reads != 0 {
		t.Errorf("%d loads and %d reads for texts that cannot be tokens", loads, reads)
	}
	h.mustLogOut(logout("alice", credential.NewSecret("an opaque text that can be one")))
	if h.journal.loads.Load() != 2 { // its pointer, and whether a key is lacking
		t.Error("the counter does not count")
	}
}

func TestNEW8AStoreThatIsDownIsNoSuccess(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	issued := h.mustIssue("alice")
	before := h.head()
	for range 3 {
		h.journal.faults(refuses)
		_, err := h.LogoutUser(t.Context(), logout("alice", issued.RefreshToken))
		wantCode(t, err, commands.CodeUnavailable)
	}
	if after := h.events(before); len(after) != 0 {
		t.Errorf("half a state: %s", types(after))
	}
	if err := closeStore(h.store); err != nil {
		t.Fatal(err)
	}
	_, err := h.LogoutUser(t.Context(), logout("alice", issued.RefreshToken))
	wantCode(t, err, commands.CodeUnavailable)
	h.open()
	h.mustLogOut(logout("alice", issued.RefreshToken))
}

func TestNEW11ParallelLogoutsNeverMixTheirClients(t *testing.T) {
	t.Parallel()
	const parallel = 48
	h := newHouse(t)
	tokens := make([]commands.IssueReceipt, parallel)
	for i := range tokens {
		tokens[i] = h.mustIssue(fmt.Sprintf("user-%d", i))
	}
	before := h.head()
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			c := logout(fmt.Sprintf("user-%d", i), tokens[i].RefreshToken)
			if i%3 == 0 {
				c.RefreshToken = credential.NewSecret("no token")
			}
			c.Client = codec.Client{IPAddress: fmt.Sprintf("192.0.2.%d", i), UserAgent: fmt.Sprintf("agent-%d", i)}
			if _, err := h.LogoutUser(context.Background(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	events := h.events(before)
	for _, e := range events {
		d := h.decode(e)
		i := strings.TrimPrefix(d.Metadata.Actor.ID, "user-")
		want := codec.Client{IPAddress: "192.0.2." + i, UserAgent: "agent-" + i}
		if d.Metadata.Client != want || !bytes.Contains(e.Data, []byte(`"user_id":"user-`+i+`"`)) {
			t.Errorf("%s of user-%s: %s %+v", e.Type, i, e.Data, d.Metadata.Client)
		}
	}
	if len(events) != parallel/3*(2+3+3) {
		t.Errorf("%d events", len(events))
	}
}

func TestNEW13NoSecretIsInAnyEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	secrets := []string{foreignToken, "never registered, and a secret"}
	for range 3 {
		r := h.mustIssue("alice")
		secrets = append(secrets, r.RefreshToken.Reveal())
		h.mustLogOut(logout("bob", r.RefreshToken))
		h.mustLogOut(logout("alice", r.RefreshToken))
	}
	h.mustRegister(h.register("alice", foreignToken))
	for _, s := range secrets {
		h.mustLogOut(logout("alice", credential.NewSecret(s)))
	}
	events := h.events(0)
	for _, e := range events {
		for _, s := range secrets {
			// The tail as well: a native token without its prefix is the token.
			if all := e.Stream + string(e.Data) + string(e.Metadata); strings.Contains(all, s) || strings.Contains(all, s[len(s)/2:]) {
				t.Errorf("%s in %s shows a token", e.Type, e.Stream)
			}
		}
	}
	if len(events) < 20 {
		t.Errorf("only %d events", len(events))
	}
}

func TestNEW14ALogoutReadsTheSameAmongTenAndTenThousandSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cost := func() [3]int64 {
		// One logout of each branch, and of each kind of token.
		live, foreign, ended := h.mustIssue("alice"), h.mustIssue("bob"), h.mustIssue("alice")
		h.mustLogOut(logout("alice", ended.RefreshToken))
		registered := fmt.Sprintf("registered among %d events", h.head())
		h.mustRegister(h.register("alice", registered))
		before := [3]int64{h.journal.loads.Load(), h.journal.reads.Load(), h.journal.appends.Load()}
		for _, token := range []string{
			live.RefreshToken.Reveal(), foreign.RefreshToken.Reveal(), ended.RefreshToken.Reveal(), registered, "unknown", "unknown, but opaque",
		} {
			h.mustLogOut(logout("alice", credential.NewSecret(token)))
		}
		return [3]int64{h.journal.loads.Load() - before[0], h.journal.reads.Load() - before[1], h.journal.appends.Load() - before[2]}
	}
	populate := func(sessions int) {
		var wg sync.WaitGroup
		for worker := range 32 {
			wg.Go(func() {
				for i := worker; i < sessions; i += 32 {
					c := commands.IssueRefreshToken{Envelope: command(), UserID: user(fmt.Sprintf("user-%d", i%100))}
					if _, err := h.IssueRefreshToken(context.Background(), c); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	populate(10)
	few := cost()
	populate(10_000)
	many := cost()
	// One load for each but the malformed one; one for the pointer's family, and one that asks whether a key is lacking.
	if few != many || few[0] != 7 || few[1] != 0 || few[2] != 6 {
		t.Errorf("loads, reads, appends of six logouts: %v among ten sessions, %v among ten thousand", few, many)
	}
}
