package refreshtoken_test

import (
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// issue asks for alice's family, as change wants it.
func issue(change func(*refreshtoken.Issue)) func(refreshtoken.State) (events, error) {
	r := refreshtoken.Issue{
		SessionID: session(1), UserID: user("alice"), ClientID: client("web"), Kind: refreshtoken.Native,
		Now: at(0), ExpiresAt: at(60), AbsoluteExpiresAt: at(600),
	}
	if change != nil {
		change(&r)
	}
	return func(s refreshtoken.State) (events, error) { return s.Issue(r) }
}

func TestIssue(t *testing.T) {
	t.Parallel()
	cut, anonymous := issued(), issued()
	cut.ExpiresAt = at(600)
	anonymous.ClientID = refreshtoken.ClientID{}
	ended := events{issued(), revoked(0, refreshtoken.ReasonLogout)}
	refuse := refreshtoken.ErrInvalidRequest

	play(t, []scenario{
		{
			name: "R1: a session without a family gets one, at generation 0",
			when: issue(nil), then: events{issued()},
		},
		{
			name: "R1: a session without a client gets a family without one",
			when: issue(func(r *refreshtoken.Issue) { r.ClientID = refreshtoken.ClientID{} }), then: events{anonymous},
		},
		{
			name: "R1: a registered token is issued with its fingerprint",
			when: issue(func(r *refreshtoken.Issue) { r.Kind, r.Fingerprint = refreshtoken.Registered, "f0" }),
			then: events{registered()},
		},
		{
			name:  "R1: a live family is not issued again",
			given: events{issued()}, when: issue(nil), err: refreshtoken.ErrAlreadyIssued,
		},
		{
			name:  "R1, R2: an ended family is not issued again",
			given: ended, when: issue(nil), err: refreshtoken.ErrAlreadyIssued,
		},
		{
			name: "R7: a token that would outlive its family is cut to it",
			when: issue(func(r *refreshtoken.Issue) { r.ExpiresAt = at(601) }), then: events{cut},
		},
		{
			name: "R7: a family that is over before it starts is refused",
			when: issue(func(r *refreshtoken.Issue) { r.AbsoluteExpiresAt = at(0) }), err: refuse,
		},
		{
			name: "a token born expired is refused",
			when: issue(func(r *refreshtoken.Issue) { r.ExpiresAt = at(0) }), err: refuse,
		},
		{
			name: "a family beyond the years of RFC 3339 is refused, since its record could not be read",
			when: issue(func(r *refreshtoken.Issue) {
				west := time.FixedZone("west", -10*60*60)
				r.AbsoluteExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 0, west)
			}), err: refuse,
		},
		{
			name: "a family without a session is refused",
			when: issue(func(r *refreshtoken.Issue) { r.SessionID = refreshtoken.SessionID{} }), err: refuse,
		},
		{
			name: "a family without an owner is refused",
			when: issue(func(r *refreshtoken.Issue) { r.UserID = refreshtoken.UserID{} }), err: refuse,
		},
		{
			name: "a family without a kind is refused",
			when: issue(func(r *refreshtoken.Issue) { r.Kind = 0 }), err: refuse,
		},
		{
			name: "a family of a kind outside the closed set is refused",
			when: issue(func(r *refreshtoken.Issue) { r.Kind = refreshtoken.MaxKind + 1 }), err: refuse,
		},
		{
			name: "a registered token without a fingerprint is refused",
			when: issue(func(r *refreshtoken.Issue) { r.Kind = refreshtoken.Registered }), err: refuse,
		},
		{
			name: "a native token with a fingerprint is refused",
			when: issue(func(r *refreshtoken.Issue) { r.Fingerprint = "f0" }), err: refuse,
		},
	})
}
