package esdbapi

import (
	"context"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/proto"

	"github.com/logoutd/logoutd/eventstore"
)

// Bounds of one BatchAppend call. What is over them is not taken from the client until there is room.
const (
	maxUnfinished   = 1000 // appends that have begun to come in
	maxBatchWrites  = 256  // appends that are complete and not answered
	maxCorrelations = 64   // bytes of a correlation id: the string form of a UUID has 36
)

// BatchAppend takes appends in parts, many at a time, and answers each once. Appends to one stream are stored
// in the order in which they became complete.
func (s *streamsService) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	b := &batches{
		Server: s.Server, ctx: ctx, stream: stream,
		budget:     newBudget(s.config.AppendMemory/4, s.memory),
		unfinished: map[string]*batchAppend{},
		lanes:      map[string][]*batchAppend{},
		answers:    make(chan *batchAppend, maxBatchWrites), // as many as are under way: answering never waits
		timer:      time.NewTimer(time.Hour),
	}
	defer b.release()
	defer cancel()
	return b.run(receive(ctx, &s.workers, stream.Recv))
}

// batches is the state of one call. Its loop owns everything; writers get one append each and give it back.
type batches struct {
	*Server
	ctx        context.Context //nolint:containedctx // the state lives as long as the call
	stream     streams.Streams_BatchAppendServer
	budget     *budget                   // of this call
	unfinished map[string]*batchAppend   // by correlation id
	lanes      map[string][]*batchAppend // by stream: what is complete, the first being stored
	writing    int                       // how many are in lanes
	answers    chan *batchAppend
	timer      *time.Timer // fires when the first deadline of unfinished has passed, or before
}

// batchAppend is one append of a call.
type batchAppend struct {
	gathering
	correlation *shared.UUID
	expected    expectation
	deadline    time.Time
	result      written
	err         error
}

func (b *batches) run(in <-chan received[*streams.BatchAppendReq]) error {
	stopping := b.stopping
	var ending error
	for {
		if in == nil && b.writing == 0 {
			return b.finish(ending)
		}
		from := in
		if b.writing == maxBatchWrites {
			from = nil
		}
		select {
		case r := <-from:
			if r.err != nil {
				in = nil
				if !ended(r.err) {
					ending = r.err
				}
			} else if err := b.take(r.message); err != nil {
				return err
			}
		case a := <-b.answers:
			if err := b.stored(a); err != nil {
				return err
			}
		case <-b.timer.C:
			if err := b.expire(); err != nil {
				return err
			}
		case <-stopping:
			in, stopping, ending = nil, nil, shuttingDown()
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		}
	}
}

// finish answers what will never be complete.
func (b *batches) finish(ending error) error {
	for key, a := range b.unfinished {
		a.err = invalid("the call ended before the append was complete")
		if err := b.drop(key, a); err != nil {
			return err
		}
	}
	return ending
}

// take reads one message: the beginning of an append, or more of one.
func (b *batches) take(m *streams.BatchAppendReq) error {
	key, err := correlationKey(m.GetCorrelationId())
	if err != nil {
		return err
	}
	a, begun := b.unfinished[key]
	switch {
	case begun && m.GetOptions() != nil:
		a.err = invalid("the correlation id is in use")
		return b.drop(key, a)
	case !begun && m.GetOptions() == nil:
		return nil // of an append that was answered already
	case !begun:
		a = &batchAppend{gathering: gathering{memory: b.budget}, correlation: m.GetCorrelationId()}
		b.unfinished[key] = a
		a.err = b.begin(a, m.GetOptions())
	}
	for _, p := range m.GetProposedMessages() {
		if a.err != nil {
			break
		}
		a.err = a.add(p)
	}
	switch {
	case a.err != nil:
		return b.drop(key, a)
	case m.GetIsFinal():
		delete(b.unfinished, key)
		b.enqueue(a)
	}
	return nil
}

// correlationKey is the id as a key; both forms of a UUID are different keys, as they come from different clients.
func correlationKey(id *shared.UUID) (string, error) {
	if id.GetValue() == nil {
		return "", invalid("a correlation id is missing")
	}
	if len(id.GetString_()) > maxCorrelations {
		return "", invalid("a correlation id is not a UUID")
	}
	key, err := proto.MarshalOptions{Deterministic: true}.Marshal(id)
	return string(key), err
}

