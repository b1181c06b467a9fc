package main_test

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers says which packages of this module each package may import: the arrows of the house.
// A name that ends in /... stands for all below it, too. Adding a package is adding a line.
// A package whose name ends in "test" is on the list of no other kind, so it cannot reach the binary.
var layers = map[string][]string{
	"aggregates/keyring":      nil,
	"aggregates/refreshtoken": nil,

	"eventstore":                nil,
	"eventstore/claims":         {"eventstore"},
	"eventstore/codec":          {"aggregates/...", "eventstore"},
	"eventstore/embedded":       {"eventstore"},
	"eventstore/esdbapi":        {"eventstore", "eventstore/esdbapi/groups"},
	"eventstore/esdb":           {"eventstore"},
	"eventstore/esdbapi/groups": {"eventstore"},
	"eventstore/eventstoretest": {"eventstore"},
	"eventstore/transfer":       {"eventstore"},

	"commands":                    {"aggregates/...", "eventstore", "eventstore/codec", "commands/credential"},
	"commands/credential":         {"aggregates/...", "eventstore", "eventstore/codec"},
	"commands/natsapi":            {"aggregates/...", "eventstore", "eventstore/codec", "commands", "commands/credential"},
	"commands/natsapi/natsserver": nil,

	"projections":                                    {"aggregates/...", "eventstore", "eventstore/codec"},
	"projections/activetokens":                       {"aggregates/...", "eventstore", "eventstore/codec", "projections"},
	"projections/activetokens/activetokenstest":      {"aggregates/...", "eventstore", "eventstore/codec", "projections", "projections/activetokens", "projections/internal/memstoretest"},
	"projections/activetokens/postgres":              {"aggregates/...", "eventstore", "projections", "projections/activetokens"},
	"projections/activetokens/postgres/postgrestest": nil,
	"projections/activetokens/sqlite":                {"aggregates/...", "eventstore", "projections", "projections/activetokens"},
	"projections/httpapi":                            {"aggregates/...", "eventstore", "eventstore/codec", "projections", "projections/activetokens"},
	"projections/internal/memstoretest":              {"aggregates/...", "eventstore", "eventstore/codec"},

	// Consumers are copied out of here: they know nothing of this module.
	"docs/consumers/catchup": nil,
	"docs/consumers/group":   nil,

	"cmd/logoutd":                  everything,
	"cmd/logoutd/internal/bench":   everything,
	"cmd/logoutd/internal/config":  everything,
	"cmd/logoutd/internal/profile": everything,
}

// everything is what the composition root alone may know.
var everything = []string{"aggregates/...", "commands/...", "eventstore/...", "projections/...", "cmd/logoutd/..."}

// standard lists the whole of the standard library that the aggregates may use: nothing that
// reads a clock, a random number or the world outside.
var standard = map[string][]string{
	"aggregates": {"cmp", "encoding/hex", "errors", "fmt", "maps", "slices", "strings", "time", "unicode/utf8"},
}

// sdks says which packages may know a module from elsewhere, so that no type of an SDK
// leaves its adapter. A module that is not listed is a decision nobody took yet.
var sdks = map[string][]string{
	"github.com/EventStore/EventStore-Client-Go/v4": {"eventstore/esdb", "eventstore/esdbapi", "docs/consumers/..."},
	"github.com/VictoriaMetrics/fastcache":          {"eventstore/embedded"},
	"github.com/cockroachdb/pebble/v2":              {"eventstore/embedded"},
	"github.com/go-json-experiment/json":            {"eventstore/codec", "commands/natsapi"},
	"github.com/google/uuid":                        {"commands", "commands/natsapi", "cmd/..."},
	"github.com/jackc/pgx/v5":                       {"projections/activetokens/postgres"},
	"github.com/mattn/go-isatty":                    {"cmd/..."},
	"github.com/nats-io/nats-server/v2":             {"commands/natsapi/natsserver"},
	"github.com/nats-io/nats.go":                    {"commands/natsapi", "cmd/..."},
	"github.com/rs/zerolog":                         {"commands/natsapi", "eventstore/esdbapi", "projections", "cmd/..."},
	"github.com/spf13/cobra":                        {"cmd/..."},
	"github.com/spf13/pflag":                        {"cmd/..."},
	"golang.org/x/crypto":                           {"commands/credential", "eventstore/esdbapi"},
	"golang.org/x/sync":                             {"cmd/..."},
	"golang.org/x/sys":                              {"commands/natsapi"}, // a clock finer than the runtime's
	"google.golang.org/genproto":                    {"eventstore/esdbapi"},
	"google.golang.org/grpc":                        {"eventstore/esdb", "eventstore/esdbapi", "docs/consumers/..."},
	"google.golang.org/protobuf":                    {"eventstore/esdbapi"},
	"modernc.org/sqlite":                            {"projections/activetokens/sqlite"},
	"pgregory.net/rapid":                            {"eventstore/eventstoretest", "projections/activetokens/activetokenstest"},
}

