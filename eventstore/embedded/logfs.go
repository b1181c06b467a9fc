package embedded

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logFS stands between Pebble and the file system for the sake of the write-ahead log. An error of
// the log while it is written or synced is reported to whoever waits for the sync; but one while it is
// changed for the next makes Pebble panic with its locks in a state that ends the process with a stack
// trace. Here such a call fails the store and does not return: everybody who waits for an answer gets
// one from the store, and the process can end in order.
type logFS struct {
	vfs.FS

	// strict is set while the store is in use. Opening and closing take errors as they come.
	strict atomic.Bool
	lose   func(error)
}

// stop fails the store and keeps the calling goroutine for ever.
func (f *logFS) stop(what string, err error) {
	if err != nil && f.strict.Load() {
		f.lose(fmt.Errorf("%s: %w", what, err))
		select {}
	}
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

func (f *logFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	if !isLog(name) {
		return file, err
	}
	f.stop("create "+name, err)
	return f.wrap(name, file, err)
}

func (f *logFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldName, newName, category)
	if !isLog(newName) {
		return file, err
	}
	f.stop("reuse "+oldName+" as "+newName, err)
	return f.wrap(newName, file, err)
}

func (f *logFS) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &dirFile{File: dir, fs: f, name: name}, nil
}

// Unwrap returns the file system below.
func (f *logFS) Unwrap() vfs.FS { return f.FS }

func (f *logFS) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &logFile{File: file, fs: f, name: name}, nil
}

// dirFile is a folder: the sync that makes the name of a new log last is part of changing logs.
type dirFile struct {
	vfs.File

	fs   *logFS
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

	fs     *logFS
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

func (l *logFile) Preallocate(offset, length int64) error {
	return l.note(l.File.Preallocate(offset, length))
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
