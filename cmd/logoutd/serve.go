package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
)

func (p *program) serveCommand() *cobra.Command {
	var settings config.Serve
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the command processor, its event store and its read model",
		Long: `Run the command processor with its event store and its read model. By default NATS, event store and
read model are inside this process and their data below ./data; nothing else is needed.

It says where everything listens once it is ready, and stops cleanly on SIGINT or SIGTERM: no new
command is accepted, every accepted one is answered.`,
		Args: usageArgs(cobra.NoArgs),
	}
	settings.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print where everything listens as one line of JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := settings.Complete(cmd.Flags()); err != nil {
			return usageError{err}
		}
		limitMemory(p.lookupEnv, settings.CacheMiB)
		return serve(cmd.Context(), settings, p.logger(&settings), func(a addresses) error {
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(a)
			}
			return a.print(p.stdout)
		})
	}
	return cmd
}

// addresses is where a running logoutd listens.
type addresses struct {
	Version string `json:"version"`
	NATS    string `json:"nats"`
	Subject string `json:"subject"`
	HTTP    string `json:"http"`
	ESDB    string `json:"esdb,omitempty"` // connection string of the EventStoreDB protocol, where it is served
	Store   string `json:"store"`
	Data    string `json:"data"`
	Head    string `json:"head"` // position of the last event
}

func (a addresses) print(w io.Writer) error {
	replaying := a.ESDB
	if replaying == "" {
		replaying = "not served, see --esdb-listen"
	}
	_, err := fmt.Fprintf(w, `logoutd %s is ready
  commands   %s  subject %s
  reading    http://%s/v1/tokens  /v1/events  /healthz  /readyz
  replaying  %s
  events     %s  up to position %s
  data       %s
try, in another terminal:
  logoutd issue alice | logoutd logout alice && logoutd events --user-id alice
`, a.Version, a.NATS, a.Subject, a.HTTP, replaying, a.Store, a.Head, a.Data)
	return err
}

// logger writes to standard error: to people on a terminal, to machines elsewhere.
func (p *program) logger(s *config.Serve) zerolog.Logger {
	out := p.stderr
	file, isFile := out.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	if s.LogFormat == "console" || s.LogFormat == "auto" && terminal {
		out = zerolog.ConsoleWriter{Out: p.stderr, TimeFormat: time.RFC3339, NoColor: !terminal}
	}
	level, err := zerolog.ParseLevel(s.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel // unreachable: Complete has parsed it
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// limitMemory makes the collector rare as long as memory is plentiful and keeps the process below
// 1 GiB with the default cache. Who sets GOGC or GOMEMLIMIT knows better.
func limitMemory(lookupEnv func(string) (string, bool), cacheMiB int) {
	if _, set := lookupEnv("GOGC"); !set {
		debug.SetGCPercent(300)
	}
	if _, set := lookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(int64(352+cacheMiB) << 20)
	}
}

// closing collects what must be undone, last first.
type closing []func(context.Context) error

func (c *closing) add(f func(context.Context) error) { *c = append(*c, f) }

// run undoes everything within a time, whatever fails on the way.
func (c *closing) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i](ctx))
	}
	return errors.Join(errs...)
}
