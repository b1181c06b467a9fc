package main_test

import (
	"go/ast"
	"os"
	"slices"
	"strings"
	"testing"
)

// Beside these there are only docs and names that begin with a dot: whoever opens the
// repository sees the rooms at once.
var topLevel = []string{
	"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "docker-compose.yml", "go.mod", "go.sum",
	"aggregates", "cmd", "commands", "docs", "eventstore", "projections",
}

// ignored is what a build or a run leaves at the top; .gitignore names the same.
var ignored = []string{"data", "logoutd"}

func TestTheTopLevelHoldsTheRoomsAndNothingElse(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	rooms := 0
	for _, e := range entries {
		name := e.Name()
		left := slices.Contains(ignored, name) || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")
		switch {
		case slices.Contains(topLevel, name):
			rooms++
		case !strings.HasPrefix(name, ".") && !left:
			t.Errorf("%s does not belong at the top level", name)
		}
	}
	if rooms == 0 {
		t.Error("found no room at all")
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range production(tree(t)) {
		name := s.file.Name.Name
		says := s.file.Doc != nil && (name == "main" || strings.HasPrefix(s.file.Doc.Text(), "Package "+name+" "))
		documented[s.dir] = documented[s.dir] || says
	}
	for pkg, is := range documented {
		if !is {
			t.Errorf("package %s has no doc comment next to a package clause", pkg)
		}
	}
}

// A file that tells one story is short. These are the limits, not the aim; the longest
// function is the parts list of the composition root.
const (
	maxFileLines     = 400
	maxFunctionLines = 120
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	t.Parallel()
	functions := 0
	for _, s := range tree(t) {
		if lines := s.fset.Position(s.file.FileEnd).Line; lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d", s.path, lines, maxFileLines)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			functions++
			if lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line; lines > maxFunctionLines && !s.test {
				t.Errorf("%s: %s has %d lines, at most %d", s.at(f), f.Name.Name, lines, maxFunctionLines)
			}
		}
	}
	if functions == 0 {
		t.Error("found no function at all")
	}
}
