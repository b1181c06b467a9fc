package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/logoutd/logoutd/eventstore"
)

// The file FORMAT says, in one line, that a folder is an event store and of which version. It is
// the first file written and the first one read, so that a folder of somebody else, or of a
// newer logoutd, is refused before anything in it changes.
const (
	formatFile    = "FORMAT"
	formatTemp    = "FORMAT.tmp"
	formatName    = "logoutd event store "
	formatVersion = 1
	lockFile      = "LOCK"
)

// checkFormat creates the marker in an empty folder and checks it in any other.
func checkFormat(fsys vfs.FS, dir string) error {
	version, err := readFormat(fsys, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := checkEmpty(fsys, dir); err != nil {
			return err
		}
		return writeFormat(fsys, dir)
	case err != nil:
		return err
	case version > formatVersion:
		return fmt.Errorf("data folder %s has format %d, this logoutd knows %d: start the newer logoutd that wrote it",
			dir, version, formatVersion)
	default:
		return checkComplete(fsys, dir)
	}
}

// checkComplete refuses a folder that has lost the files which name all others: Pebble would take it for
// a new one, and delete the rest.
func checkComplete(fsys vfs.FS, dir string) error {
	found, err := pebble.Peek(dir, fsys)
	if err != nil {
		return openError(dir, err)
	}
	if found.Exists {
		return nil
	}
	names, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("data folder %s: %w", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") {
			return fmt.Errorf("%w: data folder %s: file %s is there, but no manifest; %s", eventstore.ErrCorrupt, dir, name, restore)
		}
	}
	return nil
}

func readFormat(fsys vfs.FS, dir string) (int, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, formatFile))
	if err != nil {
		return 0, fmt.Errorf("data folder %s: %w", dir, err)
	}
	defer func() { _ = f.Close() }()
	const longest = 64 // the line is much shorter
	text, err := io.ReadAll(io.LimitReader(f, longest))
	if err != nil {
		return 0, fmt.Errorf("data folder %s: read %s: %w", dir, formatFile, err)
	}
	number, isOurs := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), formatName)
	version, err := strconv.Atoi(number)
	if !isOurs || err != nil || version < 1 {
		return 0, fmt.Errorf("%w: data folder %s: file %s holds %q instead of %q and a number; %s",
			eventstore.ErrCorrupt, dir, formatFile, text, formatName, restore)
	}
	return version, nil
}

// checkEmpty refuses a folder that holds anything but what an interrupted first start, or
// the root of a fresh file system, leaves behind.
func checkEmpty(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("data folder %s: %w", dir, err)
	}
	for _, name := range names {
		switch name {
		case lockFile, formatTemp, "lost+found":
		default:
			return fmt.Errorf("data folder %s is not empty (%s) and has no file %s: choose an empty folder, or restore the one that was here",
				dir, name, formatFile)
		}
	}
	return nil
}

// writeFormat leaves either no marker or a whole one, whenever the power goes.
func writeFormat(fsys vfs.FS, dir string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("data folder %s: write %s: %w", dir, formatFile, err)
		}
	}()
	temp := fsys.PathJoin(dir, formatTemp)
	f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, formatName+strconv.Itoa(formatVersion)+"\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := fsys.Rename(temp, fsys.PathJoin(dir, formatFile)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// createDir creates the folder and makes it, and the parents it needed, survive a power loss.
func createDir(fsys vfs.FS, dir string) error {
	const ownerOnly = 0o700
	var parents []string
	for path := dir; ; {
		if _, err := fsys.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parent := fsys.PathDir(path)
		if parent == path {
			break
		}
		parents = append(parents, parent)
		path = parent
	}
	if err := fsys.MkdirAll(dir, ownerOnly); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := syncDir(fsys, parent); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
