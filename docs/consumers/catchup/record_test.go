package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

func eventAt(position uint64, data string) *esdb.RecordedEvent {
	id := uuid.UUID{15: byte(position)}
	return &esdb.RecordedEvent{
		EventID: id, EventType: "T", StreamID: "s", Position: esdb.Position{Commit: position, Prepare: position}, Data: []byte(data),
	}
}

func idAt(position uint64) string { return eventAt(position, "").EventID.String() }

// files writes an output and a checkpoint as a crash may have left them.
func files(t *testing.T, out string, checkpoint *place) (outName, checkpointName string) {
	t.Helper()
	outName, checkpointName = filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(outName, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if checkpoint != nil {
		if err := writePlace(checkpointName, *checkpoint); err != nil {
			t.Fatal(err)
		}
	}
	return outName, checkpointName
}

func TestARecordGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	line := func(position uint64) string {
		return `{"position":"` + string('0'+rune(position)) + `","id":"` + idAt(position) + `"}` + "\n"
	}
	long := strings.Replace(line(3), `"id"`, `"data":"`+strings.Repeat("x", 300_000)+`","id"`, 1)
	tests := []struct {
		name       string
		out        string
		checkpoint uint64
		want       uint64
		kept       string
	}{
		{"nothing yet", "", 0, 0, ""},
		{"half a line and nothing else", `{"posi`, 0, 0, ""},
		{"half a line behind a whole one", line(1) + `{"posi`, 0, 1, line(1)},
		{"all saved", line(1) + line(2), 2, 2, line(1) + line(2)},
		{"the checkpoint was not written any more", line(1) + line(2), 1, 2, line(1) + line(2)},
		{"the output was shipped and cut", "", 2, 2, ""},
		{"the output was shipped and cut but for its end", line(1), 2, 2, line(1)},
		{"a line longer than what is read at first", line(1) + long, 1, 3, line(1) + long},
		{"only such a line", long, 0, 3, long},
		{"half of such a line", line(1) + long[:200_000], 0, 1, line(1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var at *place
			if tt.checkpoint > 0 {
				at = &place{tt.checkpoint, idAt(tt.checkpoint)}
			}
			out, checkpoint := files(t, tt.out, at)
			r, err := openRecord(out, checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			if r.last.Position != tt.want || tt.want > 0 && r.last.EventID != idAt(tt.want) {
				t.Errorf("goes on behind %+v, not %d", r.last, tt.want)
			}
			for _, position := range []uint64{1, 2, 3, 4} { // a server that begins too early
				if err := r.write(eventAt(position, "{}")); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.save(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(out)
			if err != nil || !strings.HasPrefix(string(b), tt.kept) {
				t.Fatalf("%v: what was there is gone", err)
			}
			if added := strings.Count(string(b[len(tt.kept):]), "\n"); added != 4-int(tt.want) {
				t.Errorf("added %d lines, not %d", added, 4-tt.want)
			}
			if saved, err := readPlace(checkpoint); err != nil || saved != (place{4, idAt(4)}) {
				t.Errorf("saved %+v: %v", saved, err)
			}
		})
	}
}

func TestAFullDiskMovesNoCheckpoint(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Log("no /dev/full: nothing is tried")
		return
	}
	_, checkpoint := files(t, "", nil)
	r, err := openRecord("/dev/full", checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.write(eventAt(1, "{}")); err != nil {
		t.Fatal(err)
	}
	if err := r.save(); !errors.Is(err, errRecord) {
		t.Errorf("saved on a full disk: %v", err)
	}
	if saved, err := readPlace(checkpoint); err != nil || saved.known() {
		t.Errorf("the checkpoint is %+v: %v", saved, err)
	}
}

func TestARecordThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string][2]string{
		"another program's output": {"hello\n", ""},
		"an empty checkpoint":      {"", " "},
		"a checkpoint of nothing":  {"", "{}"},
		"half a checkpoint":        {"", `{"position":"1`},
	} {
		out, checkpoint := files(t, broken[0], nil)
		if broken[1] != "" {
			if err := os.WriteFile(checkpoint, []byte(broken[1]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := openRecord(out, checkpoint); !errors.Is(err, errRecord) || canRetry(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDataThatIsNoJSONIsKept(t *testing.T) {
	t.Parallel()
	out, checkpoint := files(t, "", nil)
	r, err := openRecord(out, checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for i, data := range []string{"\xff\x00", "{\n\"a\": \"<&>\"\n}", ""} {
		if err := r.write(eventAt(uint64(i+1), data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(string(b), "\n"); len(got) != 4 || !strings.Contains(got[0], `"data_base64":"/wA="`) || !strings.Contains(got[1], `"data":{"a":"<&>"}`) {
		t.Errorf("wrote %s", b)
	}
}
