package refreshtoken_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// machine drives one family through whatever may be asked of it, and keeps beside it what
// the invariants promise, counted independently of the state.
type machine struct {
	history   events
	state     refreshtoken.State
	first     *refreshtoken.Issued // what R8 fixes
	rotations uint32
	ended     bool
	forged    bool // events came that no decision yields; only R2, R8 and R9 hold from here on
	minute    int
}

// TestFamilyKeepsItsInvariants checks R1 to R9 after every step of random lives, and that
// folding a history in two parts is folding it in one.
func TestFamilyKeepsItsInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{}
		actions := map[string]func(*rapid.T){
			"issue":              m.issue,
			"rotate":             m.rotate,
			"log out (owner)":    func(t *rapid.T) { m.logOut(t, "alice") },
			"log out (stranger)": func(t *rapid.T) { m.logOut(t, "mallory") },
			"let time pass":      func(t *rapid.T) { m.minute += rapid.IntRange(1, 200).Draw(t, "minutes") },
			"":                   m.check,
		}
		if rapid.Bool().Draw(t, "with forged events") {
			actions["forge"] = m.forge
		}
		t.Repeat(actions)
	})
}

func (m *machine) record(added events) {
	m.history = append(m.history, added...)
	for _, e := range added {
		m.state = m.state.Apply(e)
	}
}

func (m *machine) issue(t *rapid.T) {
	life := rapid.IntRange(1, 300).Draw(t, "life")
	got, err := m.state.Issue(refreshtoken.Issue{
		SessionID: session(1), UserID: user("alice"), Kind: refreshtoken.Native, Now: at(m.minute),
		ExpiresAt: at(m.minute + life), AbsoluteExpiresAt: at(m.minute + 250),
	})
	if fresh := m.state.Status == refreshtoken.Absent; fresh != (err == nil) {
		t.Fatalf("R1: issue on %+v gave %v", m.state, err)
	}
	if err == nil {
		e, _ := got[0].(refreshtoken.Issued)
		m.first = &e
	}
	m.record(got)
}

func (m *machine) rotate(t *rapid.T) {
	generation := max(m.state.Generation, 1) - 1 + rapid.Uint32Range(0, 2).Draw(t, "generation")
	got, err := m.state.Rotate(refreshtoken.Rotate{
		Generation: generation, Now: at(m.minute), ExpiresAt: at(m.minute + rapid.IntRange(-1, 400).Draw(t, "life")),
	})
	switch {
	case m.state.Status == refreshtoken.Absent && !errors.Is(err, refreshtoken.ErrNotIssued):
		t.Fatalf("R1: rotation of nothing gave %v (%v)", got, err)
	case m.ended && err == nil:
		t.Fatalf("R2: rotation of an ended family gave %v (%v)", got, err)
	case err == nil && generation != m.state.Generation:
		t.Fatalf("R3: generation %d was rotated, the newest is %d", generation, m.state.Generation)
	case err == nil:
		if e, ok := got[0].(refreshtoken.Rotated); !ok || e.Generation <= generation {
			t.Fatalf("R3: generation %d was followed by %+v", generation, got)
		}
		m.rotations++
	}
	m.record(got)
}

func (m *machine) logOut(t *rapid.T, who string) {
	got, err := logOut(who)(m.state)
	want := refreshtoken.Refusal(0)
	switch { // R6
	case m.state.Status == refreshtoken.Absent:
		want = refreshtoken.TokenNotFound
	case m.state.UserID != user(who):
		want = refreshtoken.TokenUserMismatch
	case m.ended:
		want = refreshtoken.TokenAlreadyRevoked
	}
	var refused *refreshtoken.RefusedError
	if errors.As(err, &refused) != (want != 0) || refused != nil && refused.Reason != want {
		t.Fatalf("R5, R6: logout by %s gave %v, want refusal %d", who, err, want)
	}
	if want == 0 {
		record := events{
			attempted(who),
			refreshtoken.Revoked{
				SessionID: m.state.SessionID, UserID: user(who), Generation: m.state.Generation,
				Reason: refreshtoken.ReasonLogout, RevokedBy: who,
			},
			refreshtoken.LogoutSucceeded{UserID: user(who), SessionID: m.state.SessionID},
		}
		if !slices.Equal(got, record) {
			t.Fatalf("R4: logout gave %+v, want %+v", got, record)
		}
		m.ended = true
	} else if len(got) != 0 {
		t.Fatalf("R5: a refused logout gave %+v", got)
	}
	m.record(got)
}

