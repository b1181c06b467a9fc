package esdb

import (
	"math/rand/v2"
	"time"
)

// backoff are pauses that double from min to max, each jittered by half, so that those who
// lost the same server do not come back to it together.
type backoff struct{ min, max time.Duration }

// pause is the one after n failures, n from 1.
func (b backoff) pause(n int) time.Duration {
	const doublings = 20
	d := min(b.min<<min(n-1, doublings), b.max)
	return d/2 + rand.N(d/2+1) //nolint:gosec // not a secret
}
