package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
	"github.com/logoutd/logoutd/eventstore/transfer"
)

func (p *program) copyCommand() *cobra.Command {
	c := copyJob{program: p}
	cmd := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy the history into another event store and prove that both are equal",
		Long: `Copy the history of one event store into another: order, streams, revisions, ids, data and metadata stay
as they are. Then read both again and prove that they are equal, with a SHA-256 over everything.

A copy that was interrupted goes on when it is started again: what the target has says where. A target that
holds anything else is refused and left as it is. What is written to the source meanwhile is not copied: stop
logoutd first, or copy twice and stop it for the second time only.

A store is a data folder, as --data of serve names it, or an EventStoreDB or KurrentDB server:

  logoutd copy --from ./data --to /srv/logoutd
  logoutd copy --from ./data --to esdb+discover://db.example:2113
  logoutd copy --from ./data --to /srv/logoutd --verify    compare only

The keys of tokens are no events: move the key file too.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&c.from, "from", "", "store to copy from: a data folder, esdb://HOST:PORT or esdb+discover://HOST:PORT; with a password better LOGOUTD_FROM")
	f.StringVar(&c.to, "to", "", "store to copy to, likewise: empty, or the result of an earlier copy; with a password better LOGOUTD_TO")
	f.BoolVar(&c.verify, "verify", false, "compare both and copy nothing")
	f.DurationVar(&c.patience, "patience", time.Minute, "how long to wait for a store that is away")
	f.BoolVar(&c.asJSON, "json", false, "print the result as JSON")
	return cmd
}

// copyJob is one run of logoutd copy.
type copyJob struct {
	*program

	from, to       string
	verify, asJSON bool
	patience       time.Duration
}

// copied is what logoutd copy prints.
type copied struct {
	Already      uint64      `json:"already"` // events that the target had
	Copied       uint64      `json:"copied"`
	Seconds      float64     `json:"seconds"` // all of it, comparing included
	Head         string      `json:"head"`    // position of the source when this began, and where it ended
	Source       copySummary `json:"source"`
	Target       copySummary `json:"target"`
	Equal        bool        `json:"equal"`
	Difference   string      `json:"difference,omitempty"` // the first
	EventsPerSec float64     `json:"events_per_second"`    // while copying
}

type copySummary struct {
	Events  uint64 `json:"events"`
	Streams uint64 `json:"streams"`
	SHA256  string `json:"sha256"`
}

func (c *copyJob) run(ctx context.Context) (err error) {
	from, to, err := openEnds(c.from, c.to, c.verify)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(), from.Close()) }()
	progress := newCopyProgress(c.stderr)
	job := transfer.Config{
		From: from, To: to, Together: sameCommand, Patience: c.patience,
		Progress: progress.step, Waiting: progress.waiting,
	}
	began := time.Now()
	var r transfer.Report
	if c.verify {
		r.Comparison, err = transfer.Verify(ctx, job)
	} else {
		r, err = transfer.Copy(ctx, job)
	}
	progress.end()
	if err != nil {
		return c.explain(ctx, err, r.Copied)
	}
	result := copied{
		Already: r.Already, Copied: r.Copied, Seconds: time.Since(began).Seconds(), Head: r.Head.String(),
		Source: copySummary(r.From), Target: copySummary(r.To), Equal: r.Equal(), Difference: r.Difference,
		EventsPerSec: progress.rate(),
	}
	if err := c.print(result); err != nil {
		return err
	}
	if !result.Equal {
		return fmt.Errorf("source and target differ: %s", result.Difference)
	}
	return nil
}

// explain says what to do after a run that did not end well.
func (c *copyJob) explain(ctx context.Context, err error, done uint64) error {
	var foreign *transfer.DifferenceError
	switch {
	case errors.As(err, &foreign):
		return fmt.Errorf("%w; nothing was written: name an empty target, or the one of an earlier copy", err)
	case c.verify && ctx.Err() != nil:
		return errors.New("interrupted while comparing")
	case c.verify:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d events: start the same copy again, it goes on there", done)
	}
	return fmt.Errorf("%w; %d events were copied, start the same copy again and it goes on there", err, done)
}

func (c *copyJob) print(r copied) error {
	if c.asJSON {
		return json.NewEncoder(c.stdout).Encode(r)
	}
	what := fmt.Sprintf("copied %d events", r.Copied)
	if r.Already > 0 {
		what += fmt.Sprintf(", %d were there", r.Already)
	}
	if r.Copied > 0 {
		what += fmt.Sprintf(", %.0f a second", r.EventsPerSec)
	}
	if c.verify {
		what = "compared"
	}
	verdict := "equal: every event of every stream, in the same order\n"
	if !r.Equal {
		verdict = "not equal\n"
	} else if !c.verify {
		verdict += "the keys of tokens are no events: move the key file too, or no living token is recognised\n"
	}
	_, err := fmt.Fprintf(c.stdout, "%s, up to position %s, where the source was at the start\nsource  %d events  %d streams  sha256 %s\ntarget  %d events  %d streams  sha256 %s\n%s",
		what, r.Head, r.Source.Events, r.Source.Streams, r.Source.SHA256, r.Target.Events, r.Target.Streams, r.Target.SHA256, verdict)
	return err
}

// sameCommand tells whether two neighbours in a stream are of one append: a command appends once to a stream.
func sameCommand(a, b eventstore.Recorded) bool {
	first, err := codec.DecodeMetadata(a.Metadata)
	if err != nil || first.CommandID == "" {
		return false
	}
	if string(a.Metadata) == string(b.Metadata) { // as a rule
		return true
	}
	second, err := codec.DecodeMetadata(b.Metadata)
	return err == nil && second.CommandID == first.CommandID
}
