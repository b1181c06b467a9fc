package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tests of the house read its source. They import nothing of it, so that they run in a
// second and judge a tree that does not compile, too.

const module = "github.com/logoutd/logoutd/"

// source is one Go file of the tree.
type source struct {
	path string // from the root, with slashes
	dir  string // the package, as the layer table names it
	test bool
	fset *token.FileSet
	file *ast.File
}

// at is file:line of a node, as messages begin.
func (s source) at(n ast.Node) string {
	position := s.fset.Position(n.Pos())
	return position.String()
}

// imports are the import paths of the file.
func (s source) imports() map[string]*ast.ImportSpec {
	all := make(map[string]*ast.ImportSpec, len(s.file.Imports))
	for _, spec := range s.file.Imports {
		all[strings.Trim(spec.Path.Value, "`\"")] = spec
	}
	return all
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatalf("the root of the module is not two folders up: %v", err)
	}
	return dir
}

// tree parses every Go file, but for folders that the go command ignores too.
func tree(t *testing.T) []source {
	t.Helper()
	base := root(t)
	var all []source
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != base && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		all = append(all, parsed(t, filepath.ToSlash(name), string(text)))
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("found %d Go files below %s: %v", len(all), base, err)
	}
	return all
}

func parsed(t *testing.T, path, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{
		path: path, dir: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go"), fset: fset, file: file,
	}
}

// production leaves the tests out.
func production(all []source) []source {
	return slices.DeleteFunc(slices.Clone(all), func(s source) bool { return s.test })
}
