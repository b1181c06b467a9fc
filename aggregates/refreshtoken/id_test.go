package refreshtoken_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

const canonical = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestSessionIDReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := refreshtoken.SessionIDFrom([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")))
		for _, form := range []string{id.String(), strings.ToUpper(id.String())} {
			if back, err := refreshtoken.ParseSessionID(form); err != nil || back != id {
				t.Fatalf("%s reads as %s (%v)", form, back, err)
			}
		}
		if back, ok := refreshtoken.ParseStream(id.Stream()); !ok || back != id {
			t.Fatalf("stream %s reads as %s (%v)", id.Stream(), back, ok)
		}
		if refreshtoken.SessionIDFrom(id.Bytes()) != id {
			t.Fatalf("bytes of %s make another id", id)
		}
	})
}

func TestSessionIDRefusesAnythingElse(t *testing.T) {
	t.Parallel()
	refused := []string{
		"", canonical[:35], canonical + "0", strings.ReplaceAll(canonical, "-", ""), "{" + canonical[1:35] + "}",
		"g" + canonical[1:], canonical[:24] + "-" + canonical[25:],
		"urn:uuid:" + canonical, "0000000000000000000000000000000000é",
	}
	for _, dash := range []int{8, 13, 18, 23} {
		refused = append(refused, canonical[:dash]+"0"+canonical[dash+1:])
	}
	for _, s := range refused {
		if id, err := refreshtoken.ParseSessionID(s); err == nil || !id.IsZero() {
			t.Errorf("%q reads as %s (%v), want an error", s, id, err)
		}
	}
	if id, err := refreshtoken.ParseSessionID(canonical); err != nil || id.IsZero() || id.String() != canonical {
		t.Errorf("%q reads as %s (%v)", canonical, id, err)
	}
}

func TestOnlyTheCanonicalStreamIsAFamilys(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{
		"", canonical, "refreshToken-", "refreshToken-" + canonical + "x", "userLogout-" + canonical,
		"refreshtoken-" + canonical, "$refreshToken-" + canonical,
		"refreshToken-" + strings.ToUpper(canonical), // another stream, byte by byte
	} {
		if id, ok := refreshtoken.ParseStream(stream); ok {
			t.Errorf("%q reads as the family of %s", stream, id)
		}
	}
	if id, ok := refreshtoken.ParseStream("refreshToken-" + canonical); !ok || id.String() != canonical {
		t.Errorf("the stream of %s reads as %s (%v)", canonical, id, ok)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, text string
	}{
		{"a plain name is one", "alice", ""},
		{"a name may have any letters", "Zoë 王 <a&b> \"q\"", ""},
		{"a name may have 256 bytes", strings.Repeat("x", 256), ""},
		{"a name of 257 bytes is too long", strings.Repeat("x", 257), "must be at most 256 bytes long"},
		{"a name is measured in bytes", strings.Repeat("é", 129), "must be at most 256 bytes long"},
		{"a name is UTF-8", "a\xff", "must be UTF-8"},
		{"a line break would forge a line of a log", "a\nb", "must not contain control characters"},
		{"NUL is refused", "a\x00", "must not contain control characters"},
		{"DEL is refused", "a\x7f", "must not contain control characters"},
		{"a control character beyond ASCII is refused", "a\u009b31m", "must not contain control characters"},
		{"the first character after the controls is allowed", "a\u00a0b", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, userErr := refreshtoken.ParseUserID(tt.in)
			c, clientErr := refreshtoken.ParseClientID(tt.in)
			if tt.text == "" {
				if userErr != nil || clientErr != nil || u.String() != tt.in || c.String() != tt.in || u.IsZero() {
					t.Errorf("%q gives user %q (%v) and client %q (%v)", tt.in, u, userErr, c, clientErr)
				}
				return
			}
			if userErr == nil || userErr.Error() != tt.text || !u.IsZero() {
				t.Errorf("user %q: error %v, want %q", tt.in, userErr, tt.text)
			}
			if clientErr == nil || clientErr.Error() != tt.text || c != (refreshtoken.ClientID{}) {
				t.Errorf("client %q: error %v, want %q", tt.in, clientErr, tt.text)
			}
		})
	}
}

func TestAnEmptyNameIsNoUserButNoClientEither(t *testing.T) {
	t.Parallel()
	if _, err := refreshtoken.ParseUserID(""); err == nil || err.Error() != "must not be empty" {
		t.Errorf("an empty user id gives %v", err)
	}
	if c, err := refreshtoken.ParseClientID(""); err != nil || c != (refreshtoken.ClientID{}) {
		t.Errorf("an empty client id gives %q (%v), want no client", c, err)
	}
}
