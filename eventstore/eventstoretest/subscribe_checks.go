package eventstoretest

import (
	"context"
	"fmt"
	"sync"

	"github.com/logoutd/logoutd/eventstore"
)

func subscribeClauses() []Clause {
	return []Clause{
		{"E10", "a subscription yields history, then live events", historyThenLive},
		{"E10", "nothing is lost or repeated where history meets live events", handOver},
		{"E10", "a subscription after the end waits for what comes", subscribeAtEnd},
		{"E11", "a subscriber that stops reading holds nobody up", stalledSubscriber},
		{"E11", "a reader that stops in the middle holds nobody up", stalledReader},
	}
}

// follow reads a subscription until it has n events of this run, or one of the stream "end".
func (e *env) follow(ctx context.Context, after eventstore.Position, n int, each func(i int)) []eventstore.Recorded {
	e.Helper()
	var own []eventstore.Recorded
	for r, err := range e.store.Subscribe(ctx, after) {
		if err != nil {
			e.Errorf("subscription after %s: %v, with %d of %d events", after, err, len(own), n)
			break
		}
		if !e.owns(r) {
			continue
		}
		if r.Stream == e.stream("end") {
			break
		}
		own = append(own, r)
		if each != nil {
			each(len(own))
		}
		if len(own) == n {
			break
		}
	}
	return own
}

// ordered compares what a subscriber got with the log.
func (e *env) ordered(what string, got, log []eventstore.Recorded) {
	e.Helper()
	if len(got) != len(log) {
		e.Errorf("%s got %d events, the log holds %d", what, len(got), len(log))
		return
	}
	for i := range got {
		if got[i].Position != log[i].Position || !same(got[i], log[i].Event) || got[i].Revision != log[i].Revision {
			e.Errorf("%s got %s at %s as event %d, the log holds %s at %s", what, got[i].ID, got[i].Position, i, log[i].ID, log[i].Position)
			return
		}
	}
}

func historyThenLive(e *env) {
	start := e.head()
	for i := range 30 {
		e.grow(e.stream(fmt.Sprint(i%3)), 1+i%3)
	}
	history := e.mine(start)
	for _, skip := range []int{0, 1, 17, len(history) - 1} {
		after := start
		if skip > 0 {
			after = history[skip-1].Position
		}
		base := e.mine(after)
		live := 0
		got := e.follow(e.ctx, after, len(base)+10, func(i int) {
			if i >= len(base) && live < 5 { // history is over: one append for each event, while the subscriber is here
				live++
				e.grow(e.stream("live"), 2)
			}
		})
		e.ordered("the subscriber", got, e.mine(after))
	}
}

// handOver starts subscribers all the while others append, so that some of them cross from history to live events
// at every point of an append. What ends a subscription is an event of its own: whoever waited for a
// number of events instead would wait for ever for one that was lost.
func handOver(e *env) {
	const writers, each, subscribers = 4, 40, 16
	start := e.head()
	got := make([][]eventstore.Recorded, subscribers)
	e.within("the hand-over", func() {
		var writing, reading sync.WaitGroup
		begin := make(chan struct{}, writers*each)
		for w := range writers {
			writing.Go(func() {
				for range each {
					if _, err := e.store.Append(e.ctx, e.batch(e.stream(fmt.Sprint(w)), eventstore.Any, 2)); err != nil {
						e.Errorf("append: %v", err)
					}
					begin <- struct{}{}
				}
			})
		}
		for i := range subscribers {
			for range writers * each / subscribers {
				<-begin
			}
			reading.Go(func() { got[i] = e.follow(e.ctx, start, -1, nil) })
		}
		writing.Wait()
		e.endSubscriptions(&reading)
	})
	var log []eventstore.Recorded
	for _, r := range e.mine(start) {
		if r.Stream != e.stream("end") {
			log = append(log, r)
		}
	}
	for i := range got {
		e.ordered(fmt.Sprintf("subscriber %d", i), got[i], log)
	}
}

// endSubscriptions appends the event that ends a subscription until all have ended: one may be lost.
func (e *env) endSubscriptions(reading *sync.WaitGroup) {
	e.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reading.Wait()
	}()
	for {
		e.grow(e.stream("end"), 1)
		select {
		case <-ended:
			return
		default:
		}
	}
}

func subscribeAtEnd(e *env) {
	e.grow(e.stream("before"), 3)
	at := e.head()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	got := make(chan eventstore.Recorded)
	e.within("a subscription at the end", func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(got)
			for r, err := range e.store.Subscribe(ctx, at) {
				if err != nil {
					return
				}
				if e.owns(r) {
					got <- r
				}
			}
		})
		for i := range 20 { // one at a time: the subscriber waits before each
			a, res := e.grow(e.stream("after"), 1)
			r, open := <-got
			if !open || !same(r, a.Events[0]) || r.Position != res.Position {
				e.Errorf("event %d after the end is %+v, want position %s", i, r, res.Position)
				break
			}
		}
		cancel()
		for range got { //nolint:revive // until it is closed
		}
		wg.Wait()
	})
}

// plenty is more than any store may keep in memory for somebody who does not read.
const plenty = 2000

func stalledSubscriber(e *env) {
	start := e.head()
	e.grow(e.stream("s"), 1)
	stalled, resume := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(resume) })
	defer release()
	var wg sync.WaitGroup
	var late []eventstore.Recorded
	wg.Go(func() {
		late = e.follow(e.ctx, start, plenty+1, func(i int) {
			if i == 1 {
				close(stalled)
				<-resume
			}
		})
	})
	e.within("an append beside a subscriber that does not read", func() {
		<-stalled
		var prompt []eventstore.Recorded
		var beside sync.WaitGroup
		beside.Go(func() { prompt = e.follow(e.ctx, start, plenty+1, nil) })
		for i := 0; i < plenty; i += 20 {
			e.grow(e.stream("s"), 20)
		}
		beside.Wait()
		e.ordered("a subscriber beside one that does not read", prompt, e.mine(start))
	})
	release()
	e.within("a subscriber that reads again", wg.Wait)
	e.ordered("a subscriber that reads again", late, e.mine(start))
}

func stalledReader(e *env) {
	start := e.head()
	const n = 100
	s := e.stream("s")
	for range n {
		e.grow(s, 1)
	}
	count := 0
	e.within("an append in the middle of a read", func() {
		for r, err := range e.store.ReadStream(e.ctx, s, 0, eventstore.Forward) {
			if err != nil || r.Revision != uint64(count) {
				e.Fatalf("read: revision %d, %v", r.Revision, err)
			}
			if count++; count == 1 {
				for range e.store.ReadAll(e.ctx, start, eventstore.Forward) {
					e.grow(s, 1) // a reader that appends, inside another one
					break
				}
			}
		}
	})
	if count < n {
		e.Errorf("a read that was held up yields %d of %d events", count, n)
	}
}
