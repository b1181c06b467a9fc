package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/eventstore"
)

// Source is what a runner needs of an event store.
type Source interface {
	eventstore.Subscriber
	eventstore.StreamReader
	Head(ctx context.Context) (eventstore.Position, error)
}

// Config of a runner. Source, Projection and Now are required; a zero value elsewhere is
// the default.
type Config struct {
	Source     Source
	Projection Projection
	Now        func() time.Time
	Log        zerolog.Logger // the zero value is silent

	// BatchEvents is the most that one transaction applies. Default 4096.
	BatchEvents int
	// Linger is how long a batch waits for more events when nobody waits for it, since
	// one large transaction is far cheaper than many small ones. Default 20 ms.
	Linger time.Duration
	// Buffer is how many events are read ahead. Default 8192.
	Buffer int
	// MaxLag and StallAfter: behind by more events than the one and without moving for
	// longer than the other, the projection is ill (P10). Default 1000 and 30 s.
	MaxLag     uint64
	StallAfter time.Duration
}

func (c *Config) setDefaults() error {
	var errs []error
	if c.Source == nil {
		errs = append(errs, errors.New("source is missing: pass an event store"))
	}
	if c.Projection == nil {
		errs = append(errs, errors.New("projection is missing: pass a read model"))
	}
	if c.Now == nil {
		errs = append(errs, errors.New("now is missing: pass time.Now"))
	}
	if c.BatchEvents < 0 || c.Buffer < 0 || c.Linger < 0 || c.StallAfter < 0 {
		errs = append(errs, errors.New("a limit is negative: leave it out for the default"))
	}
	setDefault(&c.BatchEvents, 4096)
	setDefault(&c.Buffer, 8192)
	setDefault(&c.Linger, 20*time.Millisecond)
	setDefault(&c.MaxLag, 1000)
	setDefault(&c.StallAfter, 30*time.Second)
	return errors.Join(errs...)
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Runner feeds one projection. Its methods may be called from any number of goroutines.
type Runner struct {
	config  Config
	started atomic.Bool
	state   state
}

// NewRunner checks the configuration. It starts nothing.
func NewRunner(config Config) (*Runner, error) {
	if err := config.setDefaults(); err != nil {
		return nil, fmt.Errorf("projection runner: %w", err)
	}
	r := &Runner{config: config}
	r.state.init(config.Now())
	return r, nil
}

// Run applies events until the context ends, then returns nil. Whatever is wrong with the read model,
// it tries again, or rebuilds it (P12); only one that another process took for itself ends it (P3).
// It owns its goroutines and returns when they are gone. A runner runs once.
func (r *Runner) Run(ctx context.Context) error {
	if r.started.Swap(true) {
		return errors.New("projection runner: runs only once, make another")
	}
	err := r.run(ctx)
	if ctx.Err() != nil {
		err = nil // told to stop; whatever broke off because of it is no failure
	}
	if err != nil {
		err = r.named(err)
	}
	r.state.stop(err)
	return err
}

func (r *Runner) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { r.watchHead(ctx) })
	pause := newBackoff()
	rebuilder, canRebuild := r.config.Projection.(Rebuilder)
	var failed error // of the last rebuild
	for {
		err := r.live(ctx)
		if ctx.Err() != nil || errors.Is(err, ErrFenced) {
			return err
		}
		r.broke(err, failed)
		if err := pause.wait(ctx); err != nil {
			return err
		}
		if failed = nil; canRebuild && curedByRebuild(err) {
			failed = r.rebuild(ctx, rebuilder, err)
		}
	}
}

// live feeds the read model until something is wrong with it that trying again cannot cure.
func (r *Runner) live(ctx context.Context) error {
	shared, isShared := r.config.Projection.(Shared)
	if !isShared {
		return r.project(ctx)
	}
	for {
		err := r.turn(ctx, shared)
		if !errors.Is(err, ErrFenced) && !errors.Is(err, ErrMoved) {
			return err
		}
		r.trouble(err, "projection lost its turn, standing by")
		if err := newBackoff().wait(ctx); err != nil {
			return err
		}
	}
}

// project takes the read model over and applies events until the context ends.
func (r *Runner) project(ctx context.Context) error {
	return r.feed(ctx, r.config.Projection, func(at eventstore.Position) (enough bool) {
		r.state.began(at, false, r.config.Now())
		r.config.Log.Info().Str("projection", r.config.Projection.Describe().Name).
			Uint64("position", uint64(at)).Msg("projection started")
		return false
	}, func(at eventstore.Position) (enough bool) {
		r.state.moved(at, r.config.Now())
		return false
	})
}

