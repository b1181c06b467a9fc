package commands_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
)

// TestARollingRotationUnderLoad changes the key file of three processes, one after another and again and
// again, while each of them issues, registers and logs out what any of them has made.
func TestARollingRotationUnderLoad(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	processes := []*commands.Processor{h.Processor, h.another(h.store), h.another(h.store)}
	var wg sync.WaitGroup
	var tried atomic.Int64
	done := make(chan struct{})
	for n := range 6 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				h.rolling(processes, fmt.Sprintf("a token of %d, the %dth", n, i), n, &tried)
			}
		})
	}
	for range 3 {
		if _, err := credential.AddKey(h.keys, time.Now()); err != nil {
			t.Fatal(err)
		}
		roll(h, processes, &tried)
		if _, err := credential.PromoteKey(h.keys, ""); err != nil {
			t.Fatal(err)
		}
		roll(h, processes, &tried)
	}
	close(done)
	wg.Wait()
	h.checkFamilies(t)
}

// roll gives each process the key file of now, a few commands apart.
func roll(h *house, processes []*commands.Processor, tried *atomic.Int64) {
	ring := ringIn(h.t, h.keys)
	for _, p := range processes {
		for at := tried.Load(); tried.Load() < at+40; {
			runtime.Gosched()
		}
		if err := p.Keys.Announce(context.Background(), ring); err != nil {
			h.t.Error(err)
		}
	}
}

// rolling opens two sessions and ends them, each time at another process.
func (h *house) rolling(processes []*commands.Processor, token string, n int, tried *atomic.Int64) {
	at := func(i int) *commands.Processor { return processes[(n+i)%len(processes)] }
	patiently := func(f func() error) {
		for {
			err := f()
			tried.Add(1)
			if commands.CodeOf(err) == commands.CodeUnavailable || commands.CodeOf(err) == commands.CodeOutcomeUnknown {
				continue // a process that lacks the key says so; the caller tries again
			}
			if err != nil {
				h.t.Error(err)
			}
			return
		}
	}
	issue := commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")}
	var issued commands.IssueReceipt
	patiently(func() (err error) {
		issued, err = at(0).IssueRefreshToken(context.Background(), issue)
		return err
	})
	var registered commands.RegisterReceipt
	register := h.register("alice", token)
	var both sync.WaitGroup
	both.Go(func() {
		patiently(func() error {
			_, err := at(1).RegisterRefreshToken(context.Background(), h.register("alice", token))
			return err
		})
	})
	patiently(func() (err error) {
		registered, err = at(2).RegisterRefreshToken(context.Background(), register)
		return err
	})
	both.Wait()
	for i, secret := range []credential.Secret{issued.RefreshToken, credential.NewSecret(token)} {
		c := logout("alice", secret)
		patiently(func() error {
			_, err := at(i+1).LogoutUser(context.Background(), c)
			return err
		})
	}
	for _, session := range []refreshtoken.SessionID{issued.SessionID, registered.SessionID} {
		if s, _ := h.family(session); s.Status != refreshtoken.Ended {
			h.t.Errorf("logged out, and lives on: %+v", s)
		}
	}
}

// checkFamilies holds the whole record to what a rotation must not break: nothing that lived was refused,
// and no token has two sessions.
func (h *house) checkFamilies(t *testing.T) {
	t.Helper()
	tokens, families, pointers := map[string]int{}, 0, 0
	for _, e := range h.events(0) {
		switch event := h.decode(e).Event.(type) {
		case refreshtoken.LogoutFailed:
			t.Errorf("a live token was refused: %s", event.Reason)
		case refreshtoken.Issued:
			families++
			if event.Fingerprint != "" {
				tokens[event.SessionID.String()]++
				pointers++
			}
		case refreshtoken.FingerprintRegistered, refreshtoken.LogoutAttempted, refreshtoken.LogoutSucceeded,
			refreshtoken.Revoked, refreshtoken.Rotated:
		}
	}
	// Each round opens one session of either kind.
	if families != 2*pointers || families < 20 {
		t.Errorf("%d families of which %d are of registered tokens: a token has two sessions", families, pointers)
	}
}
