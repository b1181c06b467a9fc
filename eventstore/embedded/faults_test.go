package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// What a fault of the disk does to a store.
const (
	passes  = "passes"  // appends are refused as long as it lasts, reads go on
	waits   = "waits"   // the same, and what is under way waits for its end
	stalls  = "stalls"  // the same, but nothing comes back: appends under way end with their context
	ends    = "ends"    // the store fails for good
	refuses = "refuses" // the folder cannot be opened, until it can
)

type fault struct {
	name string
	err  error // nil hangs
	ops  []errorfs.OpKind
}

// faults are the columns of the table below.
func faults() []fault {
	create := []errorfs.OpKind{errorfs.OpCreate, errorfs.OpReuseForWrite}
	write := []errorfs.OpKind{errorfs.OpFileWrite}
	sync := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	return []fault{
		{"create EIO", syscall.EIO, create},
		{"create EMFILE", syscall.EMFILE, create},
		{"create hangs", nil, create},
		{"write EIO", syscall.EIO, write},
		{"write ENOSPC", syscall.ENOSPC, write},
		{"write EDQUOT", syscall.EDQUOT, write},
		{"write hangs", nil, write},
		{"sync EIO", syscall.EIO, sync},
		{"sync hangs", nil, sync},
		{"close EIO", syscall.EIO, []errorfs.OpKind{errorfs.OpFileClose}},
	}
}

// diskFile is one kind of file, and what each fault of it does. "" is a fault that it cannot have.
type diskFile struct {
	name    string
	is      func(path string) bool
	opening bool // written when the store opens, not while it is used
	does    []string
}

func diskFiles() []diskFile {
	part := func(part string) func(string) bool {
		return func(path string) bool { return strings.Contains(path, part) }
	}
	return []diskFile{
		{"log", part(".log"), false, []string{waits, waits, stalls, ends, ends, ends, stalls, ends, stalls, ends}},
		{"table", part(".sst"), false, []string{passes, passes, stalls, passes, passes, passes, stalls, passes, stalls, passes}},
		{"manifest", part("MANIFEST"), false, []string{"", "", "", ends, ends, ends, stalls, ends, stalls, ""}},
		{"folder", func(path string) bool { return path == "data" }, false, []string{"", "", "", "", "", "", "", ends, stalls, ""}},
		{"new manifest", part("MANIFEST"), true, []string{refuses, refuses, "", refuses, refuses, refuses, "", refuses, "", ""}},
		{"marker", part("marker."), true, []string{refuses, refuses, "", "", "", "", "", "", "", refuses}},
		{"FORMAT", part("FORMAT"), true, []string{refuses, refuses, "", refuses, refuses, refuses, "", refuses, "", refuses}},
	}
}

// Ensure that whatever happens to a file of the store, appends are told the truth, reads go on or fail clearly, the
// state is told, Close returns, and every acknowledged append is there afterwards, once.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	for _, f := range diskFiles() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			// A store that Pebble has stopped in the middle leaves goroutines: it needs a process of its own.
			if err := child(t, "fault", f.name).Run(); err != nil {
				t.Error(err)
			}
		})
	}
}

