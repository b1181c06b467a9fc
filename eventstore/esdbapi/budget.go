package esdbapi

import "sync/atomic"

// budget is memory that all clients share. Who cannot have what he needs is turned away; nobody waits.
type budget struct{ free atomic.Int64 }

func newBudget(n int64) *budget {
	b := &budget{}
	b.free.Store(n)
	return b
}

// take reserves n bytes, or nothing and is false.
func (b *budget) take(n int64) bool {
	if b.free.Add(-n) >= 0 {
		return true
	}
	b.free.Add(n)
	return false
}

func (b *budget) give(n int64) { b.free.Add(n) }
