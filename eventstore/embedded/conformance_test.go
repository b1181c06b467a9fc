package embedded_test

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
	"github.com/logoutd/logoutd/eventstore/eventstoretest"
)

// Ensure that the store keeps every clause of the contract, and skips none.
func TestConformance(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Dir: "data", CacheBytes: 1 << 20}
	var disks sync.Map // of the stores that are open, for their crash
	open := func(t eventstoretest.T, mem *vfs.MemFS) *embedded.Store {
		s, err := embedded.OpenFS(cfg, mem)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() { _ = s.Close() })
		disks.Store(s, mem)
		return s
	}
	eventstoretest.Run(t, func(t *testing.T) eventstore.Store {
		return open(t, vfs.NewCrashableMem())
	}, eventstoretest.WithCrash(func(t eventstoretest.T, s eventstore.Store) eventstore.Store {
		mem, _ := disks.Load(s)
		return open(t, mem.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})) //nolint:forcetypeassert // stored above
	}))
}
