package commands

import (
	"context"
	"sync"
	"sync/atomic"
)

const (
	// lanes is how many credentials can be worked on at once. A lane without work costs a few
	// words; two credentials that share one merely wait for each other.
	lanes = 4096
	// maxIdleWorkers is how many goroutines stay when there is no work. A new one for each
	// job would grow its stack each time, which costs a tenth of a command.
	maxIdleWorkers = 1024
)

// Queue runs jobs: in the order of their arrival on one key, in parallel on others (P7),
// with a bound on how many wait or run (P8).
type Queue struct {
	limit   int64
	pending atomic.Int64
	idle    atomic.Int64
	workers sync.WaitGroup
	ready   chan *lane    // unbuffered: only an idle worker receives
	closing chan struct{} // closed by Close

	gate   sync.RWMutex // held for reading while a job is accepted
	closed bool

	lanes [lanes]lane
}

type lane struct {
	mu   sync.Mutex
	jobs []func() // bounded by the queue's limit
	busy bool     // a worker has it, or gets it
}

// NewQueue makes a queue of at most limit jobs, waiting ones and running ones together.
func NewQueue(limit int) *Queue {
	return &Queue{limit: int64(limit), ready: make(chan *lane), closing: make(chan struct{})}
}

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
	if !l.push(job) {
		return nil // the worker that has the lane comes to it
	}
	select {
	case q.ready <- l:
	default:
		q.workers.Add(1)
		go q.work(l) // Close waits for it
	}
	return nil
}

// push adds a job and tells whether the lane needs a worker.
func (l *lane) push(job func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, job)
	wanted := !l.busy
	l.busy = true
	return wanted
}

// pop takes the oldest job; nil gives the lane back.
func (l *lane) pop() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.jobs) == 0 {
		l.busy = false
		l.jobs = l.jobs[:0:0] // what grew in a burst goes
		return nil
	}
	job := l.jobs[0]
	l.jobs[0] = nil
	l.jobs = l.jobs[1:]
	return job
}

// work empties one lane after another, and waits for more while few others do.
func (q *Queue) work(l *lane) {
	defer q.workers.Done()
	for {
		for job := l.pop(); job != nil; job = l.pop() {
			job()
			q.pending.Add(-1)
		}
		if q.idle.Add(1) > maxIdleWorkers {
			q.idle.Add(-1)
			return
		}
		select {
		case l = <-q.ready:
			q.idle.Add(-1)
		case <-q.closing:
			return
		}
	}
}

// Pending is how many jobs wait or run.
func (q *Queue) Pending() int { return int(q.pending.Load()) }

// Limit is how many may.
func (q *Queue) Limit() int { return int(q.limit) }

// Close refuses new jobs and waits for the accepted ones, or for the end of ctx. It may be
// called again.
func (q *Queue) Close(ctx context.Context) error {
	q.gate.Lock()
	if !q.closed {
		q.closed = true
		close(q.closing)
	}
	q.gate.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last job, at the latest when every command has timed out
		q.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
