package commands_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/logoutd/logoutd/commands"
)

// flood submits jobs that wait for release until one is refused, and tells how many were not.
func flood(t *testing.T, q *commands.Queue, release chan struct{}, next func(n int) commands.Keys) int {
	t.Helper()
	for n := range q.Limit() + 1 {
		err := q.Submit(next(n), func() { <-release })
		switch {
		case errors.Is(err, commands.ErrShare):
			return n
		case err != nil:
			t.Fatalf("job %d: %v", n+1, err)
		}
	}
	t.Fatal("the flood has no bound")
	return 0
}

// floods are the ways to send everything under one key; the others differ from job to job.
func floods(n int) map[string]commands.Keys {
	token, user, client := uint64(n)+1000, uint64(n)+2000, uint64(n)+3000 //nolint:gosec // not negative
	return map[string]commands.Keys{
		"token":  {Token: 1, User: user, Client: client},
		"user":   {Token: token, User: 2, Client: client},
		"client": {Token: token, User: user, Client: 3},
	}
}

func TestAFloodOfOneLeavesRoomForEverybodyElse(t *testing.T) {
	t.Parallel()
	const limit = 1 << 14
	for name, want := range map[string]int{"token": 256, "user": limit / 8, "client": limit / 8} {
		q := commands.NewQueue(limit)
		release := make(chan struct{})
		if n := flood(t, q, release, func(n int) commands.Keys { return floods(n)[name] }); n != want || q.Pending() != n {
			t.Errorf("%s: %d accepted, want %d, and %d are pending", name, n, want, q.Pending())
		}
		// Whoever shares nothing with the flood is served at once, while all of it waits.
		var others sync.WaitGroup
		for i := range 500 {
			others.Add(1)
			if err := q.Submit(commands.Keys{Token: uint64(i) + 10, User: uint64(i) + 10, Client: uint64(i) + 10}, others.Done); err != nil { //nolint:gosec // not negative
				t.Fatalf("%s: another's job: %v", name, err)
			}
		}
		others.Wait()
		close(release)
		closeQueue(t, q)
	}
}

func TestARefusedJobTakesNoPlaceAnywhere(t *testing.T) {
	t.Parallel()
	q := commands.NewQueue(80) // ten for one token, user or client
	release := make(chan struct{})
	for name, want := range map[string]int{"token": 10, "user": 10, "client": 10} {
		if n := flood(t, q, release, func(n int) commands.Keys { return floods(n)[name] }); n != want {
			t.Fatalf("%s: %d accepted", name, n)
		}
	}
	// Each of these is over one bound. If it left anything at the other two keys, those would fill up.
	other := commands.Keys{Token: 10, User: 20, Client: 30}
	for range 20 {
		for _, k := range []commands.Keys{
			{Token: 1, User: 20, Client: 30}, {Token: 10, User: 2, Client: 30}, {Token: 10, User: 20, Client: 3},
		} {
			if err := q.Submit(k, func() {}); !errors.Is(err, commands.ErrShare) {
				t.Fatal(err)
			}
		}
	}
	if q.Pending() != 30 {
		t.Errorf("%d pending", q.Pending())
	}
	for range 10 {
		if err := q.Submit(other, func() { <-release }); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	closeQueue(t, q)
	if q.Pending() != 0 {
		t.Errorf("%d pending in the end", q.Pending())
	}
}

func TestAShareThatIsDoneIsFreeAgain(t *testing.T) {
	t.Parallel()
	q := commands.NewQueue(80)
	for range 3 {
		for name := range floods(0) {
			release := make(chan struct{})
			if n := flood(t, q, release, func(n int) commands.Keys { return floods(n)[name] }); n != 10 {
				t.Errorf("%s: %d accepted", name, n)
			}
			close(release)
			for q.Pending() != 0 { // the places are given back just after the jobs have ended
				runtime.Gosched()
			}
		}
	}
	closeQueue(t, q)
}

func TestWhoNamesNoClientHasNoShareOfClients(t *testing.T) {
	t.Parallel()
	q := commands.NewQueue(80)
	release := make(chan struct{})
	for i := range 80 {
		if err := q.Submit(of(i, i), func() { <-release }); err != nil {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	close(release)
	closeQueue(t, q)
}
