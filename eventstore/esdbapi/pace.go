package esdbapi

import (
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// paceWindow is how long the events that come in are counted at a time.
	paceWindow = 100 * time.Millisecond
	// paceFrom is the number of events in a window from where on the log counts as busy.
	paceFrom = 30
	// paceFloor is what a crowd may be sent a second while the log is busy, for each processor: about a
	// fiftieth of one, in clients on the same machine and here.
	paceFloor = 1_500
	// paceShare is how many may be sent for each event that comes in, where that is more. A delivery was seen to cost
	// about a twelfth of an append of three events, both with their clients: so a sixteenth of what appends cost.
	paceShare = 0.25
	// paceBurst is what may be sent ahead of the rate, so that few subscribers never wait.
	paceBurst = 50 * time.Millisecond
)

// pace keeps a crowd of subscribers from slowing the appends that they wait for. While the log is busy all of
// them together are sent so many events a second, in the order in which they come back for more: so
// they fall behind together, and catch up when there is room. While it is not nobody waits, and one who is alone never does.
//
// What was sent is counted, not the time that it took: a client that reads slowly costs the others nothing.
type pace struct {
	floor    float64 // events a second
	stopping <-chan struct{}

	mu      sync.Mutex
	window  time.Time // when counting began
	counted int       // events since
	came    int       // events in the window before
	free    time.Time // when what was sent is paid for

	subscribers int
}

// join counts a subscriber, and leave counts it no more.
func (p *pace) join() { p.crowd(1) }

func (p *pace) leave() { p.crowd(-1) }

func (p *pace) crowd(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscribers += n
}

func newPace(stopping <-chan struct{}) *pace {
	return &pace{floor: paceFloor * float64(runtime.GOMAXPROCS(0)), stopping: stopping}
}

// count is told of every event that comes in.
func (p *pace) count() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moveLocked(time.Now())
	p.counted++
}

func (p *pace) moveLocked(now time.Time) {
	switch elapsed := now.Sub(p.window); {
	case elapsed < paceWindow:
	case elapsed < 2*paceWindow:
		p.came, p.counted = p.counted, 0
		p.window = p.window.Add(paceWindow)
	default: // nobody has counted for a while
		p.came, p.counted, p.window = 0, 0, now
	}
}

// pay is called after n events were sent, and waits until more may be. It ends with the context, and with the server.
func (p *pace) pay(ctx context.Context, n int) error {
	wait := p.charge(n)
	if wait <= 0 {
		select {
		case <-p.stopping:
			return shuttingDown()
		default:
			return nil
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.stopping:
		return shuttingDown()
	}
}

// charge books n events and says how long it is until they are paid for.
func (p *pace) charge(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.moveLocked(now)
	busiest := max(p.came, p.counted)
	if p.subscribers < 2 || busiest < paceFrom {
		p.free = now
		return 0
	}
	rate := max(p.floor, paceShare*float64(busiest)/paceWindow.Seconds())
	if earliest := now.Add(-paceBurst); p.free.Before(earliest) {
		p.free = earliest
	}
	p.free = p.free.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	return p.free.Sub(now)
}
