package esdbapi

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// subscription is one subscriber on its way through the log.
type subscription struct {
	*Server
	options *readOptions
	stream  streams.Streams_ReadServer
	at      eventstore.Position // everything up to here was looked at
	live    bool                // caught_up was said, and nothing was missed since
	marks   checkpoints
	sent    int // events since the last turn
}

// subscribeAll follows $all.
func (s *Server) subscribeAll(ctx context.Context, o *readOptions, stream streams.Streams_ReadServer) error {
	end, detach, err := s.feed.attach(ctx)
	if err != nil {
		return err
	}
	defer detach()
	sub := &subscription{Server: s, options: o, stream: stream}
	switch o.from.kind {
	case fromEnd:
		sub.at = end
	case fromPlace:
		sub.at = eventstore.Position(o.from.place)
	case fromStart:
	}
	if o.filter != nil {
		sub.marks = checkpoints{interval: o.filter.interval}
	}
	if err := confirm(stream); err != nil {
		return err
	}
	for {
		if err := sub.step(ctx); err != nil {
			return err
		}
	}
}

// step takes one batch of the log, or waits for one.
func (sub *subscription) step(ctx context.Context) error {
	b, err := sub.feed.next(ctx, sub.at)
	if err != nil {
		return err
	}
	if b.more != nil {
		if err := sub.caughtUp(); err != nil {
			return err
		}
		return sub.wait(ctx, b.more)
	}
	sub.live = sub.live && b.live
	for _, n := range b.entries {
		if err := sub.take(ctx, n); err != nil {
			return err
		}
	}
	sub.at = b.upTo
	return sub.turn(ctx)
}

// wait waits until there is more of the log.
func (s *Server) wait(ctx context.Context, more <-chan struct{}) error {
	select {
	case <-more:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stopping:
		return shuttingDown()
	}
}

// turn waits until the subscriber may go on, for what it was sent since the last turn.
func (sub *subscription) turn(ctx context.Context) error {
	n := sub.sent
	sub.sent = 0
	return sub.pace.pay(ctx, n)
}

// take sends one event, if it is wanted, and counts it.
func (sub *subscription) take(ctx context.Context, n *entry) error {
	if n.hidden {
		return nil
	}
	if sub.options.filter.matches(n.stream, n.typ) {
		if err := sub.send(ctx, n); err != nil {
			return err
		}
	}
	if sub.marks.count(n.position, sub.live) {
		return sub.checkpoint()
	}
	return nil
}

func (sub *subscription) send(ctx context.Context, n *entry) error {
	sub.sent++
	if n.link != nil && sub.options.resolve {
		return sub.sendEvent(ctx, sub.options, n.link, sub.stream)
	}
	wire, err := n.encoded(sub.options.form)
	if err != nil {
		return err
	}
	return sub.stream.SendMsg(wire)
}

// caughtUp is said every time that the end of the log is reached from behind.
func (sub *subscription) caughtUp() error {
	if sub.live {
		return nil
	}
	sub.live = true
	if sub.marks.end() {
		if err := sub.checkpoint(); err != nil {
			return err
		}
	}
	return sub.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

func (sub *subscription) checkpoint() error {
	at := uint64(sub.marks.sent)
	return sub.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: at, PreparePosition: at},
	}})
}

func confirm(stream streams.Streams_ReadServer) error {
	return stream.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: newID().String()},
	}})
}

// checkpoints tell a filtered subscriber how far the log was looked through. The zero value tells nothing.
type checkpoints struct {
	interval uint64 // 0: none are wanted
	counted  uint64 // events since the last
	page     int    // events of the page of history that is being looked through
	seen     eventstore.Position
	sent     eventstore.Position
}

// count says whether a checkpoint is due: at the event that completes the interval when live, and in
// history at the end of a page, as a real node does.
func (c *checkpoints) count(p eventstore.Position, live bool) (due bool) {
	if c.interval == 0 {
		return false
	}
	c.seen = p
	c.counted++
	if c.page++; !live && c.page < clientPage {
		return false
	}
	c.page = 0
	if c.counted < c.interval {
		return false
	}
	c.counted %= c.interval
	c.sent = p
	return true
}

// end says whether the end of history needs a checkpoint: when something was looked at since the last.
func (c *checkpoints) end() (due bool) {
	due = c.interval > 0 && c.seen > c.sent
	c.page, c.counted, c.sent = 0, 0, c.seen
	return due
}

