package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/logoutd/logoutd/eventstore/transfer"
)

// copyProgress shows how far a copy is: on a terminal one line that changes, elsewhere a line every few seconds.
type copyProgress struct {
	out      io.Writer
	terminal bool
	every    time.Duration

	mu      sync.Mutex // guards what follows: waiting may come beside a step
	phase   transfer.Phase
	began   time.Time // the phase
	last    time.Time // step
	shown   time.Time
	pending bool // a line on the terminal is not ended
	copying struct {
		events uint64
		took   time.Duration
	}
	waits time.Time // when waiting was last shown
}

func newCopyProgress(out io.Writer) *copyProgress {
	p := &copyProgress{out: out, every: 5 * time.Second}
	if file, is := out.(*os.File); is && isatty.IsTerminal(file.Fd()) {
		p.terminal, p.every = true, 200*time.Millisecond
	}
	p.began = time.Now()
	p.shown, p.last = p.began, p.began
	return p
}

// step is told after every append, or event compared.
func (p *copyProgress) step(s transfer.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if s.Phase != p.phase {
		p.phase, p.began = s.Phase, p.last
	}
	p.last = now
	took := now.Sub(p.began)
	if s.Phase == transfer.Copying {
		p.copying.events, p.copying.took = s.Events, took
	}
	if now.Sub(p.shown) < p.every {
		return
	}
	p.shown = now
	percent := 100 * float64(s.At) / float64(max(s.Head, 1))
	p.lineLocked("%s  %d events  %.0f/s  %.1f %%", phaseName(s.Phase), s.Events, float64(s.Events)/max(took.Seconds(), 1e-3), percent)
}

func phaseName(p transfer.Phase) string {
	switch p {
	case transfer.Resuming:
		return "looking at the target"
	case transfer.Copying:
		return "copying"
	case transfer.Verifying:
		return "comparing"
	}
	return ""
}

// waiting is told why a store is waited for.
func (p *copyProgress) waiting(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.waits) >= p.every {
		p.waits = now
		p.lineLocked("waiting: %s", oneLine(err))
	}
}

func (p *copyProgress) lineLocked(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if p.terminal {
		line, p.pending = "\r\x1b[K"+line, true
	} else {
		line += "\n"
	}
	io.WriteString(p.out, line) //nolint:errcheck // nowhere to report to
}

// end leaves the terminal on a line of its own.
func (p *copyProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending {
		io.WriteString(p.out, "\r\x1b[K") //nolint:errcheck // nowhere to report to
		p.pending = false
	}
}

// rate is how many events a second were copied.
func (p *copyProgress) rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.copying.events == 0 {
		return 0
	}
	return float64(p.copying.events) / max(p.copying.took.Seconds(), 1e-3)
}
