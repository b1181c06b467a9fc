package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/logoutd/logoutd/eventstore"
)

// Checkpoint writes a copy of the store into dir, which must not exist, while appends go on. On the same
// file system the copy takes hard links and little time. It holds everything that was durable when
// Checkpoint was called, opens as any store does, and is refused by Open if it was not finished. The
// files in it are readable by whoever may enter dir: put it in a folder of the owner's.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("checkpoint: %w", context.Cause(ctx))
	}
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.release()
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("checkpoint to %s: %w", dir, err)
	}
	// The copy may be ahead of the watermark. It must not become a history that this store can still lose.
	if p := eventstore.Position(s.applied.Load()); p > 0 {
		if err := s.awaitPast(ctx, p-1); err != nil {
			return fmt.Errorf("checkpoint to %s: not finished, remove it: %w", dir, err)
		}
	}
	return writeFormat(s.fs, dir)
}
