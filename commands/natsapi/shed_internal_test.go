package natsapi

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestAnAllowanceIsABurstAndARate(t *testing.T) {
	t.Parallel()
	for _, a := range []allowance{garbage(), failures()} {
		now := time.Unix(1_800_000_000, 0)
		taken := 0.0
		for ; a.open(now) && taken < 2*a.burst; taken++ {
			a.left--
		}
		if taken != a.burst {
			t.Errorf("a burst of %v, want %v", taken, a.burst)
		}
		for now = now.Add(100 * time.Millisecond); a.open(now) && taken < 2*a.burst; taken++ {
			a.left--
		}
		if taken != a.burst+a.rate/10 {
			t.Errorf("%v in the next 100 ms, want %v", taken-a.burst, a.rate/10)
		}
		if now = now.Add(time.Hour); !a.open(now) || a.left != a.burst {
			t.Errorf("after an hour of rest %v are left", a.left)
		}
	}
}

// TestWhatMayNotBeACommandIsNone: what is refused unread would have been refused in any case, and what can be carried
// out is never taken for garbage, however it is spelled.
func TestWhatMayNotBeACommandIsNone(t *testing.T) {
	t.Parallel()
	valid := map[string][]string{
		VerbLogoutUser: {
			`{"user_id":"alice","refresh_token":"x"}`, " \n{ \"refresh_token\" : \"x\",\"user_id\":\"alice\" }\t",
			`{"user\u005fid":"alice","refresh_token":"x"}`, `{"user_id":"alice","\u0072efresh_token":"x"}`,
		},
		VerbIssueRefreshToken:    {`{"user_id":"alice"}`, `{"\u0075\u0073\u0065\u0072_id":"alice"}`},
		VerbRegisterRefreshToken: {`{"user_id":"alice","refresh_token":"an opaque, long token","expires_at":"2999-01-01T00:00:00Z"}`},
	}
	for _, v := range verbs() {
		for _, text := range valid[v.name] {
			if _, _, err := v.decode(nil, nats.Header{}, []byte(text)); err != nil || !v.mayBe([]byte(text)) {
				t.Errorf("%s: %s: %v", v.name, text, err)
			}
		}
		for _, text := range []string{"", "x", "null", "[]", "{}", `{"user":"alice"}`, `"refresh_token"`, `{"expires_at":"","refresh_token":"x"}`} {
			if _, _, err := v.decode(nil, nats.Header{}, []byte(text)); err == nil || v.mayBe([]byte(text)) {
				t.Errorf("%s: %s: %v", v.name, text, err)
			}
		}
	}
}