func TestImportsFollowTheLayers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	own := 0
	for _, s := range production(tree(t)) {
		may, listed := layers[s.dir]
		if !listed && !seen[s.dir] {
			t.Errorf("%s: package %s is not in the layer table of imports_test.go", s.path, s.dir)
		}
		seen[s.dir] = true
		for name, spec := range s.imports() {
			pkg, found := strings.CutPrefix(name, module)
			if !found {
				continue
			}
			own++
			if listed && !covers(may, pkg) {
				t.Errorf("%s: %s imports %s; it may import %v", s.at(spec), s.dir, pkg, may)
			}
			if strings.HasSuffix(pkg, "test") && !strings.HasSuffix(s.dir, "test") {
				t.Errorf("%s: %s imports %s, which is for tests", s.at(spec), s.dir, pkg)
			}
		}
	}
	for pkg := range layers {
		if !seen[pkg] {
			t.Errorf("imports_test.go: the layer table lists %s, which does not exist", pkg)
		}
	}
	if own == 0 {
		t.Error("no package imports another of this module: nothing was checked")
	}
}

func TestAggregatesImportAHandfulOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for room, allowed := range standard {
		imports := 0
		for _, s := range production(tree(t)) {
			if s.dir != room && !strings.HasPrefix(s.dir, room+"/") {
				continue
			}
			for name, spec := range s.imports() {
				imports++
				if !strings.HasPrefix(name, module) && !slices.Contains(allowed, name) {
					t.Errorf("%s: %s may import %v of the standard library, not %s", s.at(spec), s.dir, allowed, name)
				}
			}
		}
		if imports == 0 {
			t.Errorf("%s imports nothing: nothing was checked", room)
		}
	}
}

func TestEverySDKStaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range production(tree(t)) {
		for name, spec := range s.imports() {
			if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") || strings.HasPrefix(name, module) {
				continue
			}
			sdk := longest(name)
			switch {
			case sdk == "":
				t.Errorf("%s: %s is of a module that the table of imports_test.go does not list", s.at(spec), name)
			case !covers(sdks[sdk], s.dir):
				t.Errorf("%s: %s is for %v, not for %s", s.at(spec), sdk, sdks[sdk], s.dir)
			}
			used[sdk] = true
		}
	}
	for sdk := range sdks {
		if !used[sdk] {
			t.Errorf("imports_test.go: the table lists %s, which nothing imports", sdk)
		}
	}
}

// longest is the listed module that a package belongs to, or "".
func longest(name string) string {
	best := ""
	for _, sdk := range slices.SortedFunc(maps.Keys(sdks), func(a, b string) int { return cmp.Compare(len(a), len(b)) }) {
		if name == sdk || strings.HasPrefix(name, sdk+"/") {
			best = sdk
		}
	}
	return best
}

// covers reports whether a list names a package. A pattern never covers packages for tests.
func covers(list []string, pkg string) bool {
	for _, p := range list {
		below, deep := strings.CutSuffix(p, "/...")
		if pkg == below || deep && strings.HasPrefix(pkg, below+"/") && !strings.HasSuffix(path.Base(pkg), "test") {
			return true
		}
	}
	return false
}

func TestCovers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		list []string
		pkg  string
		want bool
	}{
		{[]string{"eventstore"}, "eventstore", true},
		{[]string{"eventstore"}, "eventstore/codec", false},
		{[]string{"eventstore/..."}, "eventstore", true},
		{[]string{"eventstore/..."}, "eventstore/codec", true},
		{[]string{"eventstore/..."}, "eventstorex", false},
		{[]string{"eventstore/..."}, "eventstore/eventstoretest", false},
		{nil, "eventstore", false},
	}
	for _, tt := range tests {
		if got := covers(tt.list, tt.pkg); got != tt.want {
			t.Errorf("%v covers %s: %v, want %v", tt.list, tt.pkg, got, tt.want)
		}
	}
}
