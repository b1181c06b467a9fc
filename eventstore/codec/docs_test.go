package codec_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/events.md is what audit consumers program against, so it is held against the
// golden files: every event, every field, and each example to the byte.

const eventsDocument = "../../docs/events.md"

// chapters splits the document at its second-level headings.
func chapters(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(eventsDocument)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, chapter := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(chapter, "\n")
		all[title] = body
	}
	if len(all) == 0 {
		t.Fatalf("%s has no chapter", eventsDocument)
	}
	return all
}

// row is a line of a table of fields: | `name` | type | meaning |.
var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|") // compiled once

func documented(chapter string) []string {
	var names []string
	for _, match := range row.FindAllStringSubmatch(chapter, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return names
}

// flat names the fields of objects within objects as outer.inner.
func flat(t *testing.T, into map[string]bool, prefix string, object []byte) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range all {
		if value[0] == '{' {
			flat(t, into, prefix+name+".", value)
			continue
		}
		into[prefix+name] = true
	}
}

func TestEventsDocumentNamesEveryField(t *testing.T) {
	t.Parallel()
	fields := map[string]map[string]bool{"Metadata": {}}
	all := goldens(t)
	maps.Copy(all, goldensIn(t, keyGoldens))
	for _, g := range all {
		if fields[g.Type] == nil {
			fields[g.Type] = map[string]bool{}
		}
		flat(t, fields[g.Type], "", g.Data)
		flat(t, fields["Metadata"], "", g.Metadata)
	}
	chapters := chapters(t)
	for title, want := range fields {
		if got := documented(chapters[title]); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s, chapter %q: fields %v, stored are %v", eventsDocument, title, got, slices.Sorted(maps.Keys(want)))
		}
	}
}

func TestEventsDocumentShowsTheGoldenFiles(t *testing.T) {
	t.Parallel()
	chapters := chapters(t)
	all := goldens(t)
	maps.Copy(all, goldensIn(t, keyGoldens))
	for name, g := range all {
		if name != g.Type+".v1" { // the full form, which is the one to show
			continue
		}
		var example bytes.Buffer
		if err := json.Indent(&example, g.Data, "", "  "); err != nil {
			t.Fatal(err)
		}
		if want := "```json\n" + example.String() + "\n```"; !strings.Contains(chapters[g.Type], want) {
			t.Errorf("%s, chapter %q has not the example\n%s", eventsDocument, g.Type, want)
		}
	}
}
