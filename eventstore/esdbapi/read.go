package esdbapi

import (
	"context"
	"errors"
	"iter"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// Read answers every kind of read and subscription.
func (s *streamsService) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	o, err := parseRead(req.GetOptions())
	if err != nil {
		return err
	}
	ctx := stream.Context()
	switch {
	case o.subscription && o.all():
		return s.subscribeAll(ctx, &o, stream)
	case o.subscription:
		return s.subscribeStream(ctx, &o, stream)
	case o.all():
		return s.readAll(ctx, &o, stream)
	default:
		return s.readStream(ctx, &o, stream)
	}
}

// Bounds of a page: what is read of the store at once, so that a client that does not take its answer
// holds little memory.
const (
	pageEvents = 256
	pageBytes  = 256 << 10
)

// page takes the next events of a read. more is false when the read was over.
func page(read iter.Seq2[eventstore.Recorded, error], limit uint64) (events []eventstore.Recorded, more bool, err error) {
	size := 0
	for e, err := range read {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return nil, false, err
		}
		events = append(events, e)
		if size += len(e.Data) + len(e.Metadata); size >= pageBytes || uint64(len(events)) >= min(limit, pageEvents) {
			return events, true, nil
		}
	}
	return events, false, nil
}

// readAll reads $all: forwards from a position on, that one included, backwards before it.
func (s *Server) readAll(ctx context.Context, o *readOptions, stream streams.Streams_ReadServer) error {
	var at eventstore.Position
	switch {
	case o.dir == eventstore.Forward && o.from.kind == fromEnd, o.dir == eventstore.Backward && o.from.kind == fromStart:
		return nil
	case o.from.kind == fromEnd:
		at = eventstore.Position(eventstore.End)
	case o.from.kind == fromPlace && o.dir == eventstore.Backward:
		at = eventstore.Position(o.from.place)
	case o.from.kind == fromPlace && o.from.place > 0:
		at = eventstore.Position(o.from.place - 1)
	}
	for sent := uint64(0); sent < o.count; {
		events, more, err := page(s.config.Store.ReadAll(ctx, at, o.dir), pageEvents)
		if err != nil {
			return err
		}
		for i := range events {
			at = events[i].Position
			e := present(events[i])
			if hidden(e.Stream) || !o.filter.matches(e.Stream, e.Type) {
				continue
			}
			if err := s.sendEvent(ctx, o, &e, stream); err != nil {
				return err
			}
			if sent++; sent == o.count {
				return nil
			}
		}
		if !more || at == 0 {
			return nil
		}
	}
	return nil
}

// readStream reads one stream, as far as its metadata lets it be seen.
func (s *Server) readStream(ctx context.Context, o *readOptions, stream streams.Streams_ReadServer) error {
	l, err := s.lifetime(ctx, o.stream)
	if err != nil {
		return err
	}
	if l.tombstoned {
		return streamDeleted(o.stream)
	}
	current, err := s.lastRevision(ctx, o.stream)
	if err != nil {
		return err
	}
	if current == eventstore.NoStream || l.softDeleted() {
		return stream.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
			StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: streamIdentifier(o.stream)},
		}})
	}
	last := uint64(current) //nolint:gosec // not negative
	if o.dir == eventstore.Forward {
		err = s.readStreamForward(ctx, o, &l, last, stream)
	} else {
		err = s.readStreamBackward(ctx, o, &l, last, stream)
	}
	if err != nil || !o.positions {
		return err
	}
	return stream.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: last}})
}

// clientPage is how many revisions a real node looks at to decide whether it tells the first position.
const clientPage = 32

