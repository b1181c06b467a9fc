package embedded

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskFS stands between Pebble and the file system, for the errors of the store's own folder that Pebble
// does not survive.
//
// A file that cannot be created has lost nothing. Pebble creates a table again at once, for ever: here
// that waits. A log or a manifest it must have: here that is tried again until it is there or patience
// ends, for a process that is short of file descriptors is rarely short of them for long.
//
// An error of a log while it is written or synced is reported to those who wait for the sync; but one while
// it is changed for the next makes Pebble panic with its locks in a state that ends the process with a
// stack trace. Here such a call fails the store and does not return: everybody who waits for an answer gets
// one from the store, and the process can end in order.
type diskFS struct {
	vfs.FS

	dir      string
	patience time.Duration
	tables   pause
	trouble  *trouble

	// strict is set while the store is in use. Opening and closing take errors as they come.
	strict  atomic.Bool
	closing <-chan struct{} // ends the attempts to create a file
	ending  chan struct{}   // closed when no attempt to write a table follows a failed one
	lose    func(error)
}

// stop fails the store and keeps the calling goroutine for ever.
func (f *diskFS) stop(what string, err error) {
	if err != nil && f.strict.Load() {
		f.lose(fmt.Errorf("%s: %w", what, err))
		select {}
	}
}

// own tells the store's files from those of a copy that Checkpoint writes: a copy may fail.
func (f *diskFS) own(name string) bool { return f.PathDir(name) == f.PathDir(f.PathJoin(f.dir, "x")) }

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

func (f *diskFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	create := func() (vfs.File, error) { return f.FS.Create(name, category) }
	switch {
	case !f.own(name):
		return create()
	case strings.HasSuffix(name, ".sst"):
		f.tables.wait(f.ending)
		return create()
	default:
		file, err := create()
		return f.insist(name, file, err, create)
	}
}

func (f *diskFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldName, newName, category)
	// The old name may be gone by now, and a new file is as good.
	return f.insist(newName, file, err, func() (vfs.File, error) { return f.FS.Create(newName, category) })
}

// insist goes on creating a file that the store cannot do without.
func (f *diskFS) insist(name string, file vfs.File, err error, create func() (vfs.File, error)) (vfs.File, error) {
	var between pause
	for end := time.Now().Add(f.patience); err != nil && f.strict.Load() && time.Now().Before(end); {
		f.trouble.set(noFile, unavailable(f.dir, fmt.Errorf("%w; make room or raise the limit of open files", err)))
		between.grow()
		if !between.wait(f.closing) {
			break
		}
		file, err = create()
	}
	f.trouble.set(noFile, nil)
	if !isLog(name) {
		return file, err
	}
	f.stop("create "+name, err)
	if err != nil {
		return nil, err
	}
	return &logFile{File: file, fs: f, name: name}, nil
}

func (f *diskFS) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil || name != f.dir {
		return dir, err
	}
	return &dirFile{File: dir, fs: f, name: name}, nil
}

// Unwrap returns the file system below.
func (f *diskFS) Unwrap() vfs.FS { return f.FS }

// dirFile is a folder: the sync that makes the name of a new log last is part of changing logs.
type dirFile struct {
	vfs.File

	fs   *diskFS
	name string
}

func (d *dirFile) Sync() error {
	err := d.File.Sync()
	d.fs.stop("sync "+d.name, err)
	return err
}

// logFile is one log. It passes errors on, and remembers that there was one: a log that has failed
// is only ever closed in order to change it for the next, or with the store.
type logFile struct {
	vfs.File

	fs     *diskFS
	name   string
	failed atomic.Pointer[error]
}

func (l *logFile) note(err error) error {
	if err != nil {
		l.failed.CompareAndSwap(nil, &err)
	}
	return err
}

func (l *logFile) Write(p []byte) (int, error) {
	n, err := l.File.Write(p)
	return n, l.note(err)
}

func (l *logFile) Sync() error     { return l.note(l.File.Sync()) }
func (l *logFile) SyncData() error { return l.note(l.File.SyncData()) }

func (l *logFile) SyncTo(length int64) (bool, error) {
	full, err := l.File.SyncTo(length)
	return full, l.note(err)
}

func (l *logFile) Stat() (vfs.FileInfo, error) {
	info, err := l.File.Stat()
	l.fs.stop("stat "+l.name, err)
	return info, err
}

func (l *logFile) Close() error {
	err := l.note(l.File.Close())
	if failed := l.failed.Load(); failed != nil {
		l.fs.stop("close "+l.name, *failed)
	}
	return err
}
