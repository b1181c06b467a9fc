package eventstoretest

import (
	"errors"
	"io"
	"sync"

	"github.com/logoutd/logoutd/eventstore"
)

func closeClauses() []Clause {
	return []Clause{
		{"E16", "after close every call answers unavailable", closed},
		{"E16", "close ends the calls that wait", closeEndsCalls},
	}
}

func (e *env) close() {
	e.Helper()
	c, ok := e.store.(io.Closer)
	if !ok {
		e.Fatalf("the store has no Close method; give it one, or declare Skip(\"E16\", …)")
	}
	if err := c.Close(); err != nil {
		e.Errorf("close: %v", err)
	}
}

func closed(e *env) {
	s := e.stream("closed")
	start := e.head()
	e.grow(s, 50)
	read, everything := e.store.ReadStream(e.ctx, s, 0, eventstore.Forward), e.store.ReadAll(e.ctx, start, eventstore.Forward)
	e.within("close", e.close)
	check := func(what string, err error) {
		if !errors.Is(err, eventstore.ErrUnavailable) {
			e.Errorf("%s after close answers %v", what, err)
		}
	}
	e.within("a call after close", func() {
		_, err := e.store.Append(e.ctx, e.batch(s, eventstore.Any, 1))
		check("append", err)
		_, err = e.store.Load(e.ctx, s)
		check("load", err)
		_, err = e.store.Head(e.ctx)
		check("head", err)
		sequences := 0
		for _, err := range read {
			check("read stream", err)
			sequences++
		}
		for _, err := range everything {
			check("read all", err)
			sequences++
		}
		for _, after := range []eventstore.Position{start, eventstore.Position(eventstore.End)} {
			for _, err := range e.store.Subscribe(e.ctx, after) {
				check("subscribe", err)
				sequences++
				if err == nil {
					break
				}
			}
		}
		if sequences != 4 {
			e.Errorf("four sequences after close yield %d errors", sequences)
		}
	})
}

func closeEndsCalls(e *env) {
	start := e.head()
	e.grow(e.stream("s"), 1)
	var wg sync.WaitGroup
	var arrived sync.WaitGroup
	arrived.Add(4)
	for range 4 {
		wg.Go(func() {
			var last error
			arrive := sync.OnceFunc(arrived.Done)
			defer arrive()
			for r, err := range e.store.Subscribe(e.ctx, start) {
				last = err
				if err == nil && e.owns(r) {
					arrive()
				}
			}
			if !errors.Is(last, eventstore.ErrUnavailable) {
				e.Errorf("a subscription ends with %v when its store is closed", last)
			}
		})
		wg.Go(func() {
			for {
				_, err := e.store.Append(e.ctx, e.batch(e.stream("s"), eventstore.Any, 1))
				if err == nil {
					continue
				}
				if !errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, eventstore.ErrOutcomeUnknown) {
					e.Errorf("an append answers %v when its store is closed", err)
				}
				return
			}
		})
	}
	e.within("closing a store in use", func() {
		arrived.Wait()
		e.close()
		wg.Wait()
	})
}
