package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// timingSamples is how many logouts of each branch are timed; LOGOUTD_TIMING_SAMPLES changes it.
func timingSamples(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("LOGOUTD_TIMING_SAMPLES"))
	if err != nil {
		return 200
	}
	t.Logf("%d samples of each branch", n)
	return n
}

// TestNEW9ReplyTimesOfTheBranches times the four branches of a logout, shuffled, and reports the
// medians and a rank test (Mann-Whitney) between each pair: |z| below 1.96 is what equal
// distributions give 19 times of 20. It asserts no time, since a shared machine keeps none; what it
// does assert is that every branch answered neutrally.
func TestNEW9ReplyTimesOfTheBranches(t *testing.T) {
	inEveryWorld(t, replyTimes)
}

func replyTimes(t *testing.T, w *world) {
	samples, floor := timingSamples(t), "1ms"
	if w.name == "esdb" {
		samples, floor = max(samples/5, 1), "25ms" // as config has it
	}
	s := w.start(t, t.TempDir(), "--reply-floor", floor)
	type shot struct {
		branch  int
		payload []byte
	}
	names := []string{"live", "another user's", "already revoked", "unknown"}
	var shots []shot
	for range samples {
		_, live := s.token("alice")
		_, foreign := s.token("bob")
		_, revoked := s.token("alice")
		s.logout(newID(), "alice", revoked)
		for b, token := range []string{live, foreign, revoked, "lt1_" + strings.Repeat("A", 70)} {
			shots = append(shots, shot{b, mustJSON(logoutFields(newID(), "alice", token))})
		}
	}
	rand.Shuffle(len(shots), func(i, j int) { shots[i], shots[j] = shots[j], shots[i] })
	times := make([][]time.Duration, len(names))
	for _, shot := range shots {
		start := time.Now()
		r, err := s.request(natsapi.VerbLogoutUser, shot.payload)
		took := time.Since(start)
		var out loggedOut
		if err != nil || r.status != "" || json.Unmarshal(r.body, &out) != nil || out.Message != "Successfully logged out." {
			t.Fatalf("%s: status %q: %v", names[shot.branch], r.status, err)
		}
		times[shot.branch] = append(times[shot.branch], took)
	}
	for i, name := range names {
		sorted := slices.Sorted(slices.Values(times[i]))
		t.Logf("%-16s n %d  median %s", name, len(sorted), sorted[len(sorted)/2])
	}
	for i := range names {
		for j := range i {
			t.Logf("%-16s against %-16s z %+.2f", names[i], names[j], mannWhitney(times[i], times[j]))
		}
	}
}

// mannWhitney is the z of the rank-sum test of two samples: how many standard deviations their
// ranks lie from those of equal distributions.
func mannWhitney(a, b []time.Duration) float64 {
	type value struct {
		d     time.Duration
		fromA bool
	}
	var all []value
	for _, d := range a {
		all = append(all, value{d, true})
	}
	for _, d := range b {
		all = append(all, value{d, false})
	}
	slices.SortFunc(all, func(x, y value) int { return int(x.d - y.d) })
	rankSum := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		for k := i; k < j; k++ {
			if all[k].fromA {
				rankSum += float64(i+j+1) / 2 // ties share their mean rank
			}
		}
		i = j
	}
	na, nb := float64(len(a)), float64(len(b))
	return (rankSum - na*(na+nb+1)/2) / math.Sqrt(na*nb*(na+nb+1)/12)
}

// TestMannWhitneySeesADifference: a test that cannot see one proves nothing.
func TestMannWhitneySeesADifference(t *testing.T) {
	t.Parallel()
	var a, b, c []time.Duration
	for i := range 200 {
		a = append(a, time.Duration(i))
		b = append(b, time.Duration(i+40))
		c = append(c, time.Duration(199-i))
	}
	if z := mannWhitney(a, b); z > -3 {
		t.Errorf("shifted samples: z %.2f, want below -3", z)
	}
	if z := mannWhitney(a, c); math.Abs(z) > 0.01 {
		t.Errorf("equal samples: z %s, want 0", fmt.Sprintf("%.2f", z))
	}
}
