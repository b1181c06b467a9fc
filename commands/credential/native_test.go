package credential_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
)

func TestAMintedTokenIsRecognisedAsWhatItWasMintedFor(t *testing.T) {
	t.Parallel()
	ring := ringOf(t, 1, 2)
	rapid.Check(t, func(r *rapid.T) {
		id := refreshtoken.SessionIDFrom([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "session")))
		generation := rapid.Uint32().Draw(r, "generation")
		token := mint(t, ring, id, generation).Reveal()
		if again := mint(t, ring, id, generation).Reveal(); again != token {
			r.Fatal("the same arguments gave two tokens")
		}
		p, err := ring.Recognise(credential.NewSecret(token))
		if err != nil || p.Kind != refreshtoken.Native || p.SessionID != id || p.Generation != generation || p.Fingerprints != nil {
			r.Fatalf("recognised as %+v: %v", p, err)
		}
	})
}

func TestEveryFlippedBitOfANativeTokenIsRefused(t *testing.T) {
	t.Parallel()
	ring := aRing(t)
	token := mint(t, ring, session(1), 7).Reveal()
	encoded := strings.TrimPrefix(token, credential.NativePrefix)
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for i := range len(raw) * 8 {
		forged := append([]byte(nil), raw...)
		forged[i/8] ^= 1 << (i % 8)
		refused(t, ring, credential.NativePrefix+base64.RawURLEncoding.EncodeToString(forged))
		flipped++
	}
	// The bits of the text as well: some of them fall outside the bytes it stands for.
	for i := range len(token) * 8 {
		forged := []byte(token)
		forged[i/8] ^= 1 << (i % 8)
		if p, err := ring.Recognise(credential.NewSecret(string(forged))); err == nil && p.Kind == refreshtoken.Native {
			t.Errorf("bit %d of the text may be anything", i)
		}
		flipped++
	}
	if flipped != 8*(52+74) {
		t.Errorf("flipped %d bits: the token has another form than the documented one", flipped)
	}
}

func TestANativeTokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	ring := aRing(t)
	token := mint(t, ring, session(1), 0).Reveal()
	encoded := strings.TrimPrefix(token, credential.NativePrefix)
	for cut := range len(encoded) {
		refused(t, ring, credential.NativePrefix+encoded[:cut])
		refused(t, ring, credential.NativePrefix+encoded[cut+1:])
		for _, extra := range []string{"A", "=", "\n", "\r", " ", "\x00", "é"} {
			refused(t, ring, credential.NativePrefix+encoded[:cut]+extra+encoded[cut:])
			refused(t, ring, credential.NativePrefix+encoded[:cut]+extra+encoded[cut+1:], token)
		}
	}
	for _, other := range []string{
		token + "A", token + "=", token + "==", token + "\n", token + " ", token + token,
		credential.NativePrefix, credential.NativePrefix + "=", credential.NativePrefix + strings.Repeat("A", 1<<16),
	} {
		refused(t, ring, other)
	}
	// The last character carries four bits of nothing; only one of the sixteen spellings counts.
	spellings := 0
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, last := range alphabet {
		if _, err := ring.Recognise(credential.NewSecret(token[:len(token)-1] + string(last))); err == nil {
			spellings++
		}
	}
	if spellings != 1 {
		t.Errorf("%d spellings of one token are recognised", spellings)
	}
	// The standard alphabet spells the same bytes with + and /.
	for n := range byte(64) {
		token := mint(t, ring, session(n), 0).Reveal()
		if standard := strings.NewReplacer("-", "+", "_", "/").Replace(token); standard != "lt1/"+token[4:] {
			refused(t, ring, credential.NativePrefix+standard[4:], token)
		}
	}
}

// refused checks that no token is recognised; but for one that happens to be genuine.
func refused(tb testing.TB, ring *credential.Ring, text string, genuine ...string) {
	tb.Helper()
	if len(genuine) > 0 && text == genuine[0] {
		return
	}
	p, err := ring.Recognise(credential.NewSecret(text))
	if !errors.Is(err, credential.ErrNotAToken) && !errors.Is(err, credential.ErrNoKey) || p.Kind != 0 || !p.SessionID.IsZero() || p.Fingerprints != nil {
		tb.Errorf("%q was recognised as %+v: %v", text, p, err)
	}
}

func TestATokenOfAnotherRingIsRefused(t *testing.T) {
	t.Parallel()
	refused(t, ringOf(t, 1), mint(t, ringOf(t, 2), session(1), 0).Reveal())
	refused(t, aRing(t), mint(t, aRing(t), session(1), 0).Reveal())
}

// What no key at hand explains may be the work of one that is lacking; what has not the form of a token
// is nobody's.
func TestAForgedTokenIsToldFromWhatIsNone(t *testing.T) {
	t.Parallel()
	ring := ringOf(t, 1)
	for text, want := range map[string]error{
		mint(t, ringOf(t, 2), session(1), 0).Reveal():     credential.ErrNoKey,
		credential.NativePrefix + strings.Repeat("A", 70): credential.ErrNoKey,
		credential.NativePrefix + strings.Repeat("A", 69): credential.ErrNotAToken,
		credential.NativePrefix + strings.Repeat("=", 70): credential.ErrNotAToken,
		"short": credential.ErrNotAToken,
	} {
		if _, err := ring.Recognise(credential.NewSecret(text)); !errors.Is(err, want) {
			t.Errorf("%.8s…: %v, want %v", text, err, want)
		}
	}
}

func TestATokenIsMintedAgainWithTheKeyThatMadeIt(t *testing.T) {
	t.Parallel()
	before, after := ringOf(t, 1), ringOf(t, 1, 2)
	first := mint(t, before, session(1), 0)
	again, err := after.Mint(before.ActiveID(), session(1), 0)
	if err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("another token after a rotation: %v", err)
	}
	var missing *keyring.MissingError
	if token, err := before.Mint(after.ActiveID(), session(1), 0); !errors.As(err, &missing) || missing.ID != "key-2" || token.Reveal() != "" {
		t.Errorf("minted with a key that is not there: %v", err)
	}
}

func TestTheActiveKeySignsAndAllVerify(t *testing.T) {
	t.Parallel()
	before, after, retired := ringOf(t, 1), ringOf(t, 1, 2), ringOf(t, 2)
	old, young := mint(t, before, session(1), 0), mint(t, after, session(1), 0)
	if old.Reveal() == young.Reveal() {
		t.Error("the older key signs after a rotation")
	}
	if young.Reveal() != mint(t, retired, session(1), 0).Reveal() {
		t.Error("the active key does not sign")
	}
	for name, token := range map[string]credential.Secret{"old": old, "young": young} {
		if p, err := after.Recognise(token); err != nil || p.SessionID != session(1) {
			t.Errorf("%s token after the rotation: %+v %v", name, p, err)
		}
	}
	refused(t, before, young.Reveal())
	refused(t, retired, old.Reveal())
}
