package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// Config says where the read model is. Path is required; a zero value elsewhere is the default.
type Config struct {
	// Path of the file. It is made when it is missing; its folder must exist.
	Path string
	// CacheBytes is the page cache of the writer (S5). Default 64 MiB.
	CacheBytes int
	// Readers is the number of connections that read at the same time. Default 4.
	Readers int
}

// Store is the read model. Its methods may be called from any number of goroutines, but for those
// that the runner calls one after the other.
type Store struct {
	config  Config // with its defaults
	path    string
	epoch   int64 // of the last Acquire through this Store; -1 before
	reducer activetokens.Reducer
	buffer  arguments
	damaged atomic.Bool // as somebody found who read or wrote it

	mu   sync.RWMutex // held to read by who reads the file, to write by who opens or replaces it
	file *file        // nil while it is not open
}

// file is an open read model.
type file struct {
	writer  *sql.DB
	readers *sql.DB
	write   statements
}

var (
	_ activetokens.ReadModel = (*Store)(nil)
	_ projections.Rebuilder  = (*Store)(nil)
)

// New makes a read model of a file that Acquire opens (S7).
func New(c Config) (*Store, error) {
	if c.Path == "" || c.CacheBytes < 0 || c.Readers < 0 {
		return nil, errors.New("read model: a path is required, sizes are positive")
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if c.Readers == 0 {
		c.Readers = 4
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", c.Path, err)
	}
	return &Store{config: c, path: path, epoch: -1}, nil
}

// open opens the file, or makes it, unless it is open. The errors are projections.ErrVersion and
// projections.ErrCorrupt, besides those of the file system.
func (s *Store) open(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		return nil
	}
	s.damaged.Store(false)
	// SQLite would make the file readable by everybody (S6); it copies the mode to its WAL.
	made, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	if err := made.Close(); err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	f := &file{}
	if err := s.connectAll(ctx, f); err != nil {
		return errors.Join(err, s.mapError(f.close()))
	}
	s.file = f
	return nil
}

func (s *Store) connectAll(ctx context.Context, f *file) error {
	// A WAL of 64 MiB before it is copied back: a page changed by many batches is copied once.
	const checkpointPages = 16384
	const walBytes = checkpointPages * 4096
	empty, err := s.check(ctx)
	if err != nil {
		return err
	}
	if f.writer, err = connect(s.path, 1, "immediate",
		"journal_mode(wal)", "synchronous(normal)",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages),
		fmt.Sprintf("journal_size_limit(%d)", walBytes),
		cacheSize(s.config.CacheBytes)); err != nil {
		return s.mapError(err)
	}
	if f.readers, err = connect(s.path, s.config.Readers, "deferred", "query_only(1)", cacheSize(s.config.CacheBytes/8)); err != nil {
		return s.mapError(err)
	}
	if empty {
		if err := s.create(ctx, f.writer); err != nil {
			return err
		}
	}
	return s.mapError(f.write.prepare(ctx, f.writer))
}

// close writes the WAL back and lets go of the file.
func (f *file) close() error {
	var errs []error
	for _, db := range [...]*sql.DB{f.readers, f.writer} { // the last one out merges the WAL
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

func cacheSize(bytes int) string { return fmt.Sprintf("cache_size(%d)", -max(1, bytes/1024)) }

// connect makes a pool whose connections stay open, with what was prepared on them.
func connect(path string, size int, lock string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_txlock": {lock}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	// As a URI, so that a path with a question mark in it is still that path.
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err //nolint:wrapcheck // mapError does
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// Describe names the read model and its file.
func (s *Store) Describe() projections.Description {
	return projections.Description{Name: activetokens.Name, Version: activetokens.Version, Location: s.path}
}

// Close writes the WAL back and lets go of the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

func (s *Store) closeLocked() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return s.mapError(f.close())
}
