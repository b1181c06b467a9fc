package esdbapi

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
)

// countingHash takes one password and counts how often it was asked.
type countingHash struct {
	password string
	asked    *atomic.Int64
	block    chan struct{}
}

func (h countingHash) matches(password string) bool {
	h.asked.Add(1)
	if h.block != nil {
		<-h.block
	}
	return password == h.password
}

func oneUser(block chan struct{}) (u *Users, own, decoy *atomic.Int64) {
	own, decoy = new(atomic.Int64), new(atomic.Int64)
	return &Users{
		byName:   map[string]user{"audit": {RoleAuditor, countingHash{"secret", own, block}}},
		decoy:    countingHash{"decoy", decoy, nil},
		verifier: newVerifier(),
	}, own, decoy
}

// Ensure that a login is proved once and then remembered, that a wrong one never is, and that somebody unknown
// costs a slow hash as well.
func TestALoginIsProvedOnce(t *testing.T) {
	t.Parallel()
	u, own, decoy := oneUser(nil)
	for range 3 {
		if role, ok, err := u.verify(t.Context(), "audit", "secret"); role != RoleAuditor || !ok || err != nil {
			t.Errorf("the right password: %s, %v, %v", role, ok, err)
		}
	}
	if n := own.Load(); n != 1 {
		t.Errorf("the right password was proved %d times, want once", n)
	}
	for range 3 {
		if _, ok, err := u.verify(t.Context(), "audit", "wrong"); ok || err != nil {
			t.Errorf("a wrong password: %v, %v", ok, err)
		}
		if _, ok, err := u.verify(t.Context(), "nobody", "decoy"); ok || err != nil {
			t.Errorf("somebody unknown: %v, %v", ok, err)
		}
	}
	if own.Load() != 4 || decoy.Load() != 3 {
		t.Errorf("three wrong passwords were proved %d times, three unknown users %d times", own.Load()-1, decoy.Load())
	}
	if _, ok, _ := u.verify(t.Context(), "audit", strings.Repeat("x", maxPassword+1)); ok || own.Load() != 4 {
		t.Error("a password that is too long was looked at")
	}
	if _, ok, _ := u.verify(t.Context(), "audi", "t\x00secret"); ok {
		t.Error("name and password run into each other")
	}
}

// Ensure that what is remembered is bounded.
func TestRememberedLoginsAreBounded(t *testing.T) {
	t.Parallel()
	v := newVerifier()
	for i := range 3 * maxProven {
		v.remember(v.mark("audit", strings.Repeat("x", i%maxProven)+string(rune(i))))
	}
	if n := len(v.proven); n == 0 || n > maxProven {
		t.Errorf("%d logins are remembered, at most %d may be", n, maxProven)
	}
}

// Ensure that a crowd of logins is turned away, and that who waits leaves with his call.
func TestACrowdOfLoginsIsTurnedAway(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	u, own, _ := oneUser(block)
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 2*maxProving)
	for range cap(answers) {
		go func() {
			_, _, err := u.verify(ctx, "audit", "wrong")
			answers <- err
		}()
	}
	for range maxProving { // the others wait, or are being proved
		var f *failure
		if err := <-answers; !errors.As(err, &f) || f.code != codes.Unavailable {
			t.Errorf("one too many is answered %v", err)
		}
	}
	cancel()
	for range maxProving - cap(u.proving) {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited and left is answered %v", err)
		}
	}
	close(block)
	for range cap(u.proving) {
		if err := <-answers; err != nil {
			t.Errorf("who was being proved is answered %v", err)
		}
	}
	if n := int(own.Load()); n != cap(u.proving) {
		t.Errorf("%d logins were proved at a time, at most %d may be", n, cap(u.proving))
	}
}
