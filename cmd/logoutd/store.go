package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/claims"
	"github.com/logoutd/logoutd/eventstore/embedded"
	"github.com/logoutd/logoutd/eventstore/esdb"
)

// place is where events are kept.
type place struct {
	spec                 string // config.Embedded, or an EventStoreDB connection string
	folder               string // of the embedded store
	cacheMiB, minFreeMiB int
}

// store is an event store of this program, wherever it is.
type store struct {
	eventstore.Store
	io.Closer

	// failed is closed when the store can never be used again in this process, err says why. A
	// store behind a network comes back by itself: its failed is nil.
	failed <-chan struct{}
	err    func() error
}

func placeOf(s *config.Serve) place {
	return place{spec: s.Store, folder: s.StoreFolder(), cacheMiB: s.CacheMiB, minFreeMiB: s.MinFreeMiB}
}

// openStore opens the store at a place. A server need not be there yet.
func openStore(p place, log zerolog.Logger) (*store, error) {
	if p.spec == config.Embedded {
		s, err := embedded.Open(embedded.Config{
			Dir: p.folder, CacheBytes: int64(p.cacheMiB) << 20, MinFreeBytes: int64(p.minFreeMiB) << 20,
			Notify: tell(log, "event store takes no appends, commands get a 503 until it does", "event store takes appends again"),
		})
		if err != nil {
			return nil, err
		}
		return &store{Store: s, Closer: s, failed: s.Failed(), err: s.Err}, nil
	}
	remote, err := esdb.Open(esdb.Config{
		ConnectionString: p.spec,
		RetryMax:         2 * time.Second, // once the server is back, nobody waits longer
		Notify:           tell(log, "event store lost, commands get a 503 until it is back", "event store is back"),
	})
	if err != nil {
		return nil, err // eventstoredb: connection string: …
	}
	s, err := claims.New(remote, claims.Config{Now: time.Now})
	if err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	return &store{Store: s, Closer: s}, nil
}

// tell logs that a store has come into trouble, and that it is out of it.
func tell(log zerolog.Logger, begins, ends string) func(error) {
	return func(err error) {
		if err != nil {
			log.Warn().Err(err).Msg(begins)
			return
		}
		log.Info().Msg(ends)
	}
}

// awaitHead asks a store for its head. One behind a network may be away while this program
// starts: it then starts without, unless the answer decides something.
func awaitHead(ctx context.Context, s *store, needed bool, log zerolog.Logger) (eventstore.Position, error) {
	const patience = 5 * time.Second
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var away error // why, as the store said it last
	for {
		head, err := s.Head(asking)
		switch {
		case err == nil:
			return head, nil
		case s.failed != nil, ctx.Err() != nil:
			return 0, err
		case errors.Is(err, eventstore.ErrUnavailable):
			away = err
		case asking.Err() == nil:
			return 0, err
		case away == nil: // it is there, and silent
			away = fmt.Errorf("%w: no answer within %s", eventstore.ErrUnavailable, patience)
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-asking.Done():
		}
		if needed || ctx.Err() != nil {
			return 0, fmt.Errorf("%w; without the event store it is not known whether new keys may be made", away)
		}
		log.Warn().Err(away).Msg("the event store is away: starting without it, see /readyz")
		return 0, nil
	}
}