func (b *batches) begin(a *batchAppend, o *streams.BatchAppendReq_Options) (err error) {
	if a.stream, err = streamName(o.GetStreamIdentifier()); err != nil {
		return err
	}
	if a.expected, err = batchExpectation(o); err != nil {
		return err
	}
	if err := b.mayWrite(a.stream); err != nil {
		return err
	}
	if len(b.unfinished) > maxUnfinished || !b.budget.take(eventOverhead) {
		return tooBusy()
	}
	a.held = eventOverhead
	timeout := b.config.WriteTimeout
	switch d := o.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		timeout = min(timeout, d.Deadline_21_10_0.AsTime().Sub(b.config.Now()))
	case *streams.BatchAppendReq_Options_Deadline:
		timeout = min(timeout, d.Deadline.AsDuration())
	}
	if timeout <= 0 {
		return errWriteTimeout
	}
	a.deadline = time.Now().Add(timeout)
	b.timer.Reset(min(timeout, b.untilFirst()))
	return nil
}

// untilFirst is the time to the first deadline.
func (b *batches) untilFirst() time.Duration {
	first := time.Hour
	for _, a := range b.unfinished {
		if a.err == nil && !a.deadline.IsZero() {
			first = min(first, time.Until(a.deadline))
		}
	}
	return first
}

// expire answers appends that were not complete in time.
func (b *batches) expire() error {
	now := time.Now()
	for key, a := range b.unfinished {
		if a.deadline.After(now) {
			continue
		}
		a.err = errWriteTimeout
		if err := b.drop(key, a); err != nil {
			return err
		}
	}
	b.timer.Reset(b.untilFirst())
	return nil
}

// drop answers an append that failed before it was complete. What still comes of it is ignored.
func (b *batches) drop(key string, a *batchAppend) error {
	delete(b.unfinished, key)
	return b.answer(a)
}

// enqueue hands a complete append to the writer of its stream.
func (b *batches) enqueue(a *batchAppend) {
	b.writing++
	lane := append(b.lanes[a.stream], a)
	b.lanes[a.stream] = lane
	if len(lane) == 1 {
		b.write(a)
	}
}

func (b *batches) write(a *batchAppend) {
	b.workers.Go(func() {
		ctx, cancel := context.WithDeadlineCause(b.ctx, a.deadline, errWriteTimeout)
		defer cancel()
		a.result, a.err = b.guarded(ctx, a)
		b.answers <- a
	})
}

// guarded stores; a panic is an error here, too.
func (b *batches) guarded(ctx context.Context, a *batchAppend) (result written, err error) {
	defer func() { err = b.recovered(recover(), streams.Streams_BatchAppend_FullMethodName, err) }()
	return b.store(ctx, write{stream: a.stream, expected: a.expected, events: a.events})
}

// stored answers an append and lets the next of its stream go.
func (b *batches) stored(a *batchAppend) error {
	b.writing--
	lane := b.lanes[a.stream][1:]
	if len(lane) == 0 {
		delete(b.lanes, a.stream)
	} else {
		b.lanes[a.stream] = lane
		b.write(lane[0])
	}
	return b.answer(a)
}

func (b *batches) answer(a *batchAppend) error {
	a.release()
	return b.stream.Send(a.response())
}

// release waits for the writers, which a call that ended by itself has cancelled, and gives all memory back. Each
// lane has one writer, and their answers come in any order.
func (b *batches) release() {
	b.timer.Stop()
	for range b.lanes {
		<-b.answers
	}
	for _, a := range b.unfinished {
		a.release()
	}
	for _, lane := range b.lanes {
		for _, a := range lane {
			a.release()
		}
	}
}

// response is the answer to one append.
func (a *batchAppend) response() *streams.BatchAppendResp {
	r := &streams.BatchAppendResp{CorrelationId: a.correlation, StreamIdentifier: streamIdentifier(a.stream)}
	if a.err != nil {
		r.Result = &streams.BatchAppendResp_Error{Error: batchError(a.err, a.stream)}
		return r
	}
	ok := &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: nothingThere()},
		PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: nothingThere()},
	}
	if a.result.revision != eventstore.NoStream {
		ok.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(a.result.revision)} //nolint:gosec // not negative
	}
	if p := uint64(a.result.position); p != 0 {
		ok.PositionOption = &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{CommitPosition: p, PreparePosition: p}}
	}
	r.Result = &streams.BatchAppendResp_Success_{Success: ok}
	return r
}
