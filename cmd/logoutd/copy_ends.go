package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
)

// openEnds opens both ends of a copy. Neither is made when it is only to be read.
func openEnds(from, to string, readOnly bool) (source, target *store, err error) {
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
	case from == to, !config.IsServer(from) && !config.IsServer(to) && sameFolder(folderOf(from), folderOf(to)):
		return errors.New("--from and --to name the same store")
	}
	for _, spec := range []string{from, to} {
		// What is behind the scheme may hold a password.
		if scheme, _, is := strings.Cut(spec, "://"); is && !config.IsServer(spec) {
			return fmt.Errorf("%s://…: want a data folder, esdb://HOST:PORT or esdb+discover://HOST:PORT", scheme)
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

// openEnd opens the store that a spec names. A folder that must exist is not made; a server need not be there yet.
func openEnd(spec string, mustExist bool) (*store, error) {
	quiet := zerolog.Nop() // the copy says itself when it waits
	if config.IsServer(spec) {
		return openStore(place{spec: spec}, quiet)
	}
	data := config.Serve{Store: config.Embedded, Data: folderOf(spec), CacheMiB: 64}
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
	return openStore(placeOf(&data), quiet)
}
