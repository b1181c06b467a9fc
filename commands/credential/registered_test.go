package credential_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
)

func TestWhatCanBeARegisteredToken(t *testing.T) {
	t.Parallel()
	every := make([]byte, 0, 95)
	for c := byte(' '); c <= '~'; c++ {
		every = append(every, c)
	}
	ring := aRing(t)
	for name, text := range map[string]string{
		"the shortest":                         strings.Repeat("a", 16),
		"the longest":                          strings.Repeat("a", 512),
		"every printable ASCII character":      string(every),
		"only spaces":                          strings.Repeat(" ", 16),
		"the native prefix in another case":    "LT1_" + strings.Repeat("A", 70),
		"the native prefix after the start":    " lt1_" + strings.Repeat("A", 70),
		"the native prefix of a later vintage": "lt2_" + strings.Repeat("A", 70),
	} {
		p := mustRecognise(t, ring, text)
		if p.Kind != refreshtoken.Registered || len(p.Fingerprints) != 1 || !p.SessionID.IsZero() || p.Generation != 0 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for name, text := range map[string]string{
		"nothing":                      "",
		"one character too few":        strings.Repeat("a", 15),
		"one character too many":       strings.Repeat("a", 513),
		"sixteen bytes of accents":     strings.Repeat("é", 8),
		"a byte that is no UTF-8":      strings.Repeat("a", 16) + "\xff",
		"the native prefix, too short": "lt1_" + strings.Repeat("A", 30),
		"the native prefix alone":      "lt1_",
		"a megabyte":                   strings.Repeat("a", 1<<20),
	} {
		if p, err := ring.Recognise(credential.NewSecret(text)); !errors.Is(err, credential.ErrNotAToken) {
			t.Errorf("%s was recognised as %+v: %v", name, p, err)
		}
	}
	for c := range 256 {
		if c >= ' ' && c <= '~' {
			continue
		}
		for _, at := range []int{0, 8, 16} { // first, middle, last
			text := strings.Repeat("a", at) + string([]byte{byte(c)}) + strings.Repeat("a", 16-at)
			refused(t, ring, text)
		}
	}
}

func TestFingerprintsAreStableDistinctAndKeyed(t *testing.T) {
	t.Parallel()
	one, other := ringOf(t, 1), ringOf(t, 2)
	rapid.Check(t, func(r *rapid.T) {
		token := rapid.StringMatching(`[ -~]{16,64}`).Filter(notNative).Draw(r, "token")
		second := rapid.StringMatching(`[ -~]{16,64}`).Filter(notNative).Draw(r, "second")
		f := mustRecognise(t, one, token).Fingerprints[0]
		if f != mustRecognise(t, one, token).Fingerprints[0] {
			r.Fatal("one token has two fingerprints")
		}
		if (f == mustRecognise(t, one, second).Fingerprints[0]) != (token == second) {
			r.Fatal("two tokens share a fingerprint")
		}
		if f == mustRecognise(t, other, token).Fingerprints[0] {
			r.Fatal("the fingerprint does not depend on the key")
		}
		if again, err := credential.ParseFingerprint(string(f)); err != nil || again != f {
			r.Fatalf("the fingerprint is not in its own form: %v", err)
		}
		if f.Stream() != credential.PointerPrefix+string(f) {
			r.Fatal(f.Stream())
		}
	})
}

func notNative(s string) bool { return !strings.HasPrefix(s, credential.NativePrefix) }

func TestFingerprintsOfEveryKeyAreTriedTheActiveFirst(t *testing.T) {
	t.Parallel()
	const token = "a token of somebody else"
	var want []credential.Fingerprint
	for _, n := range []byte{3, 2, 1} {
		want = append(want, mustRecognise(t, ringOf(t, n), token).Fingerprints...)
	}
	if got := mustRecognise(t, ringOf(t, 1, 2, 3), token).Fingerprints; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A fingerprint stands in events. Were it the tag of a native token, whoever reads events could
// have it made for a payload of his choice.
func TestAFingerprintNeverPassesForATag(t *testing.T) {
	t.Parallel()
	ring := ringOf(t, 1)
	// A payload of printable characters, as a registered token of sixteen and more would have.
	payload := "sixteen characters!!"
	f := mustRecognise(t, ring, payload).Fingerprints[0]
	tag, err := hex.DecodeString(string(f))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, ring, credential.NativePrefix+base64.RawURLEncoding.EncodeToString(append([]byte(payload), tag...)))
	// That it fails for its tag, and not for its form, shows with the right tag.
	id := refreshtoken.SessionIDFrom([16]byte([]byte(payload[:16])))
	generation := uint32(payload[16])<<24 | uint32(payload[17])<<16 | uint32(payload[18])<<8 | uint32(payload[19])
	mustRecognise(t, ring, mint(t, ring, id, generation).Reveal())
}

func TestWhatIsAFingerprint(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "too short": strings.Repeat("a", 63), "too long": strings.Repeat("a", 65),
		"upper case": strings.Repeat("A", 64), "no hexadecimal digit inside": strings.Repeat("a", 63) + "g",
		"a slash": strings.Repeat("a", 32) + "/" + strings.Repeat("a", 31),
	} {
		if f, err := credential.ParseFingerprint(text); err == nil || f != "" {
			t.Errorf("%s was taken", name)
		}
	}
}
