package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// place is an event in the global order: where it stands, and which one it is (C4). Zero is before the first.
// EventStoreDB has two positions for an event, which are equal unless it was written in a transaction of its old TCP protocol.
type place struct {
	Position uint64 `json:"position,string"`
	EventID  string `json:"event_id"`
}

func placeOf(e *esdb.RecordedEvent) place {
	return place{Position: e.Position.Commit, EventID: e.EventID.String()}
}

func (p place) known() bool { return p.EventID != "" }

func (p place) esdb() esdb.Position { return esdb.Position{Commit: p.Position, Prepare: p.Position} }

// readPlace reads a checkpoint; a file that does not exist is the place before the first event.
func readPlace(name string) (place, error) {
	b, err := os.ReadFile(name) //nolint:gosec // the file that the flag names
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, nil
	}
	var p place
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err == nil && !p.known() {
		err = errors.New("it names no event")
	}
	if err != nil {
		return place{}, fmt.Errorf("%w: checkpoint %s: %w; to copy everything again, remove it and the output", errRecord, name, err)
	}
	return p, nil
}

// writePlace replaces a checkpoint: after a crash at any moment the file holds the old or the
// new one, whole.
func writePlace(name string, p place) error {
	b, err := json.Marshal(p)
	if err == nil {
		err = replaceFile(name, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("%w: checkpoint %s: %w", errRecord, name, err)
	}
	return nil
}

func replaceFile(name string, content []byte) error {
	f, err := os.Create(name + ".new") //nolint:gosec // beside the file that the flag names
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close()) // else a power loss may undo the rename
}
