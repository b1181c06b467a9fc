package credential

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/keyring"
)

// forgetful is a disk of which a power loss leaves only what was synced. The model: a file has the
// content that it had when it was synced, and a name lasts once its folder was.
type forgetful struct {
	content map[uint64]string // by inode
	names   map[string]uint64 // of the folder, as it was synced
	broken  error
}

func (f *forgetful) disk() disk {
	return disk{
		syncFile: func(file *os.File) error {
			text, err := os.ReadFile(file.Name())
			if err == nil {
				f.content[inode(file.Name())] = string(text)
			}
			return errors.Join(err, f.broken)
		},
		syncFolder: func(folder string) error {
			entries, err := os.ReadDir(folder)
			f.names = map[string]uint64{}
			for _, e := range entries {
				f.names[e.Name()] = inode(filepath.Join(folder, e.Name()))
			}
			return errors.Join(err, f.broken)
		},
	}
}

func inode(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino //nolint:forcetypeassert // where the test runs
}

// left is what a power loss leaves of a file.
func (f *forgetful) left(name string) string { return f.content[f.names[name]] }

func TestAKeyFileSurvivesAPowerLoss(t *testing.T) {
	t.Parallel()
	f := &forgetful{content: map[uint64]string{}}
	path := filepath.Join(t.TempDir(), "keys")
	ring, created, err := openOrCreate(f.disk(), path, time.Now())
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if !strings.Contains(f.left("keys"), ring.ActiveID()) {
		t.Error("the first key is gone after a power loss, beside the events that it signed")
	}
	err = change(f.disk(), path, func(keys []key) ([]key, error) {
		return append(keys, key{id: "second", status: keyring.Next, secret: randomKey()}), nil
	})
	if err != nil || !strings.Contains(f.left("keys"), "second") || !strings.Contains(f.left("keys"), ring.ActiveID()) {
		t.Errorf("a key is gone after a power loss: %v", err)
	}
}

func TestADiskThatFailsLeavesTheKeyFileAsItWas(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE} {
		f := &forgetful{content: map[uint64]string{}, broken: fault}
		folder := t.TempDir()
		path := filepath.Join(folder, "keys")
		if _, created, err := openOrCreate(f.disk(), path, time.Now()); !errors.Is(err, fault) || created {
			t.Errorf("created %t: %v", created, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%v: a file that may be gone after a power loss was put in place", fault)
		}
		if _, _, err := OpenOrCreateKeyFile(path, time.Now()); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		err = change(f.disk(), path, func(keys []key) ([]key, error) { return append(keys, keys[0]), nil })
		if !errors.Is(err, fault) || !strings.Contains(err.Error(), path) {
			t.Errorf("changed: %v", err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%v: the file was changed: %v", fault, err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
			t.Errorf("%v: left beside the file: %v %v", fault, left, err)
		}
	}
}
