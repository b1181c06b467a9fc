package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// session is a token of /v1/tokens.
type session struct {
	SessionID     string `json:"session_id"`
	UserID        string `json:"user_id"`
	ClientID      string `json:"client_id,omitempty"`
	TokenKind     string `json:"token_kind"`
	Generation    uint32 `json:"generation"`
	Status        string `json:"status"`
	IssuedAt      string `json:"issued_at"`
	ExpiresAt     string `json:"expires_at"`
	RevokedAt     string `json:"revoked_at,omitempty"`
	RevokedReason string `json:"revoked_reason,omitempty"`
}

func (p *program) sessionsCommand() *cobra.Command {
	var address, user, client, cursor, status, minPosition string
	var limit int
	var timeline, asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions [SESSION_ID]",
		Short: "List sessions, or show one and what happened to it",
		Long: `List the active sessions, newest filters first, or show one session by its id.

  logoutd sessions --user-id alice
  logoutd sessions 01a2080c-41da-75e5-826e-98d994f3e03b --timeline`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
	}
	f := cmd.Flags()
	f.StringVar(&address, "http", defaultHTTP, "read side of logoutd")
	f.StringVar(&user, "user-id", "", "only sessions of this user")
	f.StringVar(&client, "client-id", "", "only sessions of this OAuth client")
	f.StringVar(&status, "status", "", "active, expired, revoked, parked or all (default active)")
	f.StringVar(&cursor, "cursor", "", "go on where the last page ended")
	f.StringVar(&minPosition, "min-position", "", "wait until the read model shows this position")
	f.IntVar(&limit, "limit", 100, "sessions on a page, 1 to 1000")
	f.BoolVar(&timeline, "timeline", false, "print the events of the session, refused attempts included")
	f.BoolVar(&asJSON, "json", false, "print the reply as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		if minPosition != "" {
			query.Set("min_position", minPosition)
		}
		path := "/v1/tokens"
		switch {
		case len(args) == 1 && timeline:
			path += "/" + url.PathEscape(args[0]) + "/timeline"
		case len(args) == 1:
			path += "/" + url.PathEscape(args[0])
		case timeline:
			return usageError{fmt.Errorf("--timeline needs the id of a session")}
		default:
			query.Set("limit", strconv.Itoa(limit))
			for name, value := range map[string]string{"user_id": user, "client_id": client, "status": status, "cursor": cursor} {
				if value != "" {
					query.Set(name, value)
				}
			}
		}
		var reply json.RawMessage
		if err := getJSON(cmd.Context(), address, path, query, &reply); err != nil {
			return err
		}
		switch {
		case asJSON:
			_, err := p.stdout.Write(append(reply, '\n'))
			return err
		case timeline:
			return p.printTimeline(reply)
		default:
			return p.printSessions(reply, len(args) == 1)
		}
	}
	return cmd
}

func (p *program) printTimeline(reply []byte) error {
	var page struct{ Events []json.RawMessage }
	if err := json.Unmarshal(reply, &page); err != nil {
		return err
	}
	for _, line := range page.Events {
		if err := p.printEvent(line, false); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) printSessions(reply []byte, one bool) error {
	var page struct {
		Tokens     []session
		NextCursor string `json:"next_cursor"`
	}
	var err error
	if one {
		page.Tokens = make([]session, 1)
		err = json.Unmarshal(reply, &page.Tokens[0])
	} else {
		err = json.Unmarshal(reply, &page)
	}
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tUSER\tCLIENT\tKIND\tGEN\tSTATUS\tISSUED\tEXPIRES") //nolint:errcheck // Flush tells
	for _, t := range page.Tokens {
		status := t.Status
		if t.RevokedReason != "" {
			status += " (" + t.RevokedReason + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%.19s\t%.19s\n", //nolint:errcheck // Flush tells
			t.SessionID, t.UserID, orDash(t.ClientID), t.TokenKind, t.Generation, status, t.IssuedAt, t.ExpiresAt)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.NextCursor != "" {
		_, err = fmt.Fprintf(p.stderr, "there are more: --cursor %s\n", page.NextCursor)
	}
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
