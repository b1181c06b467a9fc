package main_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// rule is one ban of the house. check reports what it saw that could have been wrong, and
// what was; bad is a file that it must report, so that a rule which has gone blind fails.
type rule struct {
	name  string
	check func(s source, report func(n ast.Node, format string, args ...any)) (saw int)
	bad   map[string]string // by path
}

var rules = []rule{
	{
		name:  "no global logger",
		check: noGlobalLogger,
		bad:   map[string]string{"commands/x.go": `import _ "github.com/rs/zerolog/log"`},
	},
	{
		name:  "no clock in the aggregates",
		check: noClock,
		bad: map[string]string{
			"aggregates/a/x.go": `import "time"; func f() { _ = time.Now() }`,
			"aggregates/b/x.go": `import clock "time"; func f() { <-clock.After(1) }`,
		},
	},
	{
		name:  "no init function",
		check: noInit,
		bad:   map[string]string{"commands/x.go": `func init() {}`, "commands/x_test.go": `func init() {}`},
	},
	{
		name:  "no mutable package variable",
		check: noMutableVariable,
		bad: map[string]string{
			"commands/a.go": `var cache = map[string]int{}`,
			"commands/b.go": `var count int`,
			"commands/c.go": `import "regexp"; var pattern = regexp.MustCompile("x") `,
			"commands/d.go": `import "errors"; var NotFound = errors.New("not found")`,
		},
	},
	{
		name:  "no sleep",
		check: noSleep,
		bad: map[string]string{
			"commands/x.go":      `import "time"; func f() { time.Sleep(1) }`,
			"commands/x_test.go": `import "time"; func f() { time.Sleep(1) }`,
		},
	},
	{
		name:  "no print outside cmd",
		check: noPrint,
		bad: map[string]string{
			"commands/a.go": `import "fmt"; func f() { fmt.Println("x") }`,
			"commands/b.go": `import "log"; func f() { log.Fatal("x") }`,
			"commands/c.go": `func f() { println("x") }`,
		},
	},
}

func TestHouseRules(t *testing.T) {
	t.Parallel()
	all := tree(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			saw := 0
			for _, s := range all {
				saw += r.check(s, func(n ast.Node, format string, args ...any) {
					t.Errorf("%s: %s", s.at(n), fmt.Sprintf(format, args...))
				})
			}
			if saw == 0 {
				t.Error("nothing in the tree was looked at: the rule is blind")
			}
			for path, body := range r.bad {
				found := 0
				r.check(parsed(t, path, "package x\n"+body), func(ast.Node, string, ...any) { found++ })
				if found != 1 {
					t.Errorf("reported %d times what breaks the rule: %s", found, body)
				}
			}
			if len(r.bad) == 0 {
				t.Error("the rule has no example of what breaks it")
			}
		})
	}
}

func noGlobalLogger(s source, report func(ast.Node, string, ...any)) int {
	imports := s.imports()
	if n := imports["github.com/rs/zerolog/log"]; n != nil {
		report(n, "the logger of a component comes in through its constructor")
	}
	return len(imports)
}

func noClock(s source, report func(ast.Node, string, ...any)) int {
	if s.test || !strings.HasPrefix(s.dir, "aggregates/") {
		return 0
	}
	return selectors(s, "time", func(n ast.Node, name string) {
		switch name {
		case "Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer":
			report(n, "time.%s: an aggregate is given the time, it does not look at a clock", name)
		}
	})
}

func noInit(s source, report func(ast.Node, string, ...any)) int {
	functions := 0
	for _, decl := range s.file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			functions++
			if f.Name.Name == "init" && f.Recv == nil {
				report(f, "init runs for everybody who imports the package; let main call a function")
			}
		}
	}
	return functions
}

func noSleep(s source, report func(ast.Node, string, ...any)) int {
	if s.test && s.imports()["testing/synctest"] != nil {
		return 0 // inside a bubble a sleep takes no time and proves an order
	}
	return selectors(s, "time", func(n ast.Node, name string) {
		if name == "Sleep" {
			report(n, "wait for what you wait for: a timer beside ctx.Done, a channel, or synctest")
		}
	})
}

func noPrint(s source, report func(ast.Node, string, ...any)) int {
	if s.test || strings.HasPrefix(s.dir, "cmd/") {
		return 0
	}
	seen := selectors(s, "fmt", func(n ast.Node, name string) {
		if strings.HasPrefix(name, "Print") {
			report(n, "fmt.%s: standard output belongs to cmd", name)
		}
	})
	seen += selectors(s, "log", func(n ast.Node, name string) {
		if name != "New" && name != "Logger" { // which net/http wants for its own errors
			report(n, "log.%s: log through the zerolog.Logger of the component", name)
		}
	})
	ast.Inspect(s.file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if name, ok := call.Fun.(*ast.Ident); ok && (name.Name == "print" || name.Name == "println") {
				report(n, "%s is for debugging", name.Name)
			}
		}
		return true
	})
	return seen
}

// selectors visits every use of a standard package, whatever its local name, and counts them.
func selectors(s source, pkg string, visit func(n ast.Node, name string)) int {
	spec := s.imports()[pkg]
	if spec == nil {
		return 0
	}
	local := pkg
	if spec.Name != nil {
		local = spec.Name.Name
	}
	seen := 0
	ast.Inspect(s.file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == local {
				seen++
				visit(n, selector.Sel.Name)
			}
		}
		return true
	})
	return seen
}

// variables are the package variables that are allowed by name. Each says why.
var variables = map[string]string{
	"cmd/logoutd.version": "the linker needs a variable to set",
}

func noMutableVariable(s source, report func(ast.Node, string, ...any)) int {
	if s.test || strings.HasSuffix(s.dir, "test") {
		return 0
	}
	seen := 0
	for _, decl := range s.file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, spec := range group.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			seen++
			if !constant(group, v) && variables[s.dir+"."+v.Names[0].Name] == "" {
				report(v, "package variable %s: state belongs to a component, a table to the function that reads it", v.Names[0].Name)
			}
		}
	}
	return seen
}

// constant knows the variables that are constants in all but syntax: an interface assertion, an
// embedded file, an error to compare with, and what a package computes once from a literal,
// said in a comment.
func constant(group *ast.GenDecl, v *ast.ValueSpec) bool {
	name := v.Names[0].Name
	commented := v.Comment != nil || v.Doc != nil || group.Doc != nil
	if name == "_" || embeds(group.Doc) || embeds(v.Doc) {
		return true
	}
	if len(v.Values) != len(v.Names) {
		return false
	}
	if strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err") {
		return true
	}
	return commented && !slices.ContainsFunc(v.Values, func(value ast.Expr) bool {
		call, ok := value.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := selector.X.(*ast.Ident)
		return !ok || !slices.Contains([]string{"regexp.MustCompile", "crc32.MakeTable"}, pkg.Name+"."+selector.Sel.Name)
	})
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}