// subscribeStream follows one stream: its history from the store, then what comes from the log. When it falls
// behind the live part of the log it goes back to history.
func (s *Server) subscribeStream(ctx context.Context, o *readOptions, stream streams.Streams_ReadServer) error {
	_, detach, err := s.feed.attach(ctx)
	if err != nil {
		return err
	}
	defer detach()
	sub := &streamSubscription{subscription: subscription{Server: s, options: o, stream: stream}}
	if sub.after, err = sub.begin(ctx); err != nil {
		return err
	}
	if err := confirm(stream); err != nil {
		return err
	}
	for {
		if err := sub.history(ctx); err != nil {
			return err
		}
		if err := sub.follow(ctx); err != nil {
			return err
		}
	}
}

// streamSubscription is a subscriber to one stream.
type streamSubscription struct {
	subscription
	after int64 // the revision up to which it has everything, -1 for none
}

// begin finds where to start: after the revision asked for.
func (sub *streamSubscription) begin(ctx context.Context) (after int64, err error) {
	l, err := sub.lifetime(ctx, sub.options.stream)
	if err != nil {
		return 0, err
	}
	if l.tombstoned {
		return 0, streamDeleted(sub.options.stream)
	}
	switch sub.options.from.kind {
	case fromPlace:
		return int64(sub.options.from.place), nil //nolint:gosec // checked when it was parsed
	case fromEnd:
		current, err := sub.lastRevision(ctx, sub.options.stream)
		return int64(current), err
	case fromStart:
	}
	return -1, nil
}

// history sends what the stream holds, and leaves the subscription at a place of the log after which
// nothing is missing.
func (sub *streamSubscription) history(ctx context.Context) error {
	for {
		if err := sub.turn(ctx); err != nil {
			return err
		}
		head, err := sub.config.Store.Head(ctx)
		if err != nil {
			return err
		}
		more, err := sub.historyPage(ctx)
		if err != nil {
			return err
		}
		if !more {
			sub.at = max(sub.at, head)
			return nil
		}
	}
}

func (sub *streamSubscription) historyPage(ctx context.Context) (more bool, err error) {
	l, err := sub.lifetime(ctx, sub.options.stream)
	if err != nil {
		return false, err
	}
	current, err := sub.lastRevision(ctx, sub.options.stream)
	if err != nil {
		return false, err
	}
	if int64(current) <= sub.after {
		return false, sub.checkTombstone(ctx, &l)
	}
	last := uint64(current) //nolint:gosec // not negative
	from := max(uint64(sub.after+1), l.first(last))
	if from > last {
		sub.after = int64(current)
		return false, nil
	}
	events, _, err := page(sub.config.Store.ReadStream(ctx, sub.options.stream, from, eventstore.Forward), pageEvents)
	if err != nil {
		return false, err
	}
	now := sub.config.Now()
	for i := range events {
		e := present(events[i])
		sub.after = int64(events[i].Revision) //nolint:gosec // revisions stay far below 2^63
		if l.expired(&e, now) {
			continue
		}
		sub.sent++
		if err := sub.sendEvent(ctx, sub.options, &e, sub.subscription.stream); err != nil {
			return false, err
		}
	}
	return len(events) > 0, nil
}

// checkTombstone ends a subscription that has all of a stream which is tombstoned by now: the log has nothing more of it.
func (sub *streamSubscription) checkTombstone(ctx context.Context, l *lifetime) error {
	if !l.tombstoned {
		return nil
	}
	e, found, err := sub.lastEvent(ctx, metaPrefix+sub.options.stream)
	if err != nil || !found {
		return err
	}
	e = present(e)
	if err := sub.sendEvent(ctx, sub.options, &e, sub.subscription.stream); err != nil {
		return err
	}
	return streamDeleted(sub.options.stream)
}

// follow sends what the log brings, until the subscription falls behind it.
func (sub *streamSubscription) follow(ctx context.Context) error {
	for {
		b, err := sub.feed.next(ctx, sub.at)
		if err != nil {
			return err
		}
		if b.more != nil {
			if err := sub.caughtUp(); err != nil {
				return err
			}
			if err := sub.wait(ctx, b.more); err != nil {
				return err
			}
			continue
		}
		if !b.live && sub.live {
			sub.live = false
			return nil
		}
		for _, n := range b.entries {
			if err := sub.takeLive(ctx, n); err != nil {
				return err
			}
		}
		sub.at = b.upTo
		if err := sub.turn(ctx); err != nil {
			return err
		}
	}
}

func (sub *streamSubscription) takeLive(ctx context.Context, n *entry) error {
	if n.stream != sub.options.stream || n.revision < math.MaxInt64 && int64(n.revision) <= sub.after {
		return nil
	}
	if err := sub.send(ctx, n); err != nil {
		return err
	}
	if n.typ == typeStreamDeleted && n.revision == math.MaxInt64 {
		return streamDeleted(n.stream)
	}
	sub.after = int64(n.revision) //nolint:gosec // compared above
	return nil
}
