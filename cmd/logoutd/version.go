package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker to the release's tag; a plain build takes the module's.
var version = "" //nolint:gochecknoglobals // the linker needs a variable

// develVersion is what a build that nobody tagged calls itself. It must be SemVer: NATS asks for it.
const develVersion = "0.0.0-devel"

// versionOf is the SemVer of this build, without a leading v.
func versionOf() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	if v = strings.TrimPrefix(v, "v"); v == "" || v == "(devel)" {
		return develVersion
	}
	return v
}

func (p *program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(map[string]string{
					"version": versionOf(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				})
			}
			_, err := fmt.Fprintf(p.stdout, "logoutd %s %s %s/%s\n", versionOf(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
