package eventstoretest_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Histories that fail are wanted here: they need not be minimised or kept.
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// crash opens what a crash leaves of a store in memory.
func crash(t eventstoretest.T, s eventstore.Store) eventstore.Store {
	was := s.(*memory) //nolint:forcetypeassert // only these
	left := newMemory(was.bug)
	was.mu.Lock()
	defer was.mu.Unlock()
	kept := len(was.log)
	if was.bug.is(losesLast) {
		kept -= 2
	}
	for _, r := range was.log[:kept] {
		left.mu.Lock()
		left.store(eventstore.Append{Stream: r.Stream, Events: []eventstore.Event{r.Event}})
		left.mu.Unlock()
	}
	t.Cleanup(func() { _ = left.Close() })
	return left
}

// Ensure that a store which keeps the contract passes.
func TestReferencePasses(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t *testing.T) eventstore.Store {
		m := newMemory(none)
		t.Cleanup(func() { _ = m.Close() })
		return m
	}, eventstoretest.WithCrash(crash))
}

// broken says which checks have to find which bug.
func broken() map[bug][]string {
	return map[bug][]string{
		losesSecond:         {"E1/a batch is stored together and in order", "E14/an append at the limit is stored", "model/any history of calls answers as a slice would"},
		storesRefused:       {"E1/a batch that is refused stores none of its events", "E2/an expectation that does not hold changes nothing and names both revisions"},
		oneByOne:            {"E1/nobody sees a part of a batch"},
		lastWriteWins:       {"E2/an expectation that does not hold changes nothing and names both revisions", "E2/of many who expect the same revision one wins", "model/any history of calls answers as a slice would"},
		countsFromOne:       {"E2/an expectation that holds is accepted"},
		losesLast:           {"E3/what was acknowledged survives a crash"},
		forgetsOrder:        {"E4/positions rise with every append, revisions by one", "E9/the global order reads from any position in both directions"},
		lateArrival:         {"E4/nothing becomes visible below a position already seen"},
		leavesHoles:         {"E5/positions start at 1 and have no holes"},
		forgetsIDs:          {"E6/a repeated append adds nothing and answers the first result", "E6/of appends repeated at the same time one is stored", "E7/an id that was stored with other events is refused"},
		remembersLastOnly:   {"E6/a repeated append is known wherever its stream is now"},
		forgetsDuplicate:    {"E6/a repeated append adds nothing and answers the first result", "E6/of appends repeated at the same time one is stored"},
		idsPerStream:        {"E7/an id of another stream is refused and named"},
		firstIDOnly:         {"E7/an id that was stored with other events is refused"},
		loadNotFound:        {"E8/a stream that does not exist loads without an error"},
		keepsSnapshot:       {"E8/a load is enough to fold the stream"},
		snapshotBeforeCheck: {"E8/a refused or repeated append leaves the snapshot alone"},
		offByOne:            {"E9/a stream reads from any revision in both directions"},
		inclusive:           {"E9/the global order reads from any position in both directions"},
		emptyForMissing:     {"E9/a stream that does not exist is not found"},
		staleReads:          {"E9/a read sees what was acknowledged before it began"},
		readsOnce:           {"E9/a read that is left early can be begun again"},
		tidiesJSON:          {"E15/what is read is what was appended, byte for byte"},
		sharesSlices:        {"E15/slices of the caller and of readers are their own"},
		historyOnly:         {"E10/a subscription yields history, then live events"},
		losesAtHandOver:     {"E10/nothing is lost or repeated where history meets live events"},
		repeatsAtEnd:        {"E10/a subscription after the end waits for what comes", "E10/a subscription yields history, then live events"},
		waitsForSubscribers: {"E11/a subscriber that stops reading holds nobody up"},
		waitsForReaders:     {"E11/a reader that stops in the middle holds nobody up"},
		ignoresContext:      {"E12/a call with a context that has ended returns its cause", "E12/a subscription that waits ends with its context"},
		storesWhenCancelled: {"E12/an append refused for its context stores nothing"},
		causeForUnknown:     {"E13/an append that is cancelled under way says what it knows"},
		validatesNothing:    {"E14/an append that breaks a rule is invalid and stores nothing", "E14/an append over a limit is too large and stores nothing"},
		smallLimits:         {"E14/an append at the limit is stored"},
		stopsAtLarge:        {"E9/a read passes appends at the limit", "E10/a subscription passes appends at the limit"},
		usableAfterClose:    {"E16/after close every call answers unavailable"},
		closeWakesNobody:    {"E16/close ends the calls that wait"},
	}
}

// Ensure that every check is failed by a store that is broken where the check looks: a check that nothing fails
// proves nothing.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	checks := map[string]eventstoretest.Clause{}
	for _, c := range eventstoretest.Clauses() {
		checks[c.ID+"/"+c.Name] = c
	}
	clauses := map[string]bool{}
	missing := map[string]bool{}
	for name, c := range checks {
		clauses[c.ID], missing[name] = true, true
	}
	if len(clauses) != 17 {
		t.Errorf("the suite knows %d clauses; there are 16 and the model", len(clauses))
	}
	if len(checks) != len(eventstoretest.Clauses()) {
		t.Error("two checks have the same name")
	}
	for b, names := range broken() {
		for _, name := range names {
			c, ok := checks[name]
			if !ok {
				t.Errorf("there is no check %q", name)
				continue
			}
			delete(missing, name)
			t.Run(string(b)+"/"+name, func(t *testing.T) {
				t.Parallel()
				mustFail(t, b, c)
			})
		}
	}
	for name := range missing {
		t.Errorf("no broken store fails %q", name)
	}
}

// mustFail runs a check on a broken store. Some bugs show only when goroutines meet: they get several chances.
func mustFail(t *testing.T, b bug, c eventstoretest.Clause) {
	hangs := b.is(waitsForReaders) || b.is(waitsForSubscribers) || b.is(ignoresContext) ||
		b.is(closeWakesNobody) || b.is(usableAfterClose)
	patience := 20 * time.Second
	if hangs {
		patience = 200 * time.Millisecond
	}
	const chances = 20
	for range chances {
		r := record(t.Context(), func(r *recorder) {
			m := newMemory(b)
			r.Cleanup(func() { _ = m.Close() })
			eventstoretest.RunClause(c, r, m, eventstoretest.WithCrash(crash), eventstoretest.Patience(patience))
		})
		if !r.Failed() {
			continue
		}
		if text := r.text(); !hangs && (strings.Contains(text, "in time") || strings.Contains(text, "does not end")) {
			t.Errorf("found by waiting only: %s", text)
		}
		return
	}
	t.Errorf("a store that %s passes %s: %s", b, c.ID, c.Name)
}

// Ensure that skips are honest: they name something that exists, and say why.
func TestSkips(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clause, reason string
		ok             bool
	}{
		{"E5", "positions are offsets", true},
		{"E14/an append at the limit is stored", "the limit is lower", true},
		{"E5", "", false},
		{"E99", "no such clause", false},
		{"E14/at the limit", "not its name", false},
	} {
		if err := eventstoretest.Validate(eventstoretest.Skip(c.clause, c.reason)); (err == nil) != c.ok {
			t.Errorf("skip of %q for %q answers %v", c.clause, c.reason, err)
		}
	}
}
