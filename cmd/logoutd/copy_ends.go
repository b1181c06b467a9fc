package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

// end is a store at one end of a copy.
type end struct {
	eventstore.Store
	io.Closer
}

// openEnds opens both ends of a copy. Neither is made when it is only to be read.
func openEnds(from, to string, readOnly bool) (source, target *end, err error) {
	if err := checkEnds(from, to); err != nil {
		return nil, nil, usageError{err}
	}
	if source, err = openEnd(from, true); err != nil {
		return nil, nil, fmt.Errorf("--from: %w", err)
	}
	if target, err = openEnd(to, readOnly); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("--to: %w", err), source.Close())
	}
	return source, target, nil
}

func checkEnds(from, to string) error {
	switch {
	case from == "" || to == "":
		return errors.New("--from and --to: name a store each")
	case sameFolder(folderOf(from), folderOf(to)):
		return errors.New("--from and --to name the same store")
	}
	for _, spec := range []string{from, to} {
		if strings.Contains(spec, "://") {
			scheme, _, _ := strings.Cut(spec, "://") // the rest may hold a password
			return fmt.Errorf("%s://…: this version copies data folders only", scheme)
		}
	}
	return nil
}

func folderOf(spec string) string { return strings.TrimPrefix(spec, "embedded:") }

func sameFolder(a, b string) bool {
	if x, err := os.Stat(a); err == nil {
		if y, err := os.Stat(b); err == nil {
			return os.SameFile(x, y)
		}
	}
	return filepath.Clean(a) == filepath.Clean(b)
}

// openEnd opens the store that a spec names. One that must exist is not made.
func openEnd(spec string, mustExist bool) (*end, error) {
	data := config.Serve{Data: folderOf(spec)}
	files, err := os.ReadDir(data.StoreFolder())
	switch {
	case mustExist && (errors.Is(err, os.ErrNotExist) || err == nil && len(files) == 0):
		return nil, fmt.Errorf("there is no event store in %s; name the folder that --data of serve names", data.StoreFolder())
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(data.Data, 0o700); err != nil {
		return nil, err
	}
	s, err := embedded.Open(embedded.Config{Dir: data.StoreFolder(), CacheBytes: 64 << 20})
	if err != nil {
		return nil, err
	}
	return &end{s, s}, nil
}
