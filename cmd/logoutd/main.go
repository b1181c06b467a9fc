package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// program is what a subcommand may touch of the world outside.
type program struct {
	lookupEnv      func(string) (string, bool)
	stdout, stderr io.Writer
}

// usageError is a mistake of the caller: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the whole program but for the process around it; tests call it.
func run(ctx context.Context, args []string, lookupEnv func(string) (string, bool), stdout, stderr io.Writer) int {
	p := &program{lookupEnv: lookupEnv, stdout: stdout, stderr: stderr}
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "logoutd: %s\nlogoutd: see: logoutd help\n", oneLine(err)) //nolint:errcheck // nowhere to report to
		return exitUsage
	default:
		fmt.Fprintf(stderr, "logoutd: %s\n", oneLine(err)) //nolint:errcheck // nowhere to report to
		return exitFailed
	}
}

// oneLine puts joined errors on one line: a line is what log collectors and people read.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "logoutd",
		Short: "End sessions truthfully, once, and with a record of every decision",
		Long: `logoutd ends sessions: truthfully, once, fast, and with a record that nobody can argue with.

Upstream services publish commands over NATS, audit consumers replay the events, dashboards
read the active tokens. With no server of its own named, everything runs inside this binary.

  logoutd serve            run it
  logoutd demo             see every branch of a logout, with the events it leaves
  logoutd issue alice      open a session and get a refresh token
  logoutd logout alice     end it; the token is read from standard input

Every flag --some-name is also LOGOUTD_SOME_NAME in the environment; the command line wins.
Exit status: 0 done, 1 failed, 2 used wrongly.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              usageArgs(cobra.NoArgs),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return p.fromEnvironment(cmd.Flags()) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		p.serveCommand(), p.issueCommand(), p.logoutCommand(), p.sessionsCommand(), p.eventsCommand(),
		p.copyCommand(), p.esdbUserCommand(), p.keysCommand(), p.demoCommand(), p.benchCommand(), p.healthCommand(), p.configCommand(), p.versionCommand(),
	)
	return root
}

// usageArgs makes wrong arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// fromEnvironment sets every flag that the command line leaves out and the environment names.
func (p *program) fromEnvironment(flags *pflag.FlagSet) error {
	var problems []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := envName(f.Name)
		value, set := p.lookupEnv(name)
		if !set || f.Changed || f.Name == "help" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, errors.Unwrap(err)))
		}
	})
	if err := errors.Join(problems...); err != nil {
		return usageError{err}
	}
	return nil
}

func envName(flag string) string {
	return "LOGOUTD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
