package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func TestMain(m *testing.M) {
	roles := map[string]func(string) error{
		"hold":         hold,
		"fault":        faultsOf,
		"log rotation": lostIn(func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".log") }),
		"manifest": lostIn(func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, "MANIFEST")
		}),
	}
	if role := os.Getenv(childEnv); role != "" {
		if err := roles[role](os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// hold keeps a folder open until its standard input ends.
func hold(dir string) error {
	s, err := embedded.Open(embedded.Config{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println("open") //nolint:forbidigo // the parent waits for it
	_, err = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	return errors.Join(err, s.Close())
}

// lostIn appends until the file system fails in a place where Pebble cannot go on, and expects an orderly
// end of the store, not of the process.
func lostIn(fails func(errorfs.Op) bool) func(string) error {
	return func(string) error {
		var armed atomic.Bool
		fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && fails(op) {
				return syscall.ENOSPC
			}
			return nil
		}))
		s, err := embedded.OpenFS(embedded.WithLittlePatience(embedded.WithSmallTables(embedded.Config{Dir: "data", CacheBytes: 1 << 20})), fsys)
		if err != nil {
			return err
		}
		ctx := context.Background()
		armed.Store(true)
		for s.Err() == nil {
			e := event("x")
			e.Data = make([]byte, 1<<15)
			_, err = s.Append(ctx, eventstore.Append{Stream: "s", Expected: eventstore.Any, Events: []eventstore.Event{e}})
			if err != nil && !errors.Is(err, eventstore.ErrOutcomeUnknown) && !errors.Is(err, eventstore.ErrUnavailable) {
				return fmt.Errorf("append answers %w", err)
			}
		}
		<-s.Failed()
		if !strings.Contains(s.Err().Error(), "restart logoutd") {
			return fmt.Errorf("failed with %w", s.Err())
		}
		if _, err := s.Load(ctx, "s"); !errors.Is(err, eventstore.ErrUnavailable) {
			return fmt.Errorf("load answers %w", err)
		}
		if s.Close() == nil {
			return errors.New("closing a failed store reports nothing")
		}
		return nil
	}
}

// Ensure that a failure in the middle of Pebble stops the store with a reason, and does not kill the process.
func TestEngineStops(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"log rotation", "manifest"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			if err := child(t, role, "").Run(); err != nil {
				t.Error(err)
			}
		})
	}
}
