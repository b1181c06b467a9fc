package refreshtoken_test

import (
	"math"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// rotate presents a token of a generation, some minutes after the issue, and asks for a
// successor that lives for an hour.
func rotate(generation uint32, minutes int) func(refreshtoken.State) (events, error) {
	return rotateUntil(generation, minutes, at(minutes+60), "")
}

func rotateUntil(generation uint32, minutes int, expires time.Time, fingerprint string) func(refreshtoken.State) (events, error) {
	r := refreshtoken.Rotate{Generation: generation, Now: at(minutes), ExpiresAt: expires, Fingerprint: fingerprint}
	return func(s refreshtoken.State) (events, error) { return s.Rotate(r) }
}

func TestRotate(t *testing.T) {
	t.Parallel()
	registeredSuccessor := rotated(1, at(70))
	registeredSuccessor.Fingerprint = "f1"
	worn := rotated(math.MaxUint32, at(60))

	play(t, []scenario{
		{
			name:  "R3: the newest token gets a successor one generation on",
			given: events{issued()}, when: rotate(0, 10), then: events{rotated(1, at(70))},
		},
		{
			name:  "R3: a successor gets a successor",
			given: events{issued(), rotated(1, at(70))}, when: rotate(1, 20), then: events{rotated(2, at(80))},
		},
		{
			name:  "R3: a token that was replaced gets no second successor",
			given: events{issued(), rotated(1, at(70))}, when: rotate(0, 20), err: refreshtoken.ErrNotNewest,
		},
		{
			name:  "R3: a token of a generation still to come gets nothing",
			given: events{issued()}, when: rotate(1, 20), err: refreshtoken.ErrNotNewest,
		},
		{
			name:  "R3: the last generation is never followed by the first",
			given: events{issued(), worn}, when: rotate(math.MaxUint32, 20), err: refreshtoken.ErrExpired,
		},
		{
			name:  "R3: a logout that failed moves no generation",
			given: events{issued(), attempted("mallory")}, when: rotate(0, 10), then: events{rotated(1, at(70))},
		},
		{
			name: "R1: a session that was never issued is not rotated",
			when: rotate(0, 10), err: refreshtoken.ErrNotIssued,
		},
		{
			name:  "R2: an ended family is not rotated",
			given: events{issued(), revoked(0, refreshtoken.ReasonAdmin)}, when: rotate(0, 10), err: refreshtoken.ErrEnded,
		},
		{
			name:  "R2: an ended family says so before it says anything about the generation",
			given: events{issued(), revoked(0, refreshtoken.ReasonAdmin)}, when: rotate(9, 10), err: refreshtoken.ErrEnded,
		},
		{
			name:  "R7: a successor that would outlive its family is cut to it",
			given: events{issued(), rotated(1, at(590))}, when: rotate(1, 580), then: events{rotated(2, at(600))},
		},
		{
			name:  "R7: nothing is rotated once the family is over",
			given: events{issued(), rotated(1, at(600))}, when: rotate(1, 600), err: refreshtoken.ErrExpired,
		},
		{
			name:  "an expired token gets no successor",
			given: events{issued()}, when: rotate(0, 60), err: refreshtoken.ErrExpired,
		},
		{
			name:  "a token gets a successor up to the last moment of its life",
			given: events{issued()}, when: rotate(0, 59), then: events{rotated(1, at(119))},
		},
		{
			name:  "a successor born expired is refused",
			given: events{issued()}, when: rotateUntil(0, 10, at(10), ""), err: refreshtoken.ErrInvalidRequest,
		},
		{
			name:  "a registered token is replaced by one with a fingerprint",
			given: events{registered()}, when: rotateUntil(0, 10, at(70), "f1"), then: events{registeredSuccessor},
		},
		{
			name:  "a registered token is not replaced by one without a fingerprint",
			given: events{registered()}, when: rotate(0, 10), err: refreshtoken.ErrInvalidRequest,
		},
		{
			name:  "a native token is not replaced by one with a fingerprint",
			given: events{issued()}, when: rotateUntil(0, 10, at(70), "f1"), err: refreshtoken.ErrInvalidRequest,
		},
	})
}
