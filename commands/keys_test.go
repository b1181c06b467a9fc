package commands_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
)

// onlyKey is a key file with one active key: an id, and 32 bytes of one value.
func onlyKey(t *testing.T, id string, value byte) *credential.Ring {
	t.Helper()
	text := id + " active " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string([]byte{value}), 32)))
	content := fmt.Sprintf("logoutd keys 1\n%s %08x\n", text, crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return ringIn(t, path)
}

func TestAProcessWithOtherKeysThanTheStoreKnowsDoesNotStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	own := h.ring.ActiveID()
	h.mustIssue("alice")
	head := h.head()
	for name, ring := range map[string]*credential.Ring{
		"the key file of another installation": onlyKey(t, "of-another-installation", 1),
		"another key under the same id":        onlyKey(t, own, 1),
	} {
		p, err := h.with(h.store, ring)
		if err == nil || !strings.Contains(err.Error(), "key "+own) {
			t.Errorf("%s: started, or does not name the key: %v", name, err)
		}
		// If it ran all the same it would decide nothing.
		_, err = p.LogoutUser(t.Context(), logout("alice", credential.NewSecret(foreignToken)))
		wantCode(t, err, commands.CodeUnavailable)
		_, err = p.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")})
		wantCode(t, err, commands.CodeUnavailable)
	}
	h.rotateKeys()
	h.another(h.store)
	if _, err := h.with(h.store, onlyKey(t, own, 1)); err == nil {
		t.Error("started without a key that was announced meanwhile")
	}
	if got := h.head(); got != head+1 { // the second key
		t.Errorf("%d events were stored beside the announcement", got-head-1)
	}
}

func TestEachKeyIsAnnouncedOnceByAnyNumberOfProcesses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 3 {
		h.another(h.store)
	}
	h.rotateKeys()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { h.another(h.store) })
	}
	wg.Wait()
	h.restart()
	if got := h.head(); got != 2 {
		t.Errorf("%d announcements of two keys, the second made active at once", got)
	}
}

// B has got the next key and mints with it, and A has not. A success would be a lie: the session lives on.
func TestAProcessThatLacksAKeyRefusesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := h.mustIssue("alice")
	h.rotateKeys()
	b := h.another(h.store)
	minted, err := b.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")})
	if err != nil {
		t.Fatal(err)
	}
	registered, err := b.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
	if err != nil {
		t.Fatal(err)
	}
	before := h.head()
	for name, token := range map[string]string{
		"minted with the key": minted.RefreshToken.Reveal(), "registered with the key": foreignToken, "nobody's": "a token that nobody knows",
	} {
		_, err := h.LogoutUser(t.Context(), logout("alice", credential.NewSecret(token)))
		wantCode(t, err, commands.CodeUnavailable)
		var missing *keyring.MissingError
		if !errors.As(err, &missing) || missing.ID != h.ring.ActiveID() {
			t.Errorf("a token %s: the error does not name the key: %v", name, err)
		}
	}
	_, err = h.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
	wantCode(t, err, commands.CodeUnavailable)
	if left := h.events(before); len(left) != 0 {
		t.Errorf("left %s", types(left))
	}
	h.mustLogOut(logout("alice", old.RefreshToken)) // its key is at hand
	h.mustLogOut(logout("alice", credential.NewSecret("short")))
	// The key file arrives.
	if err := h.Keys.Announce(t.Context(), h.ring); err != nil {
		t.Fatal(err)
	}
	h.mustLogOut(logout("alice", minted.RefreshToken))
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	for _, session := range []refreshtoken.SessionID{old.SessionID, minted.SessionID, registered.SessionID} {
		if s, _ := h.family(session); s.Status != refreshtoken.Ended {
			t.Errorf("%+v", s)
		}
	}
}

// The key file arrives between the look at the token and the question whether a key is lacking. What the new
// keys explain was not looked up with them.
func TestAKeyThatArrivesMeanwhileMakesNoRefusal(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.rotateKeys()
	b := h.another(h.store)
	registered, err := b.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
	if err != nil {
		t.Fatal(err)
	}
	h.journal.onLoad = func(stream string, l eventstore.Loaded, err error) (eventstore.Loaded, error) {
		if strings.HasPrefix(stream, credential.PointerPrefix) {
			h.journal.onLoad = nil
			if err := h.Keys.Announce(context.Background(), h.ring); err != nil {
				t.Error(err)
			}
		}
		return l, err
	}
	c := logout("alice", credential.NewSecret(foreignToken))
	_, err = h.LogoutUser(t.Context(), c)
	wantCode(t, err, commands.CodeUnavailable)
	h.mustLogOut(c)
	if s, _ := h.family(registered.SessionID); s.Status != refreshtoken.Ended {
		t.Errorf("logged out, and lives on: %+v", s)
	}
}

// A store that comes back empty knows no key. Nothing is decided on it, and nothing made known to it unseen.
func TestAStoreThatHasLostItsKeysDecidesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.journal.onLoad = func(string, eventstore.Loaded, error) (eventstore.Loaded, error) {
		return eventstore.Loaded{Revision: eventstore.NoStream}, nil
	}
	_, err := h.LogoutUser(t.Context(), logout("alice", credential.NewSecret(foreignToken)))
	wantCode(t, err, commands.CodeUnavailable)
	_, err = h.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
	wantCode(t, err, commands.CodeUnavailable)
	if _, err := h.Keys.Probe(t.Context()); !errors.Is(err, credential.ErrUnfit) {
		t.Errorf("ready over a store that knows no key: %v", err)
	}
}

