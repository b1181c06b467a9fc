package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// ledger is what the outside world knows of a store: what was acknowledged, and what was seen.
type ledger struct {
	mu     sync.Mutex
	acked  []acked
	seen   []eventstore.EventID           // by position, from 1
	loaded map[string]eventstore.Expected // highest revision that a load answered
}

type acked struct {
	a   eventstore.Append
	res eventstore.Result
}

func (l *ledger) snapshot() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &ledger{acked: l.acked[:len(l.acked):len(l.acked)], seen: l.seen[:len(l.seen):len(l.seen)], loaded: map[string]eventstore.Expected{}}
	for k, v := range l.loaded {
		c.loaded[k] = v
	}
	return c
}

// TestPowerLoss pulls the plug at many moments of concurrent load. What a clone of the file system holds
// then must contain everything that anybody had been told of, once and whole.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	for _, unsynced := range []int{0, 30, 100} {
		t.Run(fmt.Sprintf("unsynced=%d%%", unsynced), func(t *testing.T) {
			t.Parallel()
			powerLoss(t, unsynced)
		})
	}
}

func powerLoss(t *testing.T, unsynced int) {
	const crashes, writers = 10, 6
	mem := vfs.NewCrashableMem()
	s, err := embedded.OpenFS(embedded.WithSmallTables(embedded.Config{Dir: "data", CacheBytes: 1 << 20}), mem)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	l := &ledger{loaded: map[string]eventstore.Expected{}}
	var wg sync.WaitGroup
	progress := make(chan struct{}, 1)
	for w := range writers {
		wg.Go(func() { l.write(ctx, t, s, rand.New(rand.NewPCG(1, uint64(w))), progress) }) //nolint:gosec // small
	}
	wg.Go(func() { l.watch(ctx, s) })
	rng := rand.New(rand.NewPCG(2, uint64(unsynced))) //nolint:gosec // small
	for range crashes {
		for range 1 + rng.IntN(40) {
			<-progress
		}
		known := l.snapshot()
		after := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
		verify(t, after, known)
	}
	stop()
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(l.seen) == 0 || len(l.loaded) == 0 {
		t.Errorf("%d events seen, %d streams loaded: the test proves nothing", len(l.seen), len(l.loaded))
	}
}

func (l *ledger) write(ctx context.Context, t *testing.T, s *embedded.Store, rng *rand.Rand, progress chan<- struct{}) {
	for ctx.Err() == nil {
		stream := fmt.Sprintf("s-%d", rng.IntN(40))
		loaded, err := s.Load(ctx, stream)
		if err != nil {
			return // the end
		}
		l.mu.Lock()
		if was, ok := l.loaded[stream]; !ok || loaded.Revision > was {
			l.loaded[stream] = loaded.Revision
		}
		l.mu.Unlock()
		a := eventstore.Append{Stream: stream, Expected: loaded.Revision}
		n := 1 + rng.IntN(4)
		for i := range n {
			e := event(fmt.Sprintf("%d of %d", i, n))
			e.Data = append(e.Data, make([]byte, rng.IntN(3000))...)
			a.Events = append(a.Events, e)
		}
		if rng.IntN(2) == 0 {
			a.Snapshot = []byte(fmt.Sprint(int64(loaded.Revision) + int64(n)))
		}
		res, err := s.Append(ctx, a)
		switch {
		case err == nil:
			l.mu.Lock()
			l.acked = append(l.acked, acked{a, res})
			l.mu.Unlock()
			select {
			case progress <- struct{}{}:
			case <-ctx.Done():
			}
		case errors.Is(err, eventstore.ErrConflict), ctx.Err() != nil:
		default:
			t.Error(err)
			return
		}
	}
}

func (l *ledger) watch(ctx context.Context, s *embedded.Store) {
	for e, err := range s.Subscribe(ctx, 0) {
		if err != nil {
			return
		}
		l.mu.Lock()
		l.seen = append(l.seen, e.ID)
		l.mu.Unlock()
	}
}

// verify opens what is left and compares it with what was known.
func verify(t *testing.T, mem *vfs.MemFS, known *ledger) {
	t.Helper()
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20}, mem)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx := context.WithoutCancel(t.Context())
	var all []eventstore.Recorded
	next := map[string]uint64{}
	for e, err := range s.ReadAll(ctx, 0, eventstore.Forward) {
		if err != nil {
			t.Error(err)
			return
		}
		if e.Position != eventstore.Position(len(all)+1) || e.Revision != next[e.Stream] {
			t.Errorf("event %d of the log has position %s, revision %d of %s", len(all)+1, e.Position, e.Revision, e.Stream)
		}
		next[e.Stream]++
		all = append(all, e)
	}
	whole(t, all)
	for i, id := range known.seen {
		if i >= len(all) || all[i].ID != id {
			t.Errorf("position %d was seen by a subscriber and is not there", i+1)
			return
		}
	}
	for stream, revision := range known.loaded {
		if l, err := s.Load(ctx, stream); err != nil || l.Revision < revision {
			t.Errorf("%s was loaded at %s and is at %s (%v)", stream, revision, l.Revision, err)
		}
	}
	for _, k := range known.acked {
		first := int(k.res.Position) - len(k.a.Events) //nolint:gosec // small
		for i, e := range k.a.Events {
			if first+i >= len(all) || all[first+i].ID != e.ID || string(all[first+i].Data) != string(e.Data) {
				t.Errorf("acknowledged event %d of position %s is not there", i, k.res.Position)
				return
			}
		}
	}
	if n := len(known.acked); n > 0 {
		again(t, s, known.acked[n-1])
	}
}

// again repeats an append that was acknowledged before the power went: it is known.
func again(t *testing.T, s *embedded.Store, k acked) {
	t.Helper()
	res, err := s.Append(context.WithoutCancel(t.Context()), k.a)
	k.res.Duplicate = true
	if err != nil || res != k.res {
		t.Errorf("repeated append answers %+v, %v; it was stored as %+v", res, err, k.res)
	}
}

// whole checks that no append is there in part: its events count themselves.
func whole(t *testing.T, all []eventstore.Recorded) {
	t.Helper()
	for i := 0; i < len(all); {
		var k, n int
		if _, err := fmt.Sscanf(string(all[i].Data), "%d of %d", &k, &n); err != nil || k != 0 || i+n > len(all) {
			t.Errorf("position %d: part %d of %d (%v)", i+1, k, n, err)
			return
		}
		for j := range n {
			var kj int
			if _, _ = fmt.Sscanf(string(all[i+j].Data), "%d of", &kj); kj != j || all[i+j].Stream != all[i].Stream {
				t.Errorf("position %d is not part %d of its append", i+j+1, j)
			}
		}
		i += n
	}
}
