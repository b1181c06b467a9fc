package main_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is a Markdown file of the repository.
type document struct{ path, text string }

func documents(t *testing.T) []document {
	t.Helper()
	base := root(t)
	var all []document
	add := func(path string) {
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(base, path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, document{filepath.ToSlash(name), string(text)})
	}
	top, err := filepath.Glob(filepath.Join(base, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range top {
		add(path)
	}
	err = filepath.WalkDir(filepath.Join(base, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "node_modules" { // of others
			return fs.SkipDir
		}
		if err == nil && filepath.Ext(path) == ".md" {
			add(path)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("found %d documents: %v", len(all), err)
	}
	return all
}

func TestGuaranteesNameTestsThatExist(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	for _, s := range tree(t) {
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				exists[f.Name.Name] = true
			}
		}
	}
	all := documents(t)
	index := slices.IndexFunc(all, func(d document) bool { return d.path == "docs/guarantees.md" })
	if index < 0 {
		t.Fatal("docs/guarantees.md is missing")
	}
	name := regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)\\w+)`")
	named := 0
	for _, item := range items(all[index].text) {
		tests := name.FindAllStringSubmatch(item, -1)
		if len(tests) == 0 {
			t.Errorf("docs/guarantees.md: no test is named in: %s", item)
		}
		for _, test := range tests {
			named++
			if !exists[test[1]] {
				t.Errorf("docs/guarantees.md: %s does not exist; it is named in: %s", test[1], item)
			}
		}
	}
	if named == 0 {
		t.Error("docs/guarantees.md names no test at all")
	}
}

// items are the points of the bullet lists of a document, each on one line.
func items(text string) []string {
	var all []string
	for block := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(block, "- ") {
			for item := range strings.SplitSeq(block[2:], "\n- ") {
				all = append(all, strings.Join(strings.Fields(item), " "))
			}
		}
	}
	return all
}

func TestLinksInDocumentsResolve(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	relative := 0
	for _, d := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(d.text, -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			relative++
			if _, err := os.Stat(filepath.Join(root(t), filepath.Dir(d.path), target)); err != nil {
				t.Errorf("%s: link to %s leads nowhere", d.path, match[1])
			}
		}
	}
	if relative == 0 {
		t.Error("found no relative link")
	}
}

func TestMakeTargetsInDocumentsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	exists := map[string]bool{}
	for _, match := range target.FindAllStringSubmatch(string(makefile), -1) {
		exists[match[1]] = true
	}
	mention := regexp.MustCompile(`^(?:\$ )?make ([a-z][a-z-]*)`)
	mentions := 0
	for _, d := range documents(t) {
		for _, line := range code(d.text) {
			if match := mention.FindStringSubmatch(line); match != nil {
				mentions++
				if !exists[match[1]] {
					t.Errorf("%s: make %s is no target of the Makefile", d.path, match[1])
				}
			}
		}
	}
	if mentions == 0 || len(exists) == 0 {
		t.Errorf("found %d targets and %d mentions of one", len(exists), mentions)
	}
}

// code gives what a document shows as code: the spans, and the lines of the blocks.
func code(text string) []string {
	var all []string
	span := regexp.MustCompile("`([^`]+)`")
	inBlock := false
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock = !inBlock
		case inBlock || strings.HasPrefix(line, "    "):
			all = append(all, strings.TrimSpace(line))
		default:
			for _, match := range span.FindAllStringSubmatch(line, -1) {
				all = append(all, match[1])
			}
		}
	}
	return all
}

func TestEveryDecisionIsNumberedOnceAndWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, d := range documents(t) {
		number, _, found := strings.Cut(strings.TrimPrefix(d.path, "docs/adr/"), "-")
		if !found || !strings.HasPrefix(d.path, "docs/adr/") {
			continue
		}
		if other := seen[number]; other != "" {
			t.Errorf("%s and %s have the same number", d.path, other)
		}
		seen[number] = d.path
		if !strings.HasPrefix(d.text, "# "+number+": ") {
			t.Errorf("%s does not begin with its number and title", d.path)
		}
		for _, chapter := range []string{"Context", "Options", "Decision", "What would change our mind"} {
			if !strings.Contains(d.text, "\n## "+chapter+"\n") {
				t.Errorf("%s has no chapter %q", d.path, chapter)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("found no decision record")
	}
}

// TestWhatExamplesWriteIsIgnored: whoever follows the documents word by word has nothing to commit afterwards, no
// token least of all. What the commands write lies where .gitignore says so, below the folders that only their
// owner may enter.
func TestWhatExamplesWriteIsIgnored(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	ignores := func(file string) bool {
		return slices.ContainsFunc(strings.Fields(string(text)), func(line string) bool {
			return "/"+file == line || strings.HasSuffix(line, "/") && strings.HasPrefix("/"+file, line)
		})
	}
	writes := regexp.MustCompile(`(?: [0-9]?>>? ?| --out[ =]| --checkpoint[ =]| -o )([^\s&|;]+)`)
	seen := 0
	for _, d := range documents(t) {
		folder := "."
		for line := range strings.SplitSeq(d.text, "\n") {
			command, indented := strings.CutPrefix(line, "    ")
			if !indented {
				if line != "" {
					folder = "." // the next block is typed at the root again
				}
				continue
			}
			if to, changes := strings.CutPrefix(command, "cd "); changes {
				folder = path.Join(folder, to)
			}
			for _, match := range writes.FindAllStringSubmatch(command, -1) {
				seen++
				if file := path.Join(folder, match[1]); !path.IsAbs(match[1]) && !ignores(file) {
					t.Errorf("%s: %q writes %s, which git would commit", d.path, command, file)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("found no command that writes a file")
	}
}
