package eventstoretest

import (
	"context"
	"errors"
	"sync"

	"github.com/logoutd/logoutd/eventstore"
)

func cancelClauses() []Clause {
	return []Clause{
		{"E12", "a call with a context that has ended returns its cause", calledTooLate},
		{"E12", "a subscription that waits ends with its context", cancelSubscription},
		{"E12", "an append refused for its context stores nothing", cancelBefore},
		{"E13", "an append that is cancelled under way says what it knows", cancelUnderWay},
	}
}

var errCancelled = errors.New("cancelled by the check")

func (e *env) cancelled() context.Context {
	ctx, cancel := context.WithCancelCause(e.ctx)
	cancel(errCancelled)
	return ctx
}

func calledTooLate(e *env) {
	s := e.stream("late")
	start := e.head()
	e.grow(s, 50)
	ctx := e.cancelled()
	check := func(what string, err error) {
		if !errors.Is(err, errCancelled) {
			e.Errorf("%s with a context that has ended answers %v", what, err)
		}
	}
	e.within("a call with a context that has ended", func() {
		_, err := e.store.Append(ctx, e.batch(s, eventstore.Any, 1))
		check("append", err)
		_, err = e.store.Load(ctx, s)
		check("load", err)
		_, err = e.store.Head(ctx)
		check("head", err)
		sequences := 0
		for _, err := range e.store.ReadStream(ctx, s, 0, eventstore.Forward) {
			check("read stream", err)
			sequences++
		}
		for _, err := range e.store.ReadAll(ctx, start, eventstore.Forward) {
			check("read all", err)
			sequences++
		}
		for _, err := range e.store.Subscribe(ctx, start) {
			check("subscribe", err)
			sequences++
		}
		if sequences != 3 {
			e.Errorf("three sequences with a context that has ended yield %d errors", sequences)
		}
	})
}

func cancelSubscription(e *env) {
	at := e.head()
	ctx, cancel := context.WithCancelCause(e.ctx)
	e.grow(e.stream("s"), 1)
	var last error
	seen := 0
	e.within("a subscription whose context has ended", func() {
		for r, err := range e.store.Subscribe(ctx, at) {
			last = err
			if err == nil && e.owns(r) {
				seen++
				go cancel(errCancelled) // while the subscription waits, or is about to
			}
		}
	})
	cancel(nil)
	if seen != 1 || !errors.Is(last, errCancelled) {
		e.Errorf("the subscription yields %d events and ends with %v", seen, last)
	}
}

func cancelBefore(e *env) {
	s := e.stream("before")
	a, _ := e.grow(s, 1)
	e.within("an append with a context that has ended", func() {
		for range 5 {
			_, err := e.store.Append(e.cancelled(), e.batch(s, eventstore.Any, 1))
			if err == nil || errors.Is(err, eventstore.ErrOutcomeUnknown) {
				e.Errorf("an append that was never sent answers %v", err)
			}
		}
	})
	b, _ := e.grow(s, 1)
	e.equals(s, append(a.Events, b.Events...))
}

// endsWhenAsked is a context that ends as soon as somebody waits for it: in the middle of the call.
type endsWhenAsked struct {
	context.Context //nolint:containedctx // it is one

	end context.CancelCauseFunc
}

func (c endsWhenAsked) Done() <-chan struct{} {
	c.end(errCancelled)
	return c.Context.Done()
}

// cancelUnderWay cancels many appends in the middle. Each says one of three things, and all of them must be true:
// it is stored, it is not stored, or it is not known. Repeating what is not known settles it.
func cancelUnderWay(e *env) {
	const writers, each = 6, 20
	s := e.stream("under way")
	var mu sync.Mutex
	var stored, nothing, unknown []eventstore.Append
	e.within("an append whose context ends", func() {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					ctx, cancel := context.WithCancelCause(e.ctx)
					if (w+i)%2 == 0 {
						ctx = endsWhenAsked{ctx, cancel}
					} else {
						go cancel(errCancelled)
					}
					a := e.batch(s, eventstore.Any, 2)
					_, err := e.store.Append(ctx, a)
					mu.Lock()
					switch {
					case err == nil:
						stored = append(stored, a)
					case errors.Is(err, eventstore.ErrOutcomeUnknown):
						unknown = append(unknown, a)
					case errors.Is(err, errCancelled):
						nothing = append(nothing, a)
					default:
						e.Errorf("append: %v", err)
					}
					mu.Unlock()
					cancel(nil)
				}
			})
		}
		wg.Wait()
	})
	for _, a := range unknown {
		e.must(a)
	}
	e.grow(s, 1) // after whatever was still on its way
	e.settled(s, append(stored, unknown...), nothing)
}

// settled demands that some appends are there once and whole, and that others are not.
func (e *env) settled(stream string, stored, nothing []eventstore.Append) {
	e.Helper()
	count := map[eventstore.EventID]int{}
	for _, r := range e.read(stream) {
		count[r.ID]++
	}
	for want, appends := range [][]eventstore.Append{nothing, stored} {
		for _, a := range appends {
			for _, ev := range a.Events {
				if count[ev.ID] != want {
					e.Errorf("event %s is stored %d times, the answers say %d", ev.ID, count[ev.ID], want)
				}
			}
		}
	}
}