func faultsOf(name string) error {
	files := diskFiles()
	f := files[slices.IndexFunc(files, func(f diskFile) bool { return f.name == name })]
	var wg sync.WaitGroup
	errs := make([]error, len(f.does))
	for i, c := range faults() {
		if f.does[i] == "" {
			continue
		}
		wg.Go(func() {
			if err := newFaulty(f, c).run(f.does[i]); err != nil {
				errs[i] = fmt.Errorf("%s: %w", c.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// faulty is a store on a disk that can have one fault.
type faulty struct {
	mem     *vfs.MemFS
	fsys    vfs.FS
	cfg     embedded.Config
	armed   atomic.Bool
	file    diskFile
	fault   fault
	stored  []eventstore.Append
	hit     chan struct{} // closed when the fault happens
	hitOnce sync.Once
	told    chan error
}

func (f *faulty) at(op errorfs.Op) error {
	if !f.armed.Load() || !f.file.is(op.Path) || !slices.Contains(f.fault.ops, op.Kind) {
		return nil
	}
	f.hitOnce.Do(func() { close(f.hit) })
	if f.fault.err == nil {
		select {} // its process ends with it
	}
	return f.fault.err
}

// closeFS lets closing a new file fail, which errorfs cannot.
type closeFS struct {
	vfs.FS

	at func(path string) error
}

type closeFile struct {
	vfs.File

	close func() error
}

func (c closeFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := c.FS.Create(name, category)
	return closeFile{file, func() error { return c.at(name) }}, err
}

func (c closeFS) ReuseForWrite(oldName, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := c.FS.ReuseForWrite(oldName, name, category)
	return closeFile{file, func() error { return c.at(name) }}, err
}

func (c closeFile) Close() error { return errors.Join(c.File.Close(), c.close()) }

func newFaulty(file diskFile, c fault) *faulty {
	f := &faulty{mem: vfs.NewCrashableMem(), file: file, fault: c, hit: make(chan struct{}), told: make(chan error, 1000)}
	f.fsys = closeFS{f.mem, func(path string) error { return f.at(errorfs.Op{Kind: errorfs.OpFileClose, Path: path}) }}
	f.fsys = errorfs.Wrap(f.fsys, errorfs.InjectorFunc(f.at))
	f.cfg = embedded.WithSmallTables(embedded.Config{
		Dir: "data", CacheBytes: 1 << 20, CloseTimeout: 10 * time.Second, Notify: func(err error) { f.told <- err },
	})
	if c.err == nil {
		f.cfg = embedded.WithLittlePatience(f.cfg)
		f.cfg.CloseTimeout = 100 * time.Millisecond
	}
	return f
}

// awaitTold returns when Notify has told that there is trouble, or that there is none.
func (f *faulty) awaitTold(trouble bool) {
	for err := range f.told {
		if (err != nil) == trouble {
			return
		}
	}
}

func (f *faulty) append(ctx context.Context, s *embedded.Store) error {
	e := event("")
	e.Data = make([]byte, 16<<10)
	a := eventstore.Append{Stream: fmt.Sprint("s", len(f.stored)%3), Expected: eventstore.Any, Events: []eventstore.Event{e}}
	_, err := s.Append(ctx, a)
	if err == nil {
		f.stored = append(f.stored, a)
	}
	return err
}

func (f *faulty) run(does string) error {
	if f.file.opening {
		return f.open()
	}
	s, err := embedded.OpenFS(f.cfg, f.fsys)
	if err != nil {
		return err
	}
	if err := f.append(context.Background(), s); err != nil {
		return err
	}
	f.armed.Store(true)
	err = errors.Join(f.use(s, does), f.close(s, does))
	return errors.Join(err, f.verify())
}

// use appends until the fault shows, and looks at what it does.
func (f *faulty) use(s *embedded.Store, does string) error {
	ctx, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	appending := make(chan error, 1)
	go func() {
		var err error
		// A busy machine may look like a disk that hangs, until the disk does.
		for err == nil || does == stalls && ctx.Err() == nil {
			err = f.append(ctx, s)
		}
		appending <- err
	}()
	<-f.hit
	if does == ends {
		<-s.Failed()
	} else {
		f.awaitTold(true)
	}
	trouble := f.inTrouble(s, does != ends)
	if does == stalls {
		giveUp()
	}
	if does != waits {
		if err := <-appending; !refused(err) {
			return fmt.Errorf("append returns %w", err)
		}
	}
	if trouble != nil || does == ends || does == stalls {
		return trouble
	}
	f.armed.Store(false)
	f.awaitTold(false)
	if does == waits { // what waited was stored, and more
		stored := s.Stats().Appends
		until(func() bool { return s.Stats().Appends > stored+1 })
		giveUp()
		<-appending
	}
	return errors.Join(s.Trouble(), f.append(context.Background(), s))
}

func refused(err error) bool {
	return errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrOutcomeUnknown) || errors.Is(err, context.Canceled)
}

// inTrouble looks at a store that says it cannot take appends.
func (f *faulty) inTrouble(s *embedded.Store, reads bool) error {
	until(func() bool { return errors.Is(s.Trouble(), eventstore.ErrUnavailable) })
	until(func() bool {
		ctx, end := context.WithCancelCause(context.Background())
		_, err := s.Append(endsWhenAsked{ctx, end}, one("s", nil))
		return errors.Is(err, eventstore.ErrUnavailable) && strings.Contains(err.Error(), "data folder")
	})
	l, err := s.Load(context.Background(), "s0")
	if reads && (err != nil || l.Revision == eventstore.NoStream) {
		return fmt.Errorf("load in trouble returns %s, %w", l.Revision, err)
	}
	if !reads && !errors.Is(err, eventstore.ErrUnavailable) {
		return fmt.Errorf("load returns %w", err)
	}
	return nil
}

func (f *faulty) close(s *embedded.Store, does string) error {
	err := s.Close()
	if (err == nil) != (does == passes || does == waits) {
		return fmt.Errorf("close returns %w", err)
	}
	return nil
}

// open opens a folder that cannot be opened until its fault is gone.
func (f *faulty) open() error {
	f.armed.Store(true)
	if s, err := embedded.OpenFS(f.cfg, f.fsys); err == nil {
		return errors.Join(errors.New("the folder opens"), s.Close())
	} else if text := err.Error(); !strings.Contains(text, "data folder data") || strings.Contains(text, "\n") {
		return fmt.Errorf("open returns %w", err)
	}
	f.armed.Store(false)
	f.mem = f.mem.CrashClone(vfs.CrashCloneCfg{}) // what the next process finds
	s, err := embedded.OpenFS(f.cfg, f.mem)
	if err != nil {
		return fmt.Errorf("later, open returns %w", err)
	}
	return errors.Join(f.append(context.Background(), s), s.Close(), f.verify())
}

// verify opens what a power loss leaves.
func (f *faulty) verify() error {
	s, err := embedded.OpenFS(embedded.Config{Dir: "data", CacheBytes: 1 << 20}, f.mem.CrashClone(vfs.CrashCloneCfg{}))
	if err != nil {
		return fmt.Errorf("open after it: %w", err)
	}
	count := map[eventstore.EventID]int{}
	for e, err := range s.ReadAll(context.Background(), 0, eventstore.Forward) {
		if err != nil {
			return errors.Join(err, s.Close())
		}
		count[e.ID]++
	}
	for i, a := range f.stored {
		if n := count[a.Events[0].ID]; n != 1 {
			return errors.Join(fmt.Errorf("append %d of %d is there %d times", i, len(f.stored), n), s.Close())
		}
	}
	return s.Close()
}
