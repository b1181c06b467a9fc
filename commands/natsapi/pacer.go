package natsapi

import "time"

// pacer holds replies back until their floor (N3). It sleeps in the kernel, in one goroutine, and
// not on Go's timers: those wake an idle process in whole milliseconds counted from the moment
// it went idle, which is when the command was done, and so tell by the time of the reply what the
// floor is there to hide.
type pacer struct {
	held chan heldReply // as many as may be accepted at once, so that nobody waits to put one in
	done chan struct{}
}

type heldReply struct {
	due  time.Time
	send func()
}

func newPacer(limit int) *pacer {
	return &pacer{held: make(chan heldReply, limit), done: make(chan struct{})}
}

// run sends what is held, in the order in which the commands were done, until held is closed. That
// order may keep a reply a little longer than its floor, never shorter.
func (p *pacer) run() {
	defer close(p.done)
	for r := range p.held {
		sleepUntil(r.due)
		r.send()
	}
}
