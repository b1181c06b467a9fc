package refreshtoken_test

import (
	"slices"
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// The names are a contract with audit consumers, so they are written out once more here.

func TestReasonsAreAClosedSet(t *testing.T) {
	t.Parallel()
	walk(t, refreshtoken.MinReason, refreshtoken.MaxReason, refreshtoken.ParseReason, []string{
		"logout", "session_revoked", "logout_everywhere", "password_changed", "reuse_detected", "admin", "incident",
	})
}

func TestRefusalsAreAClosedSet(t *testing.T) {
	t.Parallel()
	walk(t, refreshtoken.MinRefusal, refreshtoken.MaxRefusal, refreshtoken.ParseRefusal, []string{
		"token_not_found", "token_user_mismatch", "token_already_revoked",
	})
}

func TestKindsAreAClosedSet(t *testing.T) {
	t.Parallel()
	walk(t, refreshtoken.MinKind, refreshtoken.MaxKind, refreshtoken.ParseKind, []string{"native", "registered"})
}

// walk visits all 256 values: those of the set have a distinct name that parses back, in the
// order given, and no other value has a name at all.
func walk[T interface {
	~uint8
	String() string
}](t *testing.T, low, high T, parse func(string) (T, error), want []string,
) {
	t.Helper()
	var names []string
	for i := range 256 {
		v := T(i)
		name := v.String()
		if inside := low <= v && v <= high; inside != (name != "") {
			t.Errorf("value %d has the name %q; inside the set: %v", i, name, inside)
		}
		if name == "" {
			continue
		}
		names = append(names, name)
		if back, err := parse(name); err != nil || back != v {
			t.Errorf("%q parses to %d (%v), want %d", name, back, err, i)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	for _, stranger := range []string{"", " ", "Logout", "NATIVE", "unknown", want[0] + " "} {
		if v, err := parse(stranger); err == nil || v != 0 {
			t.Errorf("%q parses to %d (%v), want an error", stranger, v, err)
		}
	}
}
