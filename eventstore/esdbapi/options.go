package esdbapi

import (
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// allStream is the name by which clients know the global order.
const allStream = "$all"

type startKind uint8

const (
	fromStart startKind = iota
	fromEnd
	fromPlace
)

// start is where a read or subscription begins.
type start struct {
	kind  startKind
	place uint64 // of fromPlace: a revision or a position
}

// streamStart reads where a read of a stream begins.
func streamStart(o *streams.ReadReq_Options_StreamOptions) (start, error) {
	switch v := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		return startAtRevision(v.Revision)
	case *streams.ReadReq_Options_StreamOptions_Start:
		return start{kind: fromStart}, nil
	case *streams.ReadReq_Options_StreamOptions_End:
		return start{kind: fromEnd}, nil
	default:
		return start{}, invalid("where to start is missing")
	}
}

// startAtRevision is the start at a revision; the highest number stands for the end.
func startAtRevision(revision uint64) (start, error) {
	switch {
	case revision == math.MaxUint64:
		return start{kind: fromEnd}, nil
	case revision > math.MaxInt64:
		return start{}, invalid("the revision is out of range")
	default:
		return start{kind: fromPlace, place: revision}, nil
	}
}

// allStart reads where a read of $all begins.
func allStart(o *streams.ReadReq_Options_AllOptions) (start, error) {
	switch v := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		return startAtPosition(v.Position.GetCommitPosition(), v.Position.GetPreparePosition())
	case *streams.ReadReq_Options_AllOptions_Start:
		return start{kind: fromStart}, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return start{kind: fromEnd}, nil
	default:
		return start{}, invalid("where to start is missing")
	}
}

// startAtPosition is the start at a position of the log. Where the two halves differ, the place is before the
// event of the commit: none of logoutd's events has such a position, but other nodes' do.
func startAtPosition(commit, prepare uint64) (start, error) {
	switch {
	case commit == math.MaxUint64 && prepare == math.MaxUint64:
		return start{kind: fromEnd}, nil
	case commit < prepare || commit > math.MaxInt64:
		return start{}, invalid("Trying to read from an invalid position.")
	default:
		return start{kind: fromPlace, place: commit}, nil
	}
}

// readOptions are the options of a Read that make sense.
type readOptions struct {
	stream       string // allStream for the global order
	from         start
	dir          eventstore.Direction
	subscription bool
	count        uint64 // of a read that is no subscription
	resolve      bool
	filter       *filter // nil: everything
	form         uuidForm
	positions    bool // tell the first and last position of the stream
}

func (o *readOptions) all() bool { return o.stream == allStream }

// parseRead checks the combination of options.
func parseRead(r *streams.ReadReq_Options) (o readOptions, err error) {
	if r == nil {
		return o, invalid("a read without options")
	}
	if o.form, err = parseForm(r.GetUuidOption()); err != nil {
		return o, err
	}
	o.resolve = r.GetResolveLinks()
	o.positions = r.GetControlOption().GetCompatibility() >= 1
	switch r.GetReadDirection() {
	case streams.ReadReq_Options_Forwards:
		o.dir = eventstore.Forward
	case streams.ReadReq_Options_Backwards:
		o.dir = eventstore.Backward
	default:
		return o, invalid("the direction of a read is forwards or backwards")
	}
	switch c := r.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		o.count = c.Count
	case *streams.ReadReq_Options_Subscription:
		o.subscription = true
	default:
		return o, invalid("a read has a count or is a subscription")
	}
	if o.subscription && o.dir == eventstore.Backward {
		return o, invalid("a subscription goes forwards")
	}
	if err := o.parseStart(r); err != nil {
		return o, err
	}
	return o, o.parseFilter(r)
}

func (o *readOptions) parseStart(r *streams.ReadReq_Options) (err error) {
	switch s := r.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		if o.stream, err = streamName(s.Stream.GetStreamIdentifier()); err != nil {
			return err
		}
		if o.all() {
			return invalid(allStream + " is not read as a stream")
		}
		o.from, err = streamStart(s.Stream)
	case *streams.ReadReq_Options_All:
		o.stream = allStream
		o.from, err = allStart(s.All)
	default:
		return invalid("a read is of a stream or of all")
	}
	return err
}

func (o *readOptions) parseFilter(r *streams.ReadReq_Options) (err error) {
	switch f := r.GetFilterOption().(type) {
	case *streams.ReadReq_Options_NoFilter:
		return nil
	case *streams.ReadReq_Options_Filter:
		if !o.all() {
			return invalid("a read of a stream has no filter")
		}
		o.filter, err = parseFilter(f.Filter)
		return err
	default:
		return invalid("a read has a filter or no_filter")
	}
}

// parseForm reads how a client wants its UUIDs.
func parseForm(o *streams.ReadReq_Options_UUIDOption) (uuidForm, error) {
	switch o.GetContent().(type) {
	case *streams.ReadReq_Options_UUIDOption_Structured:
		return structuredUUID, nil
	case *streams.ReadReq_Options_UUIDOption_String_:
		return stringUUID, nil
	default:
		return structuredUUID, invalid("the form of UUIDs is missing")
	}
}

func empty() *shared.Empty { return &shared.Empty{} }
