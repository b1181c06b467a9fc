package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Await implements projections.Shared (PG1). The turn is lost with its connection, which the next
// Apply notices when somebody else has used it.
func (s *Store) Await(ctx context.Context) (release func(), err error) {
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, s.connection.Copy())
	if err != nil {
		return nil, s.mapError(err)
	}
	// The lock goes with the session, and the session even where nobody can be told any more.
	release = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) //nolint:errcheck // whatever it says, it is closed
	})
	if err := s.askForTurn(ctx, conn); err != nil {
		release()
		return nil, s.mapError(err)
	}
	return release, nil
}

func (s *Store) askForTurn(ctx context.Context, conn *pgx.Conn) error {
	ticker := time.NewTicker(s.config.TurnEvery)
	defer ticker.Stop()
	for {
		mine, err := s.tryTurn(ctx, conn)
		if mine || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Store) tryTurn(ctx context.Context, conn *pgx.Conn) (mine bool, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", lockTurn, s.lockKey()).Scan(&mine)
	return mine, err //nolint:wrapcheck // Await does
}
