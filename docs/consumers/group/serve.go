package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// serve takes events over one connection and answers each, until the connection breaks.
func serve(ctx context.Context, settings *esdb.Configuration, c config, d *delivery) error {
	if err := d.reachable(ctx); err != nil {
		return err // before anything is taken (D4)
	}
	client, err := esdb.NewClient(settings)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // always nil
	subscription, err := join(ctx, client, c)
	if err != nil {
		return err
	}
	defer subscription.Close() //nolint:errcheck // always nil; what is unanswered goes to the others
	for {
		m := subscription.Recv()
		switch {
		case m.SubscriptionDropped != nil:
			return fmt.Errorf("the subscription has dropped: %w", m.SubscriptionDropped.Error)
		case m.EventAppeared != nil:
			if err := d.answer(ctx, subscription, m.EventAppeared); err != nil {
				return err
			}
		}
	}
}

// join subscribes to the group, which the first process that starts creates. Only that one needs the right to.
func join(ctx context.Context, client *esdb.Client, c config) (*esdb.PersistentSubscription, error) {
	options := esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: atATime}
	subscription, err := client.SubscribeToPersistentSubscriptionToAll(ctx, c.group, options)
	if !is(err, esdb.ErrorCodeResourceNotFound) {
		return subscription, err
	}
	if err := createGroup(ctx, client, c); err != nil {
		return nil, fmt.Errorf("creating the group: %w", err)
	}
	return client.SubscribeToPersistentSubscriptionToAll(ctx, c.group, options)
}

// createGroup makes the group, beginning with the first event ever. One that somebody else has made
// meanwhile stays as it is.
func createGroup(ctx context.Context, client *esdb.Client, c config) error {
	settings := esdb.SubscriptionSettingsDefault()
	settings.MessageTimeout = int32(messageTimeout.Milliseconds())
	settings.MaxRetryCount = 2 * maxAttempts // the server's own limit; ours comes first, because it knows the reason
	err := client.CreatePersistentSubscriptionToAll(ctx, c.group, esdb.PersistentAllSubscriptionOptions{
		Settings:  &settings,
		StartFrom: esdb.Start{},
		Filter:    &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: c.prefixes},
	})
	if is(err, esdb.ErrorCodeResourceAlreadyExists) {
		return nil
	}
	return err
}

func is(err error, code esdb.ErrorCode) bool {
	var e *esdb.Error
	return errors.As(err, &e) && e.Code() == code
}
