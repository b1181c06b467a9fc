package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every logoutd command line that the documents show must exist: the subcommands, and each of
// their flags. Commands and flags are contracts.
func TestCommandLinesInDocumentsExist(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	// At the start of a line of code or of a span; what comes before it in a pipe is skipped.
	call := regexp.MustCompile(`(?:^|[|$;(] *|\./|go run \./cmd/)logoutd ([a-z][a-z-]*(?: [^|;)<>#]*)?)`)
	seen := 0
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this repository
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range shown(strings.ReplaceAll(string(text), "\\\n", " ")) {
			for _, match := range call.FindAllStringSubmatch(line, -1) {
				seen++
				if problem := unknown((&program{}).rootCommand(), strings.Fields(match[1])); problem != "" {
					t.Errorf("%s: logoutd %s: no %s", strings.TrimPrefix(file, "../../"), strings.TrimSpace(match[1]), problem)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no document shows a command line of logoutd")
	}
}

// shown gives what a document shows as code: the spans, and the lines of the blocks.
func shown(text string) []string {
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

// unknown is the first word of a command line that does not exist, or "".
func unknown(cmd *cobra.Command, words []string) string {
	descended := false
	for _, word := range words {
		if name, found := strings.CutPrefix(word, "--"); found {
			name, _, _ = strings.Cut(name, "=")
			if cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil && name != "help" {
				return word
			}
			continue
		}
		if next, _, err := cmd.Find([]string{word}); err == nil && next != cmd {
			cmd, descended = next, true
		} else if !descended && word != "help" && word != "completion" {
			return word
		}
	}
	return ""
}

func TestUnknownFindsWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, want string }{
		{"serve --data ./data", ""},
		{"serve --data=x --nonsense=true", "--nonsense=true"},
		{"levitate", "levitate"},
		{"version --json", ""},
		{"logout alice --nats-url nats://127.0.0.1:4222 --bogus", "--bogus"},
	} {
		if got := unknown((&program{}).rootCommand(), strings.Fields(tt.line)); got != tt.want {
			t.Errorf("%s: unknown is %q, want %q", tt.line, got, tt.want)
		}
	}
}
