package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/bench"
	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
)

func (p *program) benchCommand() *cobra.Command {
	var to config.NATS
	c := bench.Config{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure logouts per second against a bare NATS echo, in the same run",
		Long: `Publish real logouts over NATS and measure, in the same run, through the same server, with the same payload
and load generator, a bare request-reply echo. It prints both rates, their ratio, the times of the replies, and
how long the read model needed to catch up; for each number in flight, the median of the rounds.

Without --nats-url it starts a logoutd of its own, as a second process on a folder that is deleted afterwards.
With --nats-url and --http it loads the logoutd that runs there, and leaves the events behind.`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	to.AddFlags(f, "")
	f.StringVar(&c.HTTP, "http", "", "read side of the logoutd at --nats-url, for the catch-up")
	f.IntSliceVar(&c.InFlight, "in-flight", []int{1024, 64}, "how many requests are always on the way")
	f.IntVar(&c.Logouts, "logouts", 100_000, "logouts in each round")
	f.IntVar(&c.Rounds, "rounds", 3, "rounds for each number in flight")
	f.IntVar(&c.Live, "live", 0, "sessions that live beside those that are logged out")
	f.IntVar(&c.Connections, "connections", 2, "connections of the load generator")
	f.BoolVar(&asJSON, "json", false, "print every round as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if c.Logouts < 1 || c.Rounds < 1 || c.Live < 0 || c.Connections < 1 || len(c.InFlight) == 0 || min(c.InFlight[0], c.InFlight[len(c.InFlight)-1]) < 1 {
			return usageError{errors.New("--in-flight, --logouts, --rounds and --connections want 1 or more")}
		}
		if err := to.Check(); err != nil {
			return usageError{err}
		}
		c.Progress, c.SubjectPrefix = p.stderr, to.SubjectPrefix
		return p.bench(cmd.Context(), c, to, asJSON)
	}
	return cmd
}

// benchOutput is the JSON of a benchmark.
type benchOutput struct {
	*bench.Report
	// PeakRSSMiB of the logoutd that the benchmark started; 0 otherwise.
	PeakRSSMiB int `json:"peak_rss_mib,omitempty"`
}

func (p *program) bench(ctx context.Context, c bench.Config, to config.NATS, asJSON bool) error {
	var child *childProcess
	if to.URL == "" {
		var err error
		if child, err = p.startChild(ctx, to.SubjectPrefix); err != nil {
			return err
		}
		defer child.stop()
		to.URL, c.HTTP = child.NATS, child.HTTP
	}
	c.Connect = func() (*nats.Conn, error) { return to.Connect("logoutd bench", zerolog.Nop()) }
	report, err := bench.Run(ctx, c)
	if err != nil {
		return err
	}
	out := benchOutput{Report: report}
	if child != nil {
		out.PeakRSSMiB = child.peakRSSMiB()
	}
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(out)
	}
	return p.printBench(c, out)
}

func (p *program) printBench(c bench.Config, out benchOutput) error {
	var b strings.Builder
	fmt.Fprintf(&b, "in flight   logouts/s   echo/s      ratio   p50        p99        p99.9      read model caught up after\n")
	for _, n := range c.InFlight {
		r := out.Median(n)
		fmt.Fprintf(&b, "%-10d  %-10.0f  %-10.0f  %.3f   %-9s  %-9s  %-9s  %s\n", n, r.LogoutPerSec, r.EchoPerSec, r.Ratio,
			micros(r.P50US), micros(r.P99US), micros(r.P999US), catchUp(r.CatchUpMS))
	}
	fmt.Fprintf(&b, "median of %d rounds of %d logouts; %d other live sessions; issuing: %.0f/s\n", c.Rounds, c.Logouts, out.Live, out.IssuePerSec)
	if out.PeakRSSMiB > 0 {
		fmt.Fprintf(&b, "peak resident memory of logoutd: %d MiB\n", out.PeakRSSMiB)
	}
	_, err := fmt.Fprint(p.stdout, b.String())
	return err
}

func micros(us int64) string {
	return (time.Duration(us) * time.Microsecond).Round(10 * time.Microsecond).String()
}

func catchUp(ms int64) string {
	if ms < 0 {
		return "not measured (no --http)"
	}
	return strconv.FormatInt(ms, 10) + " ms"
}

// childProcess is a logoutd of our own, so that the load and what is loaded are two processes.
type childProcess struct {
	addresses
	cmd  *exec.Cmd
	data string
}

func (p *program) startChild(ctx context.Context, prefix string) (*childProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "logoutd-bench-*")
	if err != nil {
		return nil, err
	}
	c := &childProcess{data: data}
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, "serve", "--json", "--data", data, //nolint:gosec // ourselves
		"--nats-listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--esdb-listen", "", "--subject-prefix", prefix, "--log-level", "warn")
	c.cmd.Stderr = p.stderr
	stdout, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.addresses)
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("logoutd did not start: %w", err)
	}
	return c, nil
}

func (c *childProcess) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // gone already, or it goes now
	_ = c.cmd.Wait()                          //nolint:errcheck // its folder goes either way
	_ = os.RemoveAll(c.data)                  //nolint:errcheck // a temporary folder
}

// peakRSSMiB reads the peak of resident memory where the system tells it (Linux), else 0.
func (c *childProcess) peakRSSMiB() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				return 0
			}
			return kib >> 10
		}
	}
	return 0
}
