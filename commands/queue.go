package commands

import (
	"context"
	"sync"
	"sync/atomic"
)

// lanes is how many credentials can be worked on at once. A lane without work costs a few
// words and no goroutine; two credentials that share one merely wait for each other.
const lanes = 4096

// Queue runs jobs: in the order of their arrival on one key, in parallel on others (P7),
// with a bound on how many wait or run (P8).
type Queue struct {
	limit   int64
	pending atomic.Int64
	running sync.WaitGroup

	gate   sync.RWMutex // held for reading while a job is accepted
	closed bool

	lanes [lanes]lane
}

type lane struct {
	mu   sync.Mutex
	jobs []func() // waiting behind the one that runs; bounded by the queue's limit
	busy bool
}

// NewQueue makes a queue of at most limit jobs, waiting ones and running ones together.
func NewQueue(limit int) *Queue { return &Queue{limit: int64(limit)} }

// Submit accepts a job or answers ErrBusy or ErrShuttingDown at once; then the job never runs.
func (q *Queue) Submit(key uint64, job func()) error {
	q.gate.RLock()
	defer q.gate.RUnlock()
	if q.closed {
		return ErrShuttingDown
	}
	if q.pending.Add(1) > q.limit {
		q.pending.Add(-1)
		return ErrBusy
	}
	l := &q.lanes[key%lanes]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		l.jobs = append(l.jobs, job)
		return nil
	}
	l.busy = true
	q.running.Add(1)
	go q.drain(l, job) // Close waits for it
	return nil
}

// drain runs the jobs of a lane until there is none.
func (q *Queue) drain(l *lane, job func()) {
	defer q.running.Done()
	for job != nil {
		job()
		q.pending.Add(-1)
		job = l.next()
	}
}

func (l *lane) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.jobs) == 0 {
		l.busy, l.jobs = false, nil
		return nil
	}
	job := l.jobs[0]
	l.jobs[0] = nil
	l.jobs = l.jobs[1:]
	return job
}

// Pending is how many jobs wait or run.
func (q *Queue) Pending() int { return int(q.pending.Load()) }

// Limit is how many may.
func (q *Queue) Limit() int { return int(q.limit) }

// Close refuses new jobs and waits for the accepted ones, or for the end of ctx.
func (q *Queue) Close(ctx context.Context) error {
	q.gate.Lock()
	q.closed = true
	q.gate.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last job, at the latest when every command has timed out
		q.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
