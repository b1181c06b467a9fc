package projections

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How often one that stands by looks at the checkpoint: while somebody waits, and while nobody does.
const (
	lookAwaited = 20 * time.Millisecond
	lookIdle    = 500 * time.Millisecond
)

// turn stands by until it is this process's turn, and then projects (P11).
func (r *Runner) turn(ctx context.Context, shared Shared) error {
	release, err := r.standBy(ctx, shared)
	if err != nil {
		return err
	}
	// One that stops for good lets go as well: what it stumbles over, a newer program may know.
	defer release()
	return r.project(ctx)
}

// standBy follows the read model until it is this process's turn.
func (r *Runner) standBy(parent context.Context, shared Shared) (release func(), err error) {
	var checkpoint Checkpoint
	err = r.retry(parent, func() error {
		if checkpoint, err = shared.Checkpoint(parent); err != nil {
			return err
		}
		return r.verify(parent, checkpoint)
	})
	if err != nil {
		return nil, err
	}
	r.state.began(checkpoint.Position, true, r.config.Now())
	r.config.Log.Info().Str("projection", r.config.Projection.Describe().Name).
		Uint64("position", uint64(checkpoint.Position)).Msg("projection stands by")

	ctx, cancel := context.WithCancelCause(parent)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel(nil)
	group.Go(func() { cancel(r.follow(ctx, checkpoint)) })
	err = r.retry(ctx, func() error {
		release, err = shared.Await(ctx)
		return err
	})
	if foreign := context.Cause(ctx); errors.Is(foreign, ErrForeign) {
		if release != nil {
			release()
		}
		return nil, foreign
	}
	return release, err
}

// follow keeps the status at the checkpoint that another process stores, until the context ends. What
// was empty when it was verified may get its first events from another store, which is ErrForeign.
func (r *Runner) follow(ctx context.Context, last Checkpoint) error {
	ticker := time.NewTicker(lookAwaited)
	defer ticker.Stop()
	failing, since := false, time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if since += lookAwaited; since < lookIdle && !r.state.hasWaiters() {
			continue
		}
		since = 0
		checkpoint, err := r.config.Projection.Checkpoint(ctx)
		if err == nil && last.Position == 0 && checkpoint.Position > 0 {
			err = r.verify(ctx, checkpoint)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrForeign):
			return err
		case err != nil:
			r.trouble(err, "read model cannot be followed, trying again")
		case checkpoint != last:
			last = checkpoint
			r.state.moved(checkpoint.Position, r.config.Now())
		case failing:
			r.state.troubled(nil)
		}
		failing = err != nil
	}
}
