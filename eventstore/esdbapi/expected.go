package esdbapi

import (
	"fmt"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

type expectKind uint8

const (
	expectAny expectKind = iota
	expectNoStream
	expectExists
	expectRevision
)

// expectation is what a client says of the stream that it writes to.
type expectation struct {
	kind     expectKind
	revision uint64 // of expectRevision
}

// number is the expectation in the trailers of an error.
func (e expectation) number() int64 {
	switch e.kind {
	case expectAny:
		return -2
	case expectNoStream:
		return -1
	case expectExists:
		return -4
	case expectRevision:
	}
	return int64(e.revision) //nolint:gosec // checked by exactly
}

func (e expectation) String() string { return strconv.FormatInt(e.number(), 10) }

// port is the expectation as the store knows it; it knows no "exists".
func (e expectation) port() eventstore.Expected {
	switch e.kind {
	case expectNoStream:
		return eventstore.NoStream
	case expectRevision:
		return eventstore.AtRevision(e.revision)
	case expectAny, expectExists:
	}
	return eventstore.Any
}

// holds says whether the expectation is true of a stream.
func (e expectation) holds(current eventstore.Expected, l *lifetime) bool {
	switch e.kind {
	case expectAny:
		return true
	case expectNoStream:
		return current == eventstore.NoStream || l.softDeleted()
	case expectExists:
		return current != eventstore.NoStream || l.exists
	case expectRevision:
	}
	return e.port() == current
}

// conflict is an expectation that did not hold.
type conflict struct {
	stream   string
	expected expectation
	actual   eventstore.Expected // NoStream or the last revision
}

func (c *conflict) Error() string {
	return fmt.Sprintf("WrongExpectedVersion: stream '%s', expected %s, actual %d", headerValue(c.stream), c.expected, int64(c.actual))
}

// exactly is the expectation of a revision.
func exactly(revision uint64) (expectation, error) {
	if revision > math.MaxInt64 {
		return expectation{}, invalid("the expected revision is out of range")
	}
	return expectation{kind: expectRevision, revision: revision}, nil
}

func errNoExpectation() error { return invalid("the expected revision is missing") }

// appendExpectation reads the expectation of an Append.
func appendExpectation(o *streams.AppendReq_Options) (expectation, error) {
	switch v := o.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Revision:
		return exactly(v.Revision)
	case *streams.AppendReq_Options_NoStream:
		return expectation{kind: expectNoStream}, nil
	case *streams.AppendReq_Options_Any:
		return expectation{kind: expectAny}, nil
	case *streams.AppendReq_Options_StreamExists:
		return expectation{kind: expectExists}, nil
	default:
		return expectation{}, errNoExpectation()
	}
}

// batchExpectation reads the expectation of a BatchAppend.
func batchExpectation(o *streams.BatchAppendReq_Options) (expectation, error) {
	switch v := o.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		return exactly(v.StreamPosition)
	case *streams.BatchAppendReq_Options_NoStream:
		return expectation{kind: expectNoStream}, nil
	case *streams.BatchAppendReq_Options_Any:
		return expectation{kind: expectAny}, nil
	case *streams.BatchAppendReq_Options_StreamExists:
		return expectation{kind: expectExists}, nil
	default:
		return expectation{}, errNoExpectation()
	}
}

// deleteExpectation reads the expectation of a Delete.
func deleteExpectation(o *streams.DeleteReq_Options) (expectation, error) {
	switch v := o.GetExpectedStreamRevision().(type) {
	case *streams.DeleteReq_Options_Revision:
		return exactly(v.Revision)
	case *streams.DeleteReq_Options_NoStream:
		return expectation{kind: expectNoStream}, nil
	case *streams.DeleteReq_Options_Any:
		return expectation{kind: expectAny}, nil
	case *streams.DeleteReq_Options_StreamExists:
		return expectation{kind: expectExists}, nil
	default:
		return expectation{}, errNoExpectation()
	}
}

// tombstoneExpectation reads the expectation of a Tombstone.
func tombstoneExpectation(o *streams.TombstoneReq_Options) (expectation, error) {
	switch v := o.GetExpectedStreamRevision().(type) {
	case *streams.TombstoneReq_Options_Revision:
		return exactly(v.Revision)
	case *streams.TombstoneReq_Options_NoStream:
		return expectation{kind: expectNoStream}, nil
	case *streams.TombstoneReq_Options_Any:
		return expectation{kind: expectAny}, nil
	case *streams.TombstoneReq_Options_StreamExists:
		return expectation{kind: expectExists}, nil
	default:
		return expectation{}, errNoExpectation()
	}
}
