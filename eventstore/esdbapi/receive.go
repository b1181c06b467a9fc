package esdbapi

import (
	"context"
	"errors"
	"io"
	"sync"
)

// received is what came from a client: a message, or the error that ended the sequence; io.EOF when it has said all.
type received[T any] struct {
	message T
	err     error
}

// receive takes messages in a goroutine of its own, so that a handler can wait for other things as well, and can give up on a client
// that sends nothing. The goroutine ends at the latest when the handler has returned: that ends the call's context.
func receive[T any](ctx context.Context, workers *sync.WaitGroup, recv func() (T, error)) <-chan received[T] {
	in := make(chan received[T]) // no room: a client can send no faster than its handler takes
	workers.Go(func() {
		defer close(in)
		for {
			m, err := recv()
			select {
			case in <- received[T]{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return in
}

// next waits for a message until the context ends.
func next[T any](ctx context.Context, in <-chan received[T]) (T, error) {
	var none T
	select {
	case r, more := <-in:
		if !more {
			return none, io.EOF // it was told before why
		}
		return r.message, r.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// drain takes and forgets what a client still has to say. Official clients see the status of an error only when
// the server has let them finish; without that they report a broken connection.
func drain[T any](ctx context.Context, in <-chan received[T]) {
	for {
		if _, err := next(ctx, in); err != nil {
			return
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) }
