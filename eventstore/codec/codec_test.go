package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore/codec"
)

func TestGoldenFilesMeanWhatTheyMeant(t *testing.T) { // C2, C4
	t.Parallel()
	files, want := goldens(t), meanings()
	if got, known := slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, known) {
		t.Fatalf("golden files\n%v\nmeanings known for\n%v", got, known)
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := codec.Decode(file.recorded())
			if err != nil {
				t.Fatal(err)
			}
			if got != want[name] {
				t.Errorf("decoded\n%+v\nwant\n%+v", got, want[name])
			}
		})
	}
}

func TestGoldenFilesOfTheNewestVersionEncodeToTheSameBytes(t *testing.T) { // C3
	t.Parallel()
	newest := 0
	for name, file := range goldens(t) {
		got, err := codec.Decode(file.recorded())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		encoded := codec.Encode(got.Event)
		if file.Schema != encoded.Schema {
			continue // an older version: its upcaster is checked above
		}
		newest++
		if encoded.Type != file.Type || !bytes.Equal(encoded.Data, file.Data) {
			t.Errorf("%s: encoded\n%s %s\nwant\n%s %s", name, encoded.Type, encoded.Data, file.Type, file.Data)
		}
		if again := codec.EncodeMetadata(got.Metadata); !bytes.Equal(again, file.Metadata) {
			t.Errorf("%s: metadata\n%s\nwant\n%s", name, again, file.Metadata)
		}
	}
	if newest == 0 {
		t.Error("no golden file is of the newest version of its event")
	}
}

// The sealed interface is read from its source, so that an event added there cannot be
// forgotten here.
func TestEveryEventHasAGoldenFileOfItsNewestVersion(t *testing.T) { // C2
	t.Parallel()
	covered := map[string]bool{}
	for name, file := range goldens(t) {
		got, err := codec.Decode(file.recorded())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if codec.Encode(got.Event).Schema == file.Schema {
			covered[strings.TrimPrefix(fmt.Sprintf("%T", got.Event), "refreshtoken.")] = true
		}
	}
	events := sealedEvents(t, "../../aggregates/refreshtoken")
	for _, event := range events {
		if !covered[event] {
			t.Errorf("event %s has no golden file of its newest version in testdata", event)
		}
	}
	if len(events) != len(covered) {
		t.Errorf("%d events and %d kinds in the golden files", len(events), len(covered))
	}
}

// A field that no golden file sets could be lost on the way and nobody would see it.
func TestEveryFieldIsSetInAGoldenFile(t *testing.T) { // C2
	t.Parallel()
	set := map[string]bool{}
	for _, d := range meanings() {
		visit(reflect.ValueOf(d.Metadata), "Metadata", set)
		visit(reflect.ValueOf(d.Event), reflect.TypeOf(d.Event).Name(), set)
	}
	if len(set) == 0 {
		t.Fatal("found no field")
	}
	for field, is := range set {
		if !is {
			t.Errorf("%s is zero in every golden file", field)
		}
	}
}

// visit notes of each exported field whether it is set.
func visit(v reflect.Value, path string, set map[string]bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := path + "." + field.Name
		if field.IsExported() {
			set[name] = set[name] || !v.Field(i).IsZero()
		}
		if field.Type == reflect.TypeFor[codec.Actor]() || field.Type == reflect.TypeFor[codec.Client]() {
			visit(v.Field(i), name, set)
		}
	}
}

// sealedEvents names the types that have the method event of the sealed interface.
func sealedEvents(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "event" && f.Recv != nil {
				if receiver, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
					events = append(events, receiver.Name)
				}
			}
		}
	}
	if len(events) == 0 {
		t.Fatalf("found no event in %s", dir)
	}
	return events
}

func TestTimesAreWrittenInUTC(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 2*60*60)
	e := refreshtoken.Rotated{SessionID: session, UserID: alice, ExpiresAt: time.Date(2026, 3, 1, 1, 0, 0, 0, east)}
	if data := codec.Encode(e).Data; !bytes.Contains(data, []byte(`"expires_at":"2026-02-28T23:00:00.000000000Z"`)) {
		t.Errorf("encoded %s", data)
	}
	m := minimal(codec.ActorSystem, "logoutd")
	m.OccurredAt = m.OccurredAt.In(east)
	if back, err := codec.DecodeMetadata(codec.EncodeMetadata(m)); err != nil || back.OccurredAt != m.OccurredAt.UTC() {
		t.Errorf("occurred at %v (%v), want %v", back.OccurredAt, err, m.OccurredAt.UTC())
	}
}

// Each character alone, since the encoder looks for the first that needs escaping. The
// standard library is the measure.
func TestEveryCharacterIsWrittenAsTheStandardLibraryWritesIt(t *testing.T) {
	t.Parallel()
	for r := rune(0); r < 0x3000; r++ {
		text := "a" + string(r) + "b"
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		encoded := codec.Encode(refreshtoken.Revoked{
			SessionID: session, UserID: alice, Reason: refreshtoken.ReasonLogout, RevokedBy: text,
		})
		if !bytes.HasSuffix(encoded.Data, append([]byte(`"revoked_by":`), append(want, '}')...)) {
			t.Fatalf("%q is written in %s, want %s", text, encoded.Data, want)
		}
		event, err := codec.DecodeData(encoded.Type, encoded.Schema, encoded.Data)
		if back, ok := event.(refreshtoken.Revoked); err != nil || !ok || back.RevokedBy != text {
			t.Fatalf("%q reads as %+v (%v)", text, event, err)
		}
	}
}

func TestActorTypesAreAClosedSet(t *testing.T) {
	t.Parallel()
	for _, a := range []codec.ActorType{"user", "service", "admin", "system"} {
		if !a.Valid() {
			t.Errorf("%q is no actor type", a)
		}
	}
	for _, a := range []codec.ActorType{"", "User", "root", "user "} {
		if a.Valid() {
			t.Errorf("%q is an actor type", a)
		}
	}
}
