package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
)

// setting is one line of `logoutd config`.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // default, environment or flag
}

func (p *program) configCommand() *cobra.Command {
	var settings config.Serve
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the settings of serve and print them, secrets left out",
		Long: `Check the settings that serve would run with, given the same flags and environment,
and print each with where it comes from. Secrets are left out. Exit status 2 if a setting is wrong.`,
		Args: usageArgs(cobra.NoArgs),
	}
	settings.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		sources := p.sources(cmd.Flags())
		if err := settings.Complete(cmd.Flags()); err != nil {
			return usageError{err}
		}
		var list []setting
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "json" || f.Name == "help" {
				return
			}
			list = append(list, setting{Name: f.Name, Value: redacted(f), Source: sources[f.Name]})
		})
		if asJSON {
			return json.NewEncoder(p.stdout).Encode(list)
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		for _, s := range list {
			fmt.Fprintf(w, "--%s\t%s\t%s\n", s.Name, s.Value, s.Source) //nolint:errcheck // Flush tells
		}
		return w.Flush()
	}
	return cmd
}

// sources tells where each value comes from. fromEnvironment has run: what it set counts as changed.
func (p *program) sources(flags *pflag.FlagSet) map[string]string {
	sources := map[string]string{}
	flags.VisitAll(func(f *pflag.Flag) {
		value, inEnvironment := p.lookupEnv(envName(f.Name))
		switch {
		case !f.Changed:
			sources[f.Name] = "default"
		case inEnvironment && value == f.Value.String():
			sources[f.Name] = "environment"
		default:
			sources[f.Name] = "flag"
		}
	})
	return sources
}

func redacted(f *pflag.Flag) string {
	value := f.Value.String()
	switch {
	case value == "":
		return "-"
	case strings.HasSuffix(f.Name, "password") || strings.HasSuffix(f.Name, "token"):
		return "[secret]"
	case strings.HasSuffix(f.Name, "url"), f.Name == "store":
		return config.Redact(value)
	case f.Name == "readmodel":
		return config.RedactReadModel(value)
	}
	return value
}