// forge adds an event that no decision yielded, as a damaged or foreign history may hold it (R9).
func (m *machine) forge(t *rapid.T) {
	e := anyEvent().Draw(t, "event")
	switch e := e.(type) {
	case refreshtoken.Issued:
		if m.state.Status == refreshtoken.Absent {
			m.first = &e
		}
	case refreshtoken.Revoked:
		m.ended = true
	case refreshtoken.Rotated, refreshtoken.LogoutAttempted, refreshtoken.LogoutSucceeded,
		refreshtoken.LogoutFailed, refreshtoken.FingerprintRegistered:
	}
	m.forged = true
	m.record(events{e})
}

func anyEvent() *rapid.Generator[refreshtoken.Event] {
	return rapid.Custom(func(t *rapid.T) refreshtoken.Event {
		s, u := session(rapid.ByteRange(1, 2).Draw(t, "session")), user(rapid.SampledFrom([]string{"alice", "mallory"}).Draw(t, "user"))
		generation, expires := rapid.Uint32().Draw(t, "generation"), at(rapid.IntRange(-500, 500).Draw(t, "expires"))
		return rapid.SampledFrom(events{
			refreshtoken.Issued{SessionID: s, UserID: u, Kind: refreshtoken.Native, ExpiresAt: expires, AbsoluteExpiresAt: at(250)},
			refreshtoken.Rotated{SessionID: s, UserID: u, Generation: generation, ExpiresAt: expires},
			refreshtoken.Revoked{SessionID: s, UserID: u, Generation: generation, Reason: refreshtoken.ReasonAdmin},
			refreshtoken.LogoutAttempted{UserID: u},
			refreshtoken.LogoutSucceeded{UserID: u, SessionID: s},
			refreshtoken.LogoutFailed{UserID: u, SessionID: s, Reason: refreshtoken.TokenUserMismatch},
			refreshtoken.FingerprintRegistered{SessionID: s, Generation: generation},
		}).Draw(t, "kind")
	})
}

func (m *machine) check(t *rapid.T) {
	s := m.state
	cut := rapid.IntRange(0, len(m.history)).Draw(t, "cut")
	parts := refreshtoken.Fold(m.history[:cut]...)
	for _, e := range m.history[cut:] {
		parts = parts.Apply(e)
	}
	if whole := refreshtoken.Fold(m.history...); whole != s || parts != s {
		t.Fatalf("R9: folded whole\n%+v, cut at %d\n%+v, step by step\n%+v", whole, cut, parts, s)
	}
	if m.ended != (s.Status == refreshtoken.Ended) {
		t.Fatalf("R2: ended is %v, the state is %+v", m.ended, s)
	}
	if m.first != nil {
		kept := refreshtoken.Issued{
			SessionID: s.SessionID, UserID: s.UserID, ClientID: s.ClientID, Kind: s.Kind,
			IssuedAt: s.IssuedAt, ExpiresAt: m.first.ExpiresAt, AbsoluteExpiresAt: s.AbsoluteExpiresAt,
		}
		if kept != *m.first {
			t.Fatalf("R8: issued as\n%+v, now\n%+v", *m.first, kept)
		}
	}
	if m.forged {
		return
	}
	if (m.first == nil) != (s.Status == refreshtoken.Absent) || m.first == nil && len(m.history) > 0 {
		t.Fatalf("R1: %d events before the issue, state %+v", len(m.history), s)
	}
	if s.Generation != m.rotations {
		t.Fatalf("R3: generation %d after %d rotations", s.Generation, m.rotations)
	}
	if s.ExpiresAt.After(s.AbsoluteExpiresAt) || s.Status == refreshtoken.Live && s.ExpiresAt.Equal(time.Time{}) {
		t.Fatalf("R7: the token expires at %v, the family at %v", s.ExpiresAt, s.AbsoluteExpiresAt)
	}
}
