package esdbapi

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// Append stores the events of one call, together, and answers where.
func (s *streamsService) Append(stream streams.Streams_AppendServer) error {
	ctx := stream.Context()
	receiving, cancel := context.WithTimeoutCause(ctx, s.config.ReceiveTimeout, tooSlow())
	defer cancel()
	in := receive(ctx, &s.workers, stream.Recv)
	g := gathering{memory: s.memory}
	defer g.release()
	expected, err := s.appendRequest(&g, func() (*streams.AppendReq, error) { return next(receiving, in) })
	if err != nil {
		drain(receiving, in)
		return err
	}
	result, err := s.store(ctx, write{stream: g.stream, expected: expected, events: g.events})
	var c *conflict
	if errors.As(err, &c) {
		return stream.SendAndClose(appendConflict(c))
	}
	if err != nil {
		return err
	}
	return stream.SendAndClose(appendSuccess(result))
}

// appendRequest reads all messages of a call.
func (s *Server) appendRequest(g *gathering, recv func() (*streams.AppendReq, error)) (expectation, error) {
	first, err := recv()
	if err != nil {
		return expectation{}, noOptions(err)
	}
	options := first.GetOptions()
	if options == nil {
		return expectation{}, invalid("the first message of an append must be its options")
	}
	if g.stream, err = streamName(options.GetStreamIdentifier()); err != nil {
		return expectation{}, err
	}
	expected, err := appendExpectation(options)
	if err != nil {
		return expectation{}, err
	}
	if err := s.mayWrite(g.stream); err != nil {
		return expectation{}, err
	}
	for {
		m, err := recv()
		if ended(err) {
			return expected, nil
		}
		if err != nil {
			return expectation{}, err
		}
		if m.GetProposedMessage() == nil {
			return expectation{}, invalid("after its options an append holds events only")
		}
		if err := g.add(m.GetProposedMessage()); err != nil {
			return expectation{}, err
		}
	}
}

func noOptions(err error) error {
	if ended(err) {
		return invalid("an append without options")
	}
	return err
}

// gathering is an append as it comes in, within the limits.
type gathering struct {
	memory *budget
	stream string
	events []eventstore.Event
	size   int   // as the protocol counts
	held   int64 // of the budget
}

// eventOverhead is about what an event takes in memory beside its bytes.
const eventOverhead = 256

func (g *gathering) add(m proposed) error {
	e, err := parseProposed(m)
	if err != nil {
		return err
	}
	if g.size += proposedSize(&e); g.size > eventstore.MaxAppendBytes {
		return appendTooLarge(eventstore.MaxAppendBytes)
	}
	if len(g.events) == eventstore.MaxAppendEvents {
		return tooManyEvents()
	}
	need := int64(len(e.Data) + len(e.Metadata) + len(e.Type) + eventOverhead)
	if !g.memory.take(need) {
		return tooBusy()
	}
	g.held += need
	g.events = append(g.events, e)
	return nil
}

func (g *gathering) release() {
	g.memory.give(g.held)
	g.held, g.events = 0, nil
}

func appendSuccess(w written) *streams.AppendResp {
	ok := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if w.revision != eventstore.NoStream {
		ok.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(w.revision)} //nolint:gosec // not negative
	}
	if w.position != 0 {
		ok.PositionOption = &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: uint64(w.position), PreparePosition: uint64(w.position),
		}}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: ok}}
}

// appendConflict is an answer, not an error, in both of the forms that clients know.
func appendConflict(c *conflict) *streams.AppendResp {
	w := &streams.AppendResp_WrongExpectedVersion{
		CurrentRevisionOption:         &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}},
		CurrentRevisionOption_20_6_0:  &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}},
		ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: c.expected.revision},
		ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: c.expected.revision},
	}
	if c.actual != eventstore.NoStream {
		current := uint64(c.actual) //nolint:gosec // not negative
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: current}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: current}
	}
	switch c.expected.kind {
	case expectAny:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case expectExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case expectNoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: eventstore.End}
	case expectRevision:
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}
