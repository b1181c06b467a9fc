package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// errOtherRecord: the server holds another history than the one that was copied so far.
var errOtherRecord = errors.New("the server does not hold the event that this consumer stopped at: was it restored or replaced?")

// saveEvery bounds what a crash makes it copy again while it catches up. Live, each burst is saved.
const saveEvery = 500

// follow copies events over one connection until it breaks, which is an error, or until
// caught up, where that is wanted.
func follow(ctx context.Context, settings *esdb.Configuration, c config, record *record) error {
	ctx, cancel := context.WithCancel(ctx) // ends the goroutine below
	defer cancel()

	// Connecting and receiving block where a context does not reach, so they have a goroutine of their own.
	// Its channel is bounded: when the disk is slow, the server waits.
	messages := make(chan *esdb.SubscriptionEvent, saveEvery)
	failed := make(chan error, 1)
	from := record.last
	go func() { failed <- receive(ctx, settings, c.prefixes, from, messages) }()

	for {
		select {
		case m := <-messages:
			if done, err := apply(m, c, record); done || err != nil {
				return err
			}
			continue
		default: // nothing waits, a good moment to make the work so far durable
		}
		if err := record.save(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case m := <-messages:
			if done, err := apply(m, c, record); done || err != nil {
				return err
			}
		case err := <-failed:
			return err
		}
	}
}

// apply handles one message of the subscription, and says whether it was the last that is wanted.
func apply(m *esdb.SubscriptionEvent, c config, record *record) (done bool, err error) {
	switch {
	case m.EventAppeared != nil:
		if err := record.write(m.EventAppeared.OriginalEvent()); err != nil {
			return false, err
		}
		if record.unsaved >= saveEvery {
			return false, record.save()
		}
	case m.CaughtUp != nil:
		return c.once, nil
	}
	return false, nil // a checkpoint of the server's search is not ours to keep (C3)
}

// receive subscribes after a place and hands on every message until the subscription drops.
func receive(ctx context.Context, settings *esdb.Configuration, prefixes []string, from place, out chan<- *esdb.SubscriptionEvent) error {
	client, err := esdb.NewClient(settings)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // always nil; here, because closing a client under a running call panics
	if err := sameRecord(ctx, client, from); err != nil {
		return err
	}
	options := esdb.SubscribeToAllOptions{
		From:   esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: prefixes},
	}
	if from.known() {
		options.From = from.esdb() // exclusive: the next event is the first
	}
	subscription, err := client.SubscribeToAll(ctx, options)
	if err != nil {
		return err
	}
	defer subscription.Close() //nolint:errcheck // always nil
	for {
		m := subscription.Recv()
		if m.SubscriptionDropped != nil {
			return fmt.Errorf("the subscription has dropped: %w", m.SubscriptionDropped.Error)
		}
		select {
		case out <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sameRecord reads the event at the checkpoint again. A read of $all begins with the event at its position.
func sameRecord(ctx context.Context, client *esdb.Client, at place) error {
	if !at.known() {
		return nil
	}
	read, err := client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Forwards, From: at.esdb()}, 1)
	if err != nil {
		return err
	}
	defer read.Close()
	found, err := read.Recv()
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w (position %d is past its end)", errOtherRecord, at.Position)
	case err != nil:
		return err
	case found.OriginalEvent().EventID.String() != at.EventID:
		return fmt.Errorf("%w (at position %d it has event %s, not %s)", errOtherRecord, at.Position, found.OriginalEvent().EventID, at.EventID)
	}
	return nil
}