func TestNoKeyIsUsedBeforeTheStoreKnowsIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.rotateKeys()
	h.journal.faults(refuses)
	if err := h.Keys.Announce(t.Context(), h.ring); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatal(err)
	}
	r := h.mustIssue("alice")
	ring, err := h.Keys.Ring()
	if err != nil || ring.ActiveID() == h.ring.ActiveID() {
		t.Errorf("mints with %s, which the store does not know: %v", ring.ActiveID(), err)
	}
	h.mustLogOut(logout("alice", r.RefreshToken))
}

func TestARevokedTokenStaysRevokedWhateverBecomesOfItsKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustRegister(h.register("alice", foreignToken))
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	h.rotateKeys()
	h.Processor = h.another(h.journal)
	_, err := h.RegisterRefreshToken(t.Context(), h.register("alice", foreignToken))
	var conflict *commands.ConflictError
	if !errors.As(err, &conflict) || conflict.Reason != "session_ended" {
		t.Errorf("registered again after a rotation: %v", err)
	}
}

func TestARepeatAfterARotationGetsTheFirstReply(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	issue := commands.IssueRefreshToken{Envelope: command(), UserID: user("alice")}
	issued, err := h.IssueRefreshToken(t.Context(), issue)
	if err != nil {
		t.Fatal(err)
	}
	register := h.register("alice", foreignToken)
	registered := h.mustRegister(register)
	out := logout("alice", credential.NewSecret(foreignToken))
	loggedOut := h.mustLogOut(out)
	h.rotateKeys()
	h.Processor = h.another(h.journal)
	head := h.head()
	again, err := h.IssueRefreshToken(t.Context(), issue)
	if err != nil || again.RefreshToken.Reveal() != issued.RefreshToken.Reveal() || again.SessionID != issued.SessionID {
		t.Errorf("the repeat of an issue got another token: %v", err)
	}
	if again := h.mustRegister(register); again != registered {
		t.Errorf("register: first %+v, then %+v", registered, again)
	}
	if again := h.mustLogOut(out); again != loggedOut {
		t.Errorf("logout: first %+v, then %+v", loggedOut, again)
	}
	if h.head() != head {
		t.Errorf("the repeats left %s", types(h.events(head)))
	}
}

// Somebody who may send logouts, and knows no token, asks which ones exist by using a command id again.
func TestAReusedCommandIDTellsNothingOfAToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustRegister(h.register("bob", foreignToken))
	h.mustRegister(h.register("bob", "a token that has ended"))
	h.mustLogOut(logout("bob", credential.NewSecret("a token that has ended")))
	native, ended := h.mustIssue("carol"), h.mustIssue("carol")
	h.mustLogOut(logout("carol", ended.RefreshToken))
	first := logout("mallory", credential.NewSecret("no token of anybody"))
	h.mustLogOut(first)
	before := h.head()
	replies := map[string]string{}
	for name, guess := range map[string]string{
		"registered": foreignToken, "registered and ended": "a token that has ended", "native": native.RefreshToken.Reveal(),
		"native and ended": ended.RefreshToken.Reveal(), "unknown": "another unknown token", "malformed": "x",
		"forged": credential.NativePrefix + strings.Repeat("A", 70),
	} {
		c := first
		c.RefreshToken = credential.NewSecret(guess)
		_, err := h.LogoutUser(t.Context(), c)
		h.wantReused(err, before)
		replies[err.Error()] = name
	}
	if len(replies) != 1 {
		t.Errorf("the reply tells tokens apart: %v", replies)
	}
}

// Two registrations name one session, with tokens of different users; bob's stops in between, or for good.
func TestAPointerLeadsToNoFamilyOfAnotherToken(t *testing.T) {
	t.Parallel()
	const alices, bobs = "the token of alice", "the token of bob!"
	for name, interrupt := range map[string]func(h *house, alice, bob commands.RegisterRefreshToken){
		"a race": func(h *house, alice, bob commands.RegisterRefreshToken) {
			rival := h.another(h.store)
			h.journal.onAppend = onNth(1, func() {
				if _, err := rival.RegisterRefreshToken(context.Background(), alice); err != nil {
					h.t.Error(err)
				}
			})
			_, err := h.RegisterRefreshToken(context.Background(), bob)
			wantCode(h.t, err, commands.CodeConflict)
			h.journal.onAppend = nil
		},
		"a crash": func(h *house, alice, bob commands.RegisterRefreshToken) {
			h.journal.faults(works, refuses)
			_, err := h.RegisterRefreshToken(context.Background(), bob)
			wantCode(h.t, err, commands.CodeOutcomeUnknown)
			h.mustRegister(alice)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			a, b := h.register("alice", alices), h.register("bob", bobs)
			a.SessionID = refreshtoken.SessionIDFrom(command().CommandID)
			b.SessionID = a.SessionID
			interrupt(h, a, b)
			h.mustLogOut(logout("alice", credential.NewSecret(bobs)))
			if s, _ := h.family(a.SessionID); s.Status != refreshtoken.Live || s.UserID != user("alice") {
				t.Errorf("ended by the token of another: %+v", s)
			}
			// Bob's token is not lost: it can be registered for a session of its own, and ended.
			r := h.mustRegister(h.register("bob", bobs))
			h.mustLogOut(logout("bob", credential.NewSecret(bobs)))
			if s, _ := h.family(r.SessionID); s.Status != refreshtoken.Ended || r.SessionID == a.SessionID {
				t.Errorf("%+v", s)
			}
			if s, _ := h.family(a.SessionID); s.Status != refreshtoken.Live {
				t.Errorf("%+v", s)
			}
		})
	}
}
