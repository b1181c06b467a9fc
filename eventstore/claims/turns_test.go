package claims_test

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
)

// inTurn sends each call to the next of several processes.
type inTurn struct {
	stores []*claims.Store
	calls  atomic.Uint64
}

var _ eventstore.Store = (*inTurn)(nil)

func (p *inTurn) next() *claims.Store { return p.stores[p.calls.Add(1)%uint64(len(p.stores))] }

func (p *inTurn) Append(ctx context.Context, a eventstore.Append) (eventstore.Result, error) {
	return p.next().Append(ctx, a)
}

func (p *inTurn) Load(ctx context.Context, stream string) (eventstore.Loaded, error) {
	return p.next().Load(ctx, stream)
}

func (p *inTurn) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return p.next().ReadStream(ctx, stream, from, dir)
}

func (p *inTurn) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return p.next().ReadAll(ctx, from, dir)
}

func (p *inTurn) Head(ctx context.Context) (eventstore.Position, error) { return p.next().Head(ctx) }

func (p *inTurn) Subscribe(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Recorded, error] {
	return p.next().Subscribe(ctx, after)
}

func (p *inTurn) Close() error { return p.next().Close() }
