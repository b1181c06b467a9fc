package commands_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/logoutd/logoutd/commands"
)

func closeQueue(t *testing.T, q *commands.Queue) {
	t.Helper()
	if err := q.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// of are the keys of a job on a token of a user.
func of(token, user int) commands.Keys {
	return commands.Keys{Token: uint64(token), User: uint64(user)} //nolint:gosec // not negative
}

func TestJobsOfOneKeyRunOneAtATimeInTheirOrder(t *testing.T) {
	t.Parallel()
	const keys, jobs = 5, 256 // as many as one token may have
	q := commands.NewQueue(1 << 14)
	var order [keys][]int // without a lock: the race detector watches that one runs at a time
	for i := range jobs {
		for k := range keys {
			if err := q.Submit(of(k, k), func() { order[k] = append(order[k], i) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeQueue(t, q)
	for k := range order {
		if len(order[k]) != jobs {
			t.Errorf("key %d ran %d jobs", k, len(order[k]))
		}
		for i, got := range order[k] {
			if got != i {
				t.Fatalf("key %d ran job %d in place of %d", k, got, i)
			}
		}
	}
}

func TestJobsOfDifferentKeysRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	const keys = 100
	q := commands.NewQueue(keys)
	var all sync.WaitGroup
	all.Add(keys)
	for k := range keys {
		// Each waits for all: one after the other, none would end.
		if err := q.Submit(of(k, k), func() { all.Done(); all.Wait() }); err != nil {
			t.Fatal(err)
		}
	}
	closeQueue(t, q)
}

func TestAFullQueueIsBusy(t *testing.T) {
	t.Parallel()
	const limit = 7
	q := commands.NewQueue(limit)
	release := make(chan struct{})
	var ran atomic.Int64
	job := func() { <-release; ran.Add(1) }
	for i := range limit { // running and waiting ones together
		if err := q.Submit(of(i, i), job); err != nil {
			t.Fatal(err)
		}
	}
	for i := range limit + 1 {
		if err := q.Submit(of(i, i), job); !errors.Is(err, commands.ErrBusy) || errors.Is(err, commands.ErrShare) {
			t.Errorf("job %d of %d: %v", limit+1, limit, err)
		}
	}
	if q.Pending() != limit || q.Limit() != limit {
		t.Errorf("%d of %d pending", q.Pending(), q.Limit())
	}
	close(release)
	closeQueue(t, q)
	if ran.Load() != limit || q.Pending() != 0 {
		t.Errorf("%d jobs ran, %d pending", ran.Load(), q.Pending())
	}
}

func TestAJobThatIsDoneMakesRoom(t *testing.T) {
	t.Parallel()
	q := commands.NewQueue(1)
	for range 200 {
		done := make(chan struct{})
		if err := q.Submit(of(1, 1), func() { close(done) }); err != nil {
			t.Fatal(err)
		}
		<-done
		for q.Pending() != 0 { // the room is given back just after the job has ended
			runtime.Gosched()
		}
	}
	closeQueue(t, q)
}

func TestCloseRefusesNewJobsAndWaitsForTheAccepted(t *testing.T) {
	t.Parallel()
	q := commands.NewQueue(100)
	started, release := make(chan struct{}), make(chan struct{})
	var ran atomic.Int64
	for i := range 3 {
		err := q.Submit(of(1, 1), func() {
			if i == 0 {
				close(started)
			}
			<-release
			ran.Add(1)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	<-started
	ended, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("no time left")
	cancel(cause)
	if err := q.Close(ended); !errors.Is(err, cause) {
		t.Errorf("closed although jobs were running: %v", err)
	}
	if err := q.Submit(of(2, 2), func() { ran.Add(100) }); !errors.Is(err, commands.ErrShuttingDown) {
		t.Errorf("accepted after Close: %v", err)
	}
	close(release)
	closeQueue(t, q) // it may be called again
	if ran.Load() != 3 {
		t.Errorf("%d of 3 accepted jobs ran", ran.Load())
	}
}

func TestEveryAcceptedJobRunsOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	for range 10 {
		q := commands.NewQueue(64)
		var accepted, ran atomic.Int64
		var submitters sync.WaitGroup
		halfway := make(chan struct{})
		for s := range 8 {
			submitters.Go(func() {
				for i := range 500 {
					if s == 0 && i == 250 {
						close(halfway)
					}
					err := q.Submit(of(i*s, i), func() { ran.Add(1) })
					switch {
					case err == nil:
						accepted.Add(1)
					case !errors.Is(err, commands.ErrBusy) && !errors.Is(err, commands.ErrShuttingDown):
						t.Error(err)
					}
				}
			})
		}
		<-halfway
		closeQueue(t, q) // in the middle of it all
		atClose := ran.Load()
		submitters.Wait()
		if ran.Load() != accepted.Load() || ran.Load() != atClose || q.Pending() != 0 {
			t.Errorf("%d accepted, %d had run at close, %d in the end, %d pending", accepted.Load(), atClose, ran.Load(), q.Pending())
		}
	}
}
