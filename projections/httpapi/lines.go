package httpapi

import (
	"net/http"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// lines writes an NDJSON body in large pieces. A client that reads none of a piece for too long
// makes the write fail (H8).
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	buffer  []byte
	started bool
}

const pieceBytes = 32 << 10

func newLines(w http.ResponseWriter, timeout time.Duration) *lines {
	return &lines{w: w, control: http.NewResponseController(w), timeout: timeout}
}

// start sends the header, after which an error can only break the body off.
func (l *lines) start() {
	if l.started {
		return
	}
	l.started = true
	l.w.Header().Set("Content-Type", "application/x-ndjson")
	l.w.Header().Set("X-Accel-Buffering", "no") // a proxy that keeps lines back makes them late
	l.w.WriteHeader(http.StatusOK)
}

func (l *lines) write(e *eventstore.Recorded) error {
	l.buffer = append(appendEvent(l.buffer, e), '\n')
	if len(l.buffer) < pieceBytes {
		return nil
	}
	return l.flush()
}

// keepAlive sends an empty line.
func (l *lines) keepAlive() error {
	l.buffer = append(l.buffer, '\n')
	return l.flush()
}

// flush sends what there is, the header at least.
func (l *lines) flush() error {
	l.start()
	// A stream may last for ever: instead of the server's limit for a whole answer there is one
	// for each piece. A writer that knows no deadlines, as in a test, needs none.
	_ = l.control.SetWriteDeadline(time.Now().Add(l.timeout)) //nolint:errcheck // see above
	_, err := l.w.Write(l.buffer)
	l.buffer = l.buffer[:0]
	if err != nil {
		return err //nolint:wrapcheck // the client has left; nobody reads this
	}
	return l.control.Flush() //nolint:wrapcheck // as before
}
