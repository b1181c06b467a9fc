package refreshtoken_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

func logOut(name string) func(refreshtoken.State) (events, error) {
	return func(s refreshtoken.State) (events, error) {
		return s.LogOut(refreshtoken.LogOut{UserID: user(name), By: name})
	}
}

func TestLogOutOfALiveFamily(t *testing.T) {
	t.Parallel()
	record := func(generation uint32) events {
		return events{attempted("alice"), revoked(generation, refreshtoken.ReasonLogout), succeeded()}
	}
	play(t, []scenario{
		{
			name:  "R4: the owner's logout revokes the first token and tells the whole story",
			given: events{issued()}, when: logOut("alice"), then: record(0),
		},
		{
			name:  "R4: the owner's logout revokes whatever generation is newest",
			given: events{issued(), rotated(1, at(70)), rotated(2, at(80))}, when: logOut("alice"), then: record(2),
		},
		{
			// A logout takes no time at all as an input, so this holds by construction; the token
			// of this history expired long before any test runs.
			name:  "R4: the owner's logout works when the token has expired",
			given: events{issued(), rotated(1, at(1))}, when: logOut("alice"), then: record(1),
		},
		{
			name:  "R4: the owner's logout works after a stranger tried",
			given: events{issued(), attempted("mallory")}, when: logOut("alice"), then: record(0),
		},
		{
			name:  "R4: a registered family is logged out like a native one",
			given: events{registered()}, when: logOut("alice"), then: record(0),
		},
	})
}

func TestLogOutRefused(t *testing.T) {
	t.Parallel()
	ended := events{issued(), revoked(0, refreshtoken.ReasonReuseDetected)}
	tests := []struct {
		name   string
		given  events
		who    string
		reason refreshtoken.Refusal
		names  refreshtoken.SessionID
	}{
		{"R6: a token that nothing is known of is not found", nil, "alice", refreshtoken.TokenNotFound, refreshtoken.SessionID{}},
		{"R5: somebody else's live token stays alive", events{issued()}, "mallory", refreshtoken.TokenUserMismatch, session(1)},
		{"R6: ownership is checked before revocation", ended, "mallory", refreshtoken.TokenUserMismatch, session(1)},
		{"R2, R6: the owner's revoked token is already revoked", ended, "alice", refreshtoken.TokenAlreadyRevoked, session(1)},
		{
			"R5: an owner's name is compared byte by byte", events{issued()}, "Alice",
			refreshtoken.TokenUserMismatch, session(1),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := logOut(tt.who)(refreshtoken.Fold(tt.given...))
			var refused *refreshtoken.RefusedError
			if !errors.As(err, &refused) || got != nil {
				t.Fatalf("got events %v and error %v, want a refusal and nothing else", got, err)
			}
			if refused.Reason != tt.reason || refused.SessionID != tt.names {
				t.Errorf("refused for %v of session %v, want %v of %v", refused.Reason, refused.SessionID, tt.reason, tt.names)
			}
			if want := "logout refused: " + tt.reason.String(); refused.Error() != want {
				t.Errorf("text %q, want %q", refused.Error(), want)
			}
			record := events{
				attempted(tt.who),
				refreshtoken.LogoutFailed{UserID: user(tt.who), Reason: tt.reason, SessionID: tt.names},
			}
			if events := refused.Events(user(tt.who)); !slices.Equal(events, record) {
				t.Errorf("record %+v, want %+v", events, record)
			}
		})
	}
}

func TestARefusalChangesNothingOnTheFamily(t *testing.T) { // R5
	t.Parallel()
	live := refreshtoken.Fold(issued(), rotated(1, at(70)))
	_, err := logOut("mallory")(live)
	var refused *refreshtoken.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("a stranger's logout gave %v, want a refusal", err)
	}
	after := live
	for _, e := range refused.Events(user("mallory")) {
		after = after.Apply(e)
	}
	if after != live {
		t.Errorf("a refusal changed %+v into %+v", live, after)
	}
}
