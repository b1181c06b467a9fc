package embedded

import (
	"sync"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
)

// watermark is the position up to which everything is durable. It only rises. Waiting costs
// the writer one channel for each advance that somebody waits for, however many they are.
type watermark struct {
	position atomic.Uint64

	mu   sync.Mutex
	wake chan struct{} // nil while nobody waits
}

func (w *watermark) load() eventstore.Position { return eventstore.Position(w.position.Load()) }

func (w *watermark) advance(p eventstore.Position) {
	w.position.Store(uint64(p))
	w.mu.Lock()
	if w.wake != nil {
		close(w.wake)
		w.wake = nil
	}
	w.mu.Unlock()
}

// next is closed by the next advance. To miss none, take it first and load after.
func (w *watermark) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake == nil {
		w.wake = make(chan struct{})
	}
	return w.wake
}
