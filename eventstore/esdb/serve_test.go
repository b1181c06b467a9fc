package esdb_test

import (
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

type (
	event      = *streams.ReadResp_ReadEvent_RecordedEvent
	frameFunc  = func(n int, subscription bool, stream readServer) error
	readReq    = streams.ReadReq
	readServer = streams.Streams_ReadServer
)

func frameOf(e event) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: e, Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.CommitPosition},
	}}}
}

// serve answers a read or subscription as the server does.
func (db *database) serve(req *streams.ReadReq, stream streams.Streams_ReadServer, frame frameFunc) error {
	o := req.Options
	if frame == nil {
		frame = func(int, bool, streams.Streams_ReadServer) error { return nil }
	}
	if o.GetSubscription() != nil {
		return db.subscribe(o, stream, frame)
	}
	var events []event
	var err error
	if s := o.GetStream(); s != nil {
		db.mu.Lock()
		own := slices.Clip(db.streams[string(s.StreamIdentifier.StreamName)])
		db.mu.Unlock()
		if len(own) == 0 {
			return stream.Send(notFound(s.StreamIdentifier))
		}
		events = ofStream(own, s, o.ReadDirection)
	} else if events, err = db.ofAll(o.GetAll(), o.ReadDirection); err != nil {
		return err
	}
	for n, e := range events[:min(uint64(len(events)), o.GetCount())] {
		if err := frame(n, false, stream); err != nil {
			return err
		}
		if err := stream.Send(frameOf(e)); err != nil {
			return err
		}
	}
	return nil
}

func notFound(id *shared.StreamIdentifier) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: id}}}
}

func ofStream(own []event, s *streams.ReadReq_Options_StreamOptions, dir streams.ReadReq_Options_ReadDirection) []event {
	last := uint64(len(own) - 1)
	switch {
	case dir == streams.ReadReq_Options_Backwards && s.GetEnd() != nil:
		return backward(own)
	case dir == streams.ReadReq_Options_Backwards:
		return backward(own[:min(s.GetRevision(), last)+1])
	default:
		return own[min(s.GetRevision(), last+1):]
	}
}

func backward(events []event) []event {
	events = slices.Clone(events)
	slices.Reverse(events)
	return events
}

// ofAll refuses a position that no event has, as the server may.
func (db *database) ofAll(all *streams.ReadReq_Options_AllOptions, dir streams.ReadReq_Options_ReadDirection) ([]event, error) {
	log, _ := db.snapshot()
	at := len(log)
	switch {
	case all.GetStart() != nil:
		at = 0
	case all.GetPosition() != nil:
		if at = place(log, all.GetPosition().CommitPosition); at == len(log) {
			return nil, status.Error(codes.Unknown, "Unexpected ReadAllResult: InvalidPosition")
		}
	}
	if dir == streams.ReadReq_Options_Backwards {
		return backward(log[:at]), nil
	}
	return log[at:], nil
}

func place(log []event, position uint64) int {
	i := slices.IndexFunc(log, func(e event) bool { return e.CommitPosition == position })
	if i < 0 {
		return len(log)
	}
	return i
}

// subscribe sends what the filter of the adapter lets through, with a checkpoint for what it does not, and caught_up.
func (db *database) subscribe(o *streams.ReadReq_Options, stream streams.Streams_ReadServer, frame frameFunc) error {
	if o.GetFilter().GetStreamIdentifier().GetRegex() == "" {
		return status.Error(codes.InvalidArgument, "the adapter must filter")
	}
	log, wake := db.snapshot()
	next := 0
	if p := o.GetAll().GetPosition(); p != nil {
		if next = place(log, p.CommitPosition) + 1; next > len(log) {
			return status.Error(codes.InvalidArgument, "Trying to read from an invalid position.")
		}
	}
	confirmation := &streams.ReadResp_Confirmation{Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: "s"}}
	if err := stream.Send(&streams.ReadResp{Content: confirmation}); err != nil {
		return err
	}
	for n := 0; ; {
		for ; next < len(log); next++ {
			resp := frameOf(log[next])
			if !visible(log[next]) {
				resp = checkpoint(log[next].CommitPosition)
			} else if err := frame(n, true, stream); err != nil {
				return err
			} else {
				n++
			}
			if err := stream.Send(resp); err != nil {
				return err
			}
		}
		if err := stream.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}); err != nil {
			return err
		}
		select {
		case <-wake:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		log, wake = db.snapshot()
	}
}

func checkpoint(position uint64) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: position, PreparePosition: position,
	}}}
}