// rebuild fills a read model beside the one that cannot be used, up to what is now the head (P12).
func (r *Runner) rebuild(ctx context.Context, p Rebuilder, why error) error {
	r.state.rebuilds(0, why)
	return p.Rebuild(ctx, func(next Projection) error { //nolint:wrapcheck // it names the read model
		var head eventstore.Position
		err := r.retry(ctx, func() (err error) {
			head, err = r.config.Source.Head(ctx)
			return err //nolint:wrapcheck // retry shows it
		})
		if err != nil {
			return err
		}
		moved := func(at eventstore.Position) (enough bool) {
			r.state.rebuilds(at, why)
			return at >= head
		}
		return r.feed(ctx, next, moved, moved)
	})
}

// feed takes a read model over and applies events to it until began or moved say that it is enough.
// Without an error it is.
func (r *Runner) feed(parent context.Context, into Projection, began, moved func(eventstore.Position) (enough bool)) error {
	ctx, cancel := context.WithCancel(parent)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	checkpoint, err := r.acquire(ctx, into)
	if err != nil {
		return err
	}
	if began(checkpoint.Position) {
		return nil
	}

	// When the channel is full the puller waits, which the store does not feel (E11).
	events := make(chan eventstore.Recorded, r.config.Buffer)
	var pullErr error // read after events is closed
	group.Go(func() {
		defer close(events)
		pullErr = r.pull(ctx, checkpoint.Position, events)
	})
	enough, err := r.applyAll(ctx, into, checkpoint.Position, events, moved)
	switch {
	case enough || err != nil:
		return err
	case pullErr != nil:
		return pullErr
	}
	return context.Cause(parent)
}

// applyAll applies what the puller brings until the channel is closed, or it is enough.
func (r *Runner) applyAll(ctx context.Context, into Projection, at eventstore.Position, events <-chan eventstore.Recorded,
	moved func(eventstore.Position) (enough bool)) (enough bool, err error) {
	batch := make([]eventstore.Recorded, 0, r.config.BatchEvents)
	for {
		batch = r.collect(events, batch[:0])
		if len(batch) == 0 {
			return false, nil
		}
		if err := r.apply(ctx, into, at, batch); err != nil {
			return false, err
		}
		at = batch[len(batch)-1].Position
		if moved(at) {
			return true, nil
		}
		clear(batch) // lets go of the data while waiting for more
	}
}

// collect takes what is there, up to a full batch, and lingers for more unless somebody
// waits for what it has. It answers nothing when the channel is closed.
func (r *Runner) collect(events <-chan eventstore.Recorded, batch []eventstore.Recorded) []eventstore.Recorded {
	e, ok := <-events
	if !ok {
		return batch
	}
	r.state.took(e.RecordedAt)
	batch = append(batch, e)
	linger := time.NewTimer(r.config.Linger)
	defer linger.Stop()
	for len(batch) < r.config.BatchEvents {
		select {
		case e, ok := <-events:
			if !ok {
				return batch
			}
			batch = append(batch, e)
			continue
		default:
		}
		if r.state.isAwaited(batch[len(batch)-1].Position) {
			return batch
		}
		select {
		case e, ok := <-events:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		case <-r.state.hurry:
		case <-linger.C:
			return batch
		}
	}
	return batch
}

// apply tries one batch until it is applied, cannot be, or the context ends (P8).
func (r *Runner) apply(ctx context.Context, into Projection, from eventstore.Position, batch []eventstore.Recorded) error {
	pause := newBackoff()
	for {
		err := into.Apply(ctx, from, batch)
		if err == nil || Permanent(err) || ctx.Err() != nil {
			return err
		}
		r.trouble(err, "projection could not be written, trying again")
		if err := pause.wait(ctx); err != nil {
			return err
		}
		// The commit may have happened although its answer was lost.
		// Whatever else it may be, the next Apply tells, which compares epoch and position itself.
		checkpoint, err := into.Checkpoint(ctx)
		if err == nil && checkpoint.Position == batch[len(batch)-1].Position {
			return nil
		}
	}
}

// trouble reports an error that may pass. What is known already is not logged again.
func (r *Runner) trouble(err error, message string) {
	if r.state.troubled(err) {
		r.config.Log.Warn().Err(err).Str("projection", r.config.Projection.Describe().Name).Msg(message)
	}
}

// broke reports an error that no retry of the same call can cure, and why a rebuild did not, nil where
// there was none.
func (r *Runner) broke(err, rebuild error) {
	err = r.named(err)
	if rebuild != nil {
		err = fmt.Errorf("%w; the rebuild failed: %w", err, rebuild)
	}
	if r.state.broke(err) {
		r.config.Log.Error().Err(err).Str("projection", r.config.Projection.Describe().Name).
			Msg("the read model cannot be used, reads are refused, commands go on; mending it")
	}
}

func (r *Runner) named(err error) error {
	d := r.config.Projection.Describe()
	return fmt.Errorf("projection %s@%d: %w", d.Name, d.Version, err)
}
