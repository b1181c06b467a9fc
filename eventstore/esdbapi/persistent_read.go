package esdbapi

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// answersAtOnce is how many acknowledgements a consumer is allowed to have handled without letting others in.
const answersAtOnce = 500

// Read is one consumer of a group: events out, acknowledgements in, until either side ends it. The client
// ends it by closing its side, too.
func (p *persistentService) Read(call persistent.PersistentSubscriptions_ReadServer) error {
	first, err := call.Recv()
	if errors.Is(err, io.EOF) {
		return invalid("a call begins with its options")
	}
	if err != nil {
		return err
	}
	key, form, err := parseGroupRead(first.GetOptions())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(call.Context())
	defer cancel(nil)
	consumer, err := p.groups.Connect(ctx, key, p.consumerInfo(ctx, first.GetOptions()))
	if err != nil {
		return groupFailure(err, key)
	}
	defer consumer.Close()
	if err := call.Send(confirmation(key)); err != nil {
		return err
	}
	p.workers.Go(func() { cancel(receiveAnswers(call, consumer)) })
	for {
		d, err := consumer.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return groupFailure(err, key)
		}
		if err := call.Send(&persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: form.delivered(d)}}); err != nil {
			return err
		}
	}
}

func confirmation(key groups.Key) *persistent.ReadResp {
	return &persistent.ReadResp{Content: &persistent.ReadResp_SubscriptionConfirmation_{
		SubscriptionConfirmation: &persistent.ReadResp_SubscriptionConfirmation{SubscriptionId: key.String()},
	}}
}

func parseGroupRead(o *persistent.ReadReq_Options) (groups.Key, uuidForm, error) {
	if o == nil {
		return groups.Key{}, 0, invalid("a call begins with its options")
	}
	key, err := groupKey(o.GetStreamIdentifier(), o.GetAll(), o.GetGroupName())
	if err != nil {
		return key, 0, err
	}
	switch o.GetUuidOption().GetContent().(type) {
	case *persistent.ReadReq_Options_UUIDOption_Structured:
		return key, structuredUUID, nil
	case *persistent.ReadReq_Options_UUIDOption_String_:
		return key, stringUUID, nil
	}
	return key, 0, invalid("the form of UUIDs is missing")
}

// receiveAnswers takes what a consumer says of its events. It answers why there will be no more: io.EOF when
// the client has closed its side. It ends with the call.
func receiveAnswers(call persistent.PersistentSubscriptions_ReadServer, consumer *groups.Consumer) error {
	for {
		r, err := call.Recv()
		if err != nil {
			return err
		}
		switch content := r.GetContent().(type) {
		case *persistent.ReadReq_Ack_:
			err = eachAnswer(content.Ack.GetIds(), func(ids []eventstore.EventID) { consumer.Ack(ids...) })
		case *persistent.ReadReq_Nack_:
			action, reason := nackAction(content.Nack.GetAction()), content.Nack.GetReason()
			err = eachAnswer(content.Nack.GetIds(), func(ids []eventstore.EventID) { consumer.Nack(action, reason, ids...) })
		default:
			err = invalid("after the options only acknowledgements can follow")
		}
		if err != nil {
			return err
		}
	}
}

func eachAnswer(ids []*shared.UUID, answer func([]eventstore.EventID)) error {
	for some := range slices.Chunk(ids, answersAtOnce) {
		parsed := make([]eventstore.EventID, 0, len(some))
		for _, u := range some {
			id, err := parseUUID(u)
			if err != nil {
				return err
			}
			parsed = append(parsed, id)
		}
		answer(parsed)
	}
	return nil
}

// nackAction knows the actions of the protocol; any other is left to the server to decide.
func nackAction(a persistent.ReadReq_Nack_Action) groups.Action {
	switch a {
	case persistent.ReadReq_Nack_Park:
		return groups.Park
	case persistent.ReadReq_Nack_Retry:
		return groups.Retry
	case persistent.ReadReq_Nack_Skip:
		return groups.Skip
	case persistent.ReadReq_Nack_Stop:
		return groups.Stop
	case persistent.ReadReq_Nack_Unknown:
	}
	return groups.Unknown
}

// delivered encodes an event on its way to a consumer.
func (f uuidForm) delivered(d groups.Delivery) *persistent.ReadResp_ReadEvent {
	return &persistent.ReadResp_ReadEvent{
		Event: f.persistentRecorded(d.Event), Link: f.persistentRecorded(d.Link),
		Position: &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(d.Original().Position)},
		Count:    &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: count(d.Retry)},
	}
}

func (f uuidForm) persistentRecorded(e *eventstore.Recorded) *persistent.ReadResp_ReadEvent_RecordedEvent {
	if e == nil {
		return nil
	}
	shown := present(*e)
	return &persistent.ReadResp_ReadEvent_RecordedEvent{
		Id:               f.encode(shown.ID),
		StreamIdentifier: streamIdentifier(shown.Stream),
		StreamRevision:   shown.Revision,
		PreparePosition:  uint64(shown.Position),
		CommitPosition:   uint64(shown.Position),
		Metadata:         recordedMetadata(&shown),
		CustomMetadata:   shown.Metadata,
		Data:             shown.Data,
	}
}
