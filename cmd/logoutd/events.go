package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// defaultHTTP is where serve's read side listens by default.
const defaultHTTP = "127.0.0.1:8080"

// event is a line of /v1/events.
type event struct {
	Position   string          `json:"position"`
	Stream     string          `json:"stream"`
	Revision   uint64          `json:"revision"`
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	RecordedAt string          `json:"recorded_at"`
	Data       json.RawMessage `json:"data"`
	Metadata   json.RawMessage `json:"metadata"`
}

func (p *program) eventsCommand() *cobra.Command {
	var address, from, stream, user string
	var types []string
	var limit int
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the record of every decision, in order",
		Long: `Print the events, in the order in which they were recorded: position, time, type, stream and data.

  logoutd events --user-id alice              what concerns one user
  logoutd events --stream 'userLogout-*'      the refused logouts
  logoutd events --follow --json              everything, live, as NDJSON`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			for name, value := range map[string]string{"from": from, "stream": stream, "user_id": user, "type": strings.Join(types, ",")} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if limit > 0 {
				query.Set("limit", strconv.Itoa(limit))
			}
			if follow {
				query.Set("follow", "true")
			}
			return p.printEvents(cmd.Context(), address, query, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "http", defaultHTTP, "read side of logoutd")
	f.StringVar(&from, "from", "", "begin after this position")
	f.StringVar(&stream, "stream", "", "only this stream, or these with a * at the end")
	f.StringVar(&user, "user-id", "", "only what names this user")
	f.StringSliceVar(&types, "type", nil, "only these types, like TokenRevoked")
	f.IntVar(&limit, "limit", 0, "print so many at most (default all)")
	f.BoolVar(&follow, "follow", false, "go on with what is recorded from now on, until interrupted")
	f.BoolVar(&asJSON, "json", false, "print NDJSON with ids and metadata")
	return cmd
}

// printEvents copies the lines of /v1/events, each as soon as it is there.
func (p *program) printEvents(ctx context.Context, address string, query url.Values, asJSON bool) error {
	body, err := get(ctx, address, "/v1/events", query)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // read to its end
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if len(strings.TrimSpace(string(line))) > 0 { // else it keeps the connection alive
			if err := p.printEvent(line, asJSON); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("the stream of events broke off: %w; go on with --from and the last position", err)
		}
	}
}

func (p *program) printEvent(line []byte, asJSON bool) error {
	if asJSON {
		_, err := p.stdout.Write(line)
		return err
	}
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("unreadable event: %w", err)
	}
	_, err := fmt.Fprintf(p.stdout, "%6s  %.23s  %-20s %s %d  %s\n", e.Position, e.RecordedAt, e.Type, e.Stream, e.Revision, e.Data)
	return err
}
