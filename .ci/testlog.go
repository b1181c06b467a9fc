// Testlog reads the output of `go test -json`, prints it for people, and fails the build
// where a test was skipped that should have run: a test that did not run proves nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// allowed are the reasons for which a test may be skipped in CI, as regular expressions. A test
// that needs a server is not among them: CI starts the server.
var allowed = []string{
	`declared: (E\d+|model): `, // a clause that a store says it does not keep; skips_test.go pins them
}

type event struct{ Action, Package, Test, Output string }

type key struct{ pkg, test string }

func main() {
	output := map[key][]string{}
	count := map[string]int{}
	var refused []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<26)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil || e.Action == "" {
			fmt.Println(in.Text()) // the compiler, or make
			continue
		}
		k := key{e.Package, e.Test}
		switch e.Action {
		case "output", "build-output":
			if e.Test == "" {
				fmt.Print(e.Output)
				continue
			}
			output[k] = append(output[k], e.Output)
			if strings.HasPrefix(strings.TrimSpace(e.Output), "--- ") {
				fmt.Print(e.Output)
			}
		case "pass", "fail", "skip":
			if e.Test == "" {
				for running, told := range output { // what a panic or a timeout cut short
					if e.Action == "fail" && running.pkg == e.Package {
						fmt.Print(strings.Join(told, ""))
					}
				}
				continue
			}
			count[e.Action]++
			told := strings.Join(output[k], "")
			if e.Action == "fail" {
				fmt.Print(told)
			}
			if e.Action == "skip" && !slices.ContainsFunc(allowed, func(reason string) bool {
				return regexp.MustCompile(reason).MatchString(told)
			}) {
				refused = append(refused, fmt.Sprintf("%s %s\n%s", e.Package, e.Test, told))
			}
			delete(output, k)
		}
	}
	fmt.Printf("\n%d tests passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
	for _, r := range refused {
		fmt.Printf("skipped, and should not have been: %s", r)
	}
	if in.Err() != nil || count["pass"] == 0 || count["fail"] > 0 || len(refused) > 0 {
		os.Exit(1)
	}
}
