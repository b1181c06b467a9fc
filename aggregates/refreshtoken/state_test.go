package refreshtoken_test

import (
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

func TestFold(t *testing.T) {
	t.Parallel()
	live := refreshtoken.State{
		Status: refreshtoken.Live, SessionID: session(1), UserID: user("alice"), ClientID: client("web"),
		Kind: refreshtoken.Native, IssuedAt: at(0), ExpiresAt: at(60), AbsoluteExpiresAt: at(600),
	}
	second := live
	second.Generation, second.ExpiresAt = 1, at(70)
	ended := second
	ended.Status, ended.EndReason = refreshtoken.Ended, refreshtoken.ReasonIncident
	stranger := issued()
	stranger.SessionID, stranger.UserID, stranger.Kind = session(2), user("mallory"), refreshtoken.Registered

	tests := []struct {
		name  string
		given events
		then  refreshtoken.State
	}{
		{"no event is no family", nil, refreshtoken.State{}},
		{"R8: issue sets what never changes", events{issued()}, live},
		{"R3: rotation moves generation and expiry, nothing else", events{issued(), rotated(1, at(70))}, second},
		{
			"R2: revocation ends the family and keeps its reason",
			events{issued(), rotated(1, at(70)), revoked(1, refreshtoken.ReasonIncident)}, ended,
		},
		{"R8: a second issue changes nothing", events{issued(), stranger}, live},
		{
			"R2: an ended family is not started again",
			events{issued(), rotated(1, at(70)), revoked(1, refreshtoken.ReasonIncident), issued()}, ended,
		},
		{
			"R5: records of attempts leave the family alone",
			events{
				issued(), attempted("mallory"), succeeded(),
				refreshtoken.LogoutFailed{UserID: user("mallory"), Reason: refreshtoken.TokenUserMismatch, SessionID: session(1)},
				refreshtoken.FingerprintRegistered{SessionID: session(1), Generation: 7},
			}, live,
		},
		{"R9: a rotation of nothing is no family", events{rotated(3, at(70))}, refreshtoken.State{Generation: 3, ExpiresAt: at(70)}},
		{
			"R2, R9: a revocation of nothing still ends it",
			events{revoked(0, refreshtoken.ReasonAdmin), issued()},
			refreshtoken.State{Status: refreshtoken.Ended, EndReason: refreshtoken.ReasonAdmin},
		},
		{"R9: an absent event changes nothing", events{issued(), nil}, live},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := refreshtoken.Fold(tt.given...); got != tt.then {
				t.Errorf("state\n%+v\nwant\n%+v", got, tt.then)
			}
		})
	}
}
