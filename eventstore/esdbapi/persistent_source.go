package esdbapi

import (
	"context"
	"fmt"
	"iter"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"google.golang.org/protobuf/proto"

	"github.com/logoutd/logoutd/eventstore"
)

// visible is how groups read a stream: as far as its metadata lets it be seen.
type visible struct{ server *Server }

var _ eventstore.StreamReader = visible{}

// ReadStream is that of the port. A tombstoned stream does not exist; of a deleted one everything is truncated.
func (v visible) ReadStream(ctx context.Context, stream string, from uint64, dir eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		l, lowest, err := v.lowest(ctx, stream)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		if dir == eventstore.Forward {
			from = max(from, lowest)
		}
		now := v.server.config.Now()
		for e, err := range v.server.config.Store.ReadStream(ctx, stream, from, dir) {
			gone := err == nil && (e.Revision < lowest || l.expired(&e, now))
			switch {
			case gone && dir == eventstore.Backward:
				return // what comes after it is older still
			case gone:
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// lowest is the first revision of a stream that may be seen.
func (v visible) lowest(ctx context.Context, stream string) (l lifetime, lowest uint64, err error) {
	if l, err = v.server.lifetime(ctx, stream); err != nil {
		return l, 0, err
	}
	if l.tombstoned {
		return l, 0, fmt.Errorf("%w: %s", eventstore.ErrStreamNotFound, stream)
	}
	last, err := v.server.lastRevision(ctx, stream)
	if err != nil || last == eventstore.NoStream {
		return l, 0, err
	}
	return l, l.first(uint64(last)), nil //nolint:gosec // not negative
}

// groupFilter is the predicate of a filter that was kept as it came.
func groupFilter(encoded []byte) (func(*eventstore.Recorded) bool, error) {
	var o persistent.CreateReq_AllOptions_FilterOptions
	if err := proto.Unmarshal(encoded, &o); err != nil {
		return nil, invalid("the filter cannot be read")
	}
	var byType bool
	var expression *persistent.CreateReq_AllOptions_FilterOptions_Expression
	switch f := o.GetFilter().(type) {
	case *persistent.CreateReq_AllOptions_FilterOptions_StreamIdentifier:
		expression = f.StreamIdentifier
	case *persistent.CreateReq_AllOptions_FilterOptions_EventType:
		byType, expression = true, f.EventType
	default:
		return nil, invalid("a filter is by stream_identifier or event_type")
	}
	if o.GetWindow() == nil {
		return nil, invalid("a filter needs a window")
	}
	f, err := newFilter(byType, expression.GetRegex(), expression.GetPrefix(), 1)
	if err != nil {
		return nil, err
	}
	return func(e *eventstore.Recorded) bool {
		shown := present(*e)
		return f.matches(shown.Stream, shown.Type)
	}, nil
}
