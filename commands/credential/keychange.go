package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/logoutd/logoutd/aggregates/keyring"
)

// disk is what makes a write durable. It is a parameter so that a test can see what a power loss leaves.
type disk struct {
	syncFile   func(*os.File) error
	syncFolder func(folder string) error
}

func realDisk() disk {
	return disk{syncFile: (*os.File).Sync, syncFolder: func(folder string) error {
		dir, err := os.Open(folder) //nolint:gosec // the operator names the folder
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	}}
}

// OpenOrCreateKeyFile is OpenKeyFile, but makes a file with one active key where there is none.
// created tells which it was; of processes that start together it is true for one.
func OpenOrCreateKeyFile(path string, now time.Time) (ring *Ring, created bool, err error) {
	return openOrCreate(realDisk(), path, now)
}

func openOrCreate(d disk, path string, now time.Time) (ring *Ring, created bool, err error) {
	ring, err = OpenKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, false, err
	}
	first := []key{{id: keyID(now), status: keyring.Active, secret: randomKey()}}
	// A link and no rename: of two processes that start together one makes the file, both read it.
	err = write(d, path, formatKeys(first), os.Link)
	if created = err == nil; err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, fmt.Errorf("key file %s: %w", path, err)
	}
	ring, err = OpenKeyFile(path)
	return ring, created, err
}

// AddKey adds a key that is next, and returns its id.
func AddKey(path string, now time.Time) (id string, err error) {
	err = change(realDisk(), path, func(keys []key) ([]key, error) {
		id = keyID(now)
		return append(keys, key{id: id, status: keyring.Next, secret: randomKey()}), nil
	})
	return id, err
}

// PromoteKey makes a key that is next the active one; the key that was active is retired. "" stands
// for the only key that is next. It returns the id of the key.
func PromoteKey(path, id string) (string, error) {
	err := change(realDisk(), path, func(keys []key) ([]key, error) {
		if id == "" {
			var next []string
			for _, k := range keys {
				if k.status == keyring.Next {
					next = append(next, k.id)
				}
			}
			if len(next) != 1 {
				return nil, fmt.Errorf("%d keys are next: name the one to promote, or add one with: logoutd keys add", len(next))
			}
			id = next[0]
		}
		for i, k := range keys {
			if k.status == keyring.Active {
				keys[i].status = keyring.Retired
			}
		}
		return keys, setStatus(keys, id, keyring.Next, keyring.Active)
	})
	return id, err
}

// RetireKey gives up a key that is next and shall never be active. It goes on verifying (K9).
func RetireKey(path, id string) error {
	return change(realDisk(), path, func(keys []key) ([]key, error) {
		return keys, setStatus(keys, id, keyring.Next, keyring.Retired)
	})
}

func setStatus(keys []key, id string, from, to keyring.Status) error {
	i := slices.IndexFunc(keys, func(k key) bool { return k.id == id })
	switch {
	case i < 0:
		return fmt.Errorf("no key %q; see: logoutd keys list", id)
	case keys[i].status != from:
		return fmt.Errorf("key %s is %s: only a key that is %s can become %s", id, keys[i].status, from, to)
	}
	keys[i].status = to
	return nil
}

// change rewrites a key file. The file that was there stays until the new one is whole and on disk.
func change(d disk, path string, decide func([]key) ([]key, error)) (err error) {
	// Of a link, the file that it leads to is changed, and others who share it see the change.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	ring, err := OpenKeyFile(path)
	if err != nil {
		return err
	}
	keys, err := decide(slices.Clone(ring.keys))
	if err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	replace := func(from, to string) error {
		if err := keepOwner(from, to); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	if err := write(d, path, formatKeys(keys), replace); err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	return nil
}

// write makes a file beside the target, syncs it, puts it in its place, and syncs the folder: after a
// power loss there is the one file or the other, whole.
func write(d disk, path string, content []byte, place func(from, to string) error) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is in its place, or of no use
	_, err = f.Write(content)
	if err = errors.Join(err, d.syncFile(f), f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	return d.syncFolder(folder)
}

// keyID names a new key by the second in which it is made and four random digits, for another host may
// make one in the same second.
func keyID(now time.Time) string {
	return fmt.Sprintf("%s-%x", now.UTC().Format("20060102T150405Z"), randomKey()[:2])
}
