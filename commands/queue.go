package commands

import (
	"context"
	"slices"
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
	// maxPerToken is how many jobs one token may have. They run one after another, each with a sync of
	// its own, so this is about a second of a disk: the last in a longer line would run for a
	// caller who has given up. It is also an even share of the largest queue among all lanes.
	maxPerToken = 256
	// shareOfQueue is the part of the queue that one user or client may have. Eight who flood at
	// once can still fill it. A token has no more than that, either.
	shareOfQueue = 8
)

// Keys are the hashes by which a job counts. Jobs of one token run in order. Two tokens, users or clients
// whose hashes collide share one bound.
type Keys struct {
	Token, User uint64
	Client      uint64 // 0 if nobody said
}

// Queue runs jobs: in the order of their arrival for one token, in parallel for others (P7),
// with bounds on how many wait or run (P8).
type Queue struct {
	limit          int64
	pending        atomic.Int64
	users, clients [lanes]atomic.Int64
	idle           atomic.Int64
	workers        sync.WaitGroup
	ready          chan *lane    // unbuffered: only an idle worker receives
	closing        chan struct{} // closed by Close

	gate   sync.RWMutex // held for reading while a job is accepted
	closed bool

	lanes [lanes]lane
}

type lane struct {
	pending atomic.Int64
	mu      sync.Mutex
	jobs    []job // at most pending
	busy    bool  // a worker has it, or gets it
}

type job struct {
	run      func()
	counters counters
}

// counters are those of the queue, and of the token, the user and the client, if there is one.
type counters [4]*atomic.Int64

// NewQueue makes a queue of at most limit jobs, waiting ones and running ones together.
func NewQueue(limit int) *Queue {
	return &Queue{limit: int64(limit), ready: make(chan *lane), closing: make(chan struct{})}
}

// Submit accepts a job, or returns ErrBusy, ErrShare or ErrShuttingDown at once; then the job never
// runs. A job must not panic.
func (q *Queue) Submit(keys Keys, run func()) error {
	q.gate.RLock()
	defer q.gate.RUnlock()
	if q.closed {
		return ErrShuttingDown
	}
	l := &q.lanes[keys.Token%lanes]
	all := counters{&q.pending, &l.pending, &q.users[keys.User%lanes]}
	if keys.Client != 0 {
		all[3] = &q.clients[keys.Client%lanes]
	}
	if err := q.take(all); err != nil {
		return err
	}
	if !l.push(job{run, all}) {
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

// take counts a job in everywhere, or nowhere.
func (q *Queue) take(all counters) error {
	share := max(q.limit/shareOfQueue, 1)
	bounds := [...]int64{q.limit, min(share, maxPerToken), share, share}
	for i, c := range all {
		if c == nil || c.Add(1) <= bounds[i] {
			continue
		}
		give(all[:i+1])
		if i == 0 {
			return ErrBusy
		}
		return ErrShare
	}
	return nil
}

// give counts a job out, of the queue last: when nothing is pending, nothing is counted anywhere.
func give(counters []*atomic.Int64) {
	for _, c := range slices.Backward(counters) {
		if c != nil {
			c.Add(-1)
		}
	}
}

// push adds a job and tells whether the lane needs a worker.
func (l *lane) push(j job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, j)
	wanted := !l.busy
	l.busy = true
	return wanted
}

// pop takes the oldest job, or gives the lane back.
func (l *lane) pop() (j job, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.jobs) == 0 {
		l.busy = false
		l.jobs = l.jobs[:0:0] // what grew in a burst goes
		return job{}, false
	}
	j, l.jobs[0] = l.jobs[0], job{}
	l.jobs = l.jobs[1:]
	return j, true
}

// work empties one lane after another, and waits for more while few others do.
func (q *Queue) work(l *lane) {
	defer q.workers.Done()
	for {
		for j, ok := l.pop(); ok; j, ok = l.pop() {
			j.run()
			give(j.counters[:])
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
