package esdbapi

import "sync/atomic"

// budget is memory that clients share. Who cannot have what he needs is turned away; nobody waits.
type budget struct {
	free atomic.Int64
	of   *budget // what it is a part of, or nil
}

func newBudget(n int64, of *budget) *budget {
	b := &budget{of: of}
	b.free.Store(n)
	return b
}

// take reserves n bytes, or nothing and is false.
func (b *budget) take(n int64) bool {
	if b.free.Add(-n) >= 0 && (b.of == nil || b.of.take(n)) {
		return true
	}
	b.free.Add(n)
	return false
}

func (b *budget) give(n int64) {
	b.free.Add(n)
	if b.of != nil {
		b.of.give(n)
	}
}