func (s *Server) readStreamForward(ctx context.Context, o *readOptions, l *lifetime, last uint64, stream streams.Streams_ReadServer) error {
	asked := uint64(0)
	switch o.from.kind {
	case fromEnd:
		return nil
	case fromPlace:
		asked = o.from.place
	case fromStart:
	}
	from, now := max(asked, l.first(last)), s.config.Now()
	for sent := uint64(0); sent < o.count && from <= last; {
		events, more, err := page(s.config.Store.ReadStream(ctx, o.stream, from, eventstore.Forward), max(o.count-sent, clientPage))
		if err != nil {
			return err
		}
		for i := range events {
			e := present(events[i])
			from = events[i].Revision + 1
			if l.expired(&e, now) {
				continue
			}
			if sent == 0 && o.positions && e.Revision >= asked+min(o.count, clientPage) {
				first := &streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: e.Revision}}
				if err := stream.Send(first); err != nil {
					return err
				}
			}
			if err := s.sendEvent(ctx, o, &e, stream); err != nil {
				return err
			}
			if sent++; sent == o.count || from > last {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
	return nil
}

func (s *Server) readStreamBackward(ctx context.Context, o *readOptions, l *lifetime, last uint64, stream streams.Streams_ReadServer) error {
	from := last
	switch o.from.kind {
	case fromStart:
		from = 0
	case fromPlace:
		from = min(o.from.place, last)
	case fromEnd:
	}
	lowest, now := l.first(last), s.config.Now()
	for sent := uint64(0); sent < o.count && from >= lowest; {
		events, more, err := page(s.config.Store.ReadStream(ctx, o.stream, from, eventstore.Backward), o.count-sent)
		if err != nil {
			return err
		}
		for i := range events {
			e := present(events[i])
			if e.Revision < lowest || l.expired(&e, now) { // what comes after it is older still
				return nil
			}
			if err := s.sendEvent(ctx, o, &e, stream); err != nil {
				return err
			}
			sent++
			if e.Revision == 0 {
				return nil
			}
			from = e.Revision - 1
		}
		if !more {
			return nil
		}
	}
	return nil
}

// sendEvent sends one event, or what it is a link to.
func (s *Server) sendEvent(ctx context.Context, o *readOptions, e *eventstore.Recorded, stream streams.Streams_ReadServer) error {
	m, err := s.readEvent(ctx, o, e)
	if err != nil {
		return err
	}
	return stream.Send(m)
}

func (s *Server) readEvent(ctx context.Context, o *readOptions, e *eventstore.Recorded) (*streams.ReadResp, error) {
	if !o.resolve || e.Type != typeLink {
		return eventMessage(o.form, e, nil), nil
	}
	target, err := s.resolve(ctx, e)
	if err != nil {
		return nil, err
	}
	return eventMessage(o.form, target, e), nil
}

// eventMessage is the message of an event and, where there is one, of the link that led to it. Order
// and position are those of the link. An event that cannot be read any more is nil.
func eventMessage(form uuidForm, e, link *eventstore.Recorded) *streams.ReadResp {
	m := &streams.ReadResp_ReadEvent{}
	original := e
	if e != nil {
		m.Event = form.recorded(e)
	}
	if link != nil {
		m.Link = form.recorded(link)
		original = link
	}
	m.Position = &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(original.Position)}
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: m}}
}

// resolve reads what a link points to: nil when that cannot be read (any more).
func (s *Server) resolve(ctx context.Context, link *eventstore.Recorded) (*eventstore.Recorded, error) {
	stream, revision, ok := parseLink(link.Data)
	if !ok {
		return nil, nil
	}
	l, err := s.lifetime(ctx, stream)
	if err != nil || l.tombstoned || l.softDeleted() {
		return nil, err
	}
	events, _, err := page(s.config.Store.ReadStream(ctx, stream, revision, eventstore.Forward), 1)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	last := revision
	if l.maxCount > 0 {
		if current, err := s.lastRevision(ctx, stream); err != nil {
			return nil, err
		} else if current >= 0 {
			last = uint64(current)
		}
	}
	e := present(events[0])
	if revision < l.first(last) || l.expired(&e, s.config.Now()) {
		return nil, nil
	}
	return &e, nil
}
