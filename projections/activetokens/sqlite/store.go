package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// Config says where the read model is. Path is required; a zero value elsewhere is the default.
type Config struct {
	// Path of the file. It is made when it is missing; its directory must exist.
	Path string
	// CacheBytes is the page cache of the writer (S5). Default 64 MiB.
	CacheBytes int
	// Readers is the number of connections that read at the same time. Default 4.
	Readers int
}

// Store is the read model. Its methods may be called from any number of goroutines.
type Store struct {
	path    string
	writer  *sql.DB
	readers *sql.DB
	write   statements
	epoch   int64 // of the last Acquire through this Store; -1 before
	reducer activetokens.Reducer
	buffer  arguments
}

var _ activetokens.ReadModel = (*Store)(nil)

// Open opens the file, or makes it. It starts no goroutine of its own. The errors are
// projections.ErrVersion and projections.ErrCorrupt, besides those of the file system.
func Open(ctx context.Context, c Config) (*Store, error) {
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
	// SQLite would make the file readable by everybody (S6); it copies the mode to its WAL.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	s := &Store{path: path, epoch: -1}
	if err := s.open(ctx, c); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, c Config) error {
	// A WAL of 64 MiB before it is copied back: a page changed by many batches is copied once.
	const checkpointPages = 16384
	const walBytes = checkpointPages * 4096
	empty, err := s.check(ctx)
	if err != nil {
		return err
	}
	if s.writer, err = connect(s.path, 1, "immediate",
		"journal_mode(wal)", "synchronous(normal)",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages),
		fmt.Sprintf("journal_size_limit(%d)", walBytes),
		cacheSize(c.CacheBytes)); err != nil {
		return s.mapError(err)
	}
	if s.readers, err = connect(s.path, c.Readers, "deferred", "query_only(1)", cacheSize(c.CacheBytes/8)); err != nil {
		return s.mapError(err)
	}
	if empty {
		if err := s.create(ctx); err != nil {
			return err
		}
	}
	return s.mapError(s.write.prepare(ctx, s.writer))
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
	var errs []error
	for _, db := range [...]*sql.DB{s.readers, s.writer} { // the last one out merges the WAL
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return s.mapError(errors.Join(errs...))
}
