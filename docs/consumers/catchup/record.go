package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// errRecord: the files of the consumer cannot be used. Waiting does not mend them.
var errRecord = errors.New("cannot keep the record")

// line is an event as the output shows it. A position is a string, because scripts round large numbers.
type line struct {
	Position   uint64          `json:"position,string"`
	Stream     string          `json:"stream"`
	Revision   uint64          `json:"revision"`
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	RecordedAt string          `json:"recorded_at"`
	Data       json.RawMessage `json:"data,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	DataBytes  []byte          `json:"data_base64,omitempty"` // instead of data, where that is no JSON
	MetaBytes  []byte          `json:"metadata_base64,omitempty"`
}

// record is the output with the checkpoint that belongs to it.
type record struct {
	out        *os.File
	buffer     *bufio.Writer
	encode     *json.Encoder
	syncs      bool   // out is a file
	checkpoint string // "" is none
	last       place  // of the newest event written
	unsaved    int    // events written since the last save
}

// openRecord finds where to go on: behind the checkpoint, or behind the last whole line of the output when
// that is further (a crash came between the two). The output may be shorter than the
// checkpoint, or empty: whoever ships its lines elsewhere may cut it.
func openRecord(out, checkpoint string) (*record, error) {
	r := &record{out: os.Stdout, checkpoint: checkpoint}
	var err error
	if checkpoint != "" {
		if r.last, err = readPlace(checkpoint); err != nil {
			return nil, err
		}
	}
	if out != "-" {
		r.syncs = true
		if r.out, err = os.OpenFile(out, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return nil, fmt.Errorf("%w: %w", errRecord, err)
		}
		written, err := r.cutTornLine()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %s: %w", errRecord, out, err), r.out.Close())
		}
		if written.Position > r.last.Position {
			r.last = written
		}
	}
	r.buffer = bufio.NewWriterSize(r.out, 1<<16)
	r.encode = json.NewEncoder(r.buffer)
	r.encode.SetEscapeHTML(false)
	return r, nil
}

// cutTornLine drops what a crash left behind the last line break, and answers the place of the last whole line.
func (r *record) cutTornLine() (place, error) {
	size, err := r.out.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return place{}, err
	}
	// An event is at most 16 MiB; read the end of the file until a whole line stands in it.
	var tail []byte
	for window := int64(1 << 16); ; window *= 2 {
		window = min(window, size)
		tail = make([]byte, window)
		if _, err := r.out.ReadAt(tail, size-window); err != nil {
			return place{}, err
		}
		end := bytes.LastIndexByte(tail, '\n')
		if end >= 0 && (bytes.LastIndexByte(tail[:end], '\n') >= 0 || window == size) || window == size {
			break
		}
	}
	end := bytes.LastIndexByte(tail, '\n')
	if err := r.out.Truncate(size - int64(len(tail)-end-1)); err != nil || end < 0 {
		return place{}, err
	}
	var l line
	if err := json.Unmarshal(tail[bytes.LastIndexByte(tail[:end], '\n')+1:end], &l); err != nil {
		return place{}, fmt.Errorf("its last line is none of this program: %w", err)
	}
	return place{Position: l.Position, EventID: l.ID}, nil
}

// write appends one event. An event that is there already, because a server repeated it, is stepped over (C2).
func (r *record) write(e *esdb.RecordedEvent) error {
	at := placeOf(e)
	if r.last.known() && at.Position <= r.last.Position {
		return nil
	}
	l := line{
		Position: at.Position, Stream: e.StreamID, Revision: e.EventNumber, Type: e.EventType, ID: at.EventID,
		RecordedAt: e.CreatedDate.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"),
	}
	l.Data, l.DataBytes = embed(e.Data)
	l.Metadata, l.MetaBytes = embed(e.UserMetadata)
	if err := r.encode.Encode(l); err != nil { // also compacts the JSON, so that the line stays one
		return fmt.Errorf("%w: position %d: %w", errRecord, at.Position, err)
	}
	r.last = at
	r.unsaved++
	return nil
}

// embed tells JSON from other bytes.
func embed(b []byte) (asJSON json.RawMessage, asBytes []byte) {
	if len(b) > 0 && json.Valid(b) {
		return b, nil
	}
	return nil, b
}

// save makes everything written durable, and then the checkpoint: the other order would lose events (C1).
func (r *record) save() error {
	if r.unsaved == 0 {
		return nil
	}
	if err := r.buffer.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.syncs {
		if err := r.out.Sync(); err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	if r.checkpoint != "" {
		if err := writePlace(r.checkpoint, r.last); err != nil {
			return err
		}
	}
	r.unsaved = 0
	return nil
}

func (r *record) close() {
	if r.syncs {
		r.out.Close() //nolint:errcheck // what counts was synced
	}
}
