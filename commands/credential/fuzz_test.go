package credential_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands/credential"
)

// FuzzRecognise: whatever is presented, a native token is recognised only in the very spelling that
// was minted, and anything else either has the form of a registered token or is none.
func FuzzRecognise(f *testing.F) {
	ring := ringOf(f, 1, 2)
	genuine := mint(f, ring, session(1), 3).Reveal()
	seeds := []string{
		"", genuine, genuine[:len(genuine)-1], genuine + "A", mint(f, ringOf(f, 1), session(1), 0).Reveal(),
		credential.NativePrefix, strings.Repeat("a", 16), strings.Repeat("a", 512), strings.Repeat("a", 513),
		"sixteen chars \x00 no", "sixteen chars é no", genuine[:40] + "\n" + genuine[40:],
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ring.Recognise(credential.NewSecret(text))
		switch {
		case err != nil:
			if !errors.Is(err, credential.ErrNotAToken) && !errors.Is(err, credential.ErrNoKey) {
				t.Fatal("an error that is no verdict")
			}
		case p.Kind == refreshtoken.Native:
			// Both keys verify; one of the two spellings is this one.
			if text != mint(t, ring, p.SessionID, p.Generation).Reveal() &&
				text != mint(t, ringOf(t, 1), p.SessionID, p.Generation).Reveal() {
				t.Fatal("recognised what was never minted")
			}
		default:
			outside := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
			if p.Kind != refreshtoken.Registered || len(p.Fingerprints) != 2 || outside ||
				len(text) < credential.MinRegisteredBytes || len(text) > credential.MaxRegisteredBytes ||
				strings.HasPrefix(text, credential.NativePrefix) {
				t.Fatalf("%q: %+v", text, p)
			}
		}
	})
}
