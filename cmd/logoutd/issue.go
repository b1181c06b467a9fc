package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/commands/natsapi"
)

// issued is the reply to issue_refresh_token.
type issued struct {
	CommandID    string `json:"command_id"`
	SessionID    string `json:"session_id"`
	RefreshToken string `json:"refresh_token"`
	Generation   uint32 `json:"generation"`
	ExpiresAt    string `json:"expires_at"`
	Position     string `json:"position"`
}

func (p *program) issueCommand() *cobra.Command {
	var nats config.NATS
	var asJSON bool
	var client, commandID string
	var ttl, timeout time.Duration
	cmd := &cobra.Command{
		Use:   "issue USER",
		Short: "Open a session of a user and print its refresh token",
		Long: `Open a session of a user and print its refresh token, alone, on standard output, so that it
can be kept:  logoutd issue alice >data/token`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			fields := map[string]any{"user_id": args[0]}
			if client != "" {
				fields["client_id"] = client
			}
			if commandID != "" {
				fields["command_id"] = commandID
			}
			if cmd.Flags().Changed("ttl") {
				if ttl < time.Second || ttl%time.Second != 0 {
					return usageError{fmt.Errorf("--ttl %s: want whole seconds, at least 1s", ttl)}
				}
				fields["ttl_seconds"] = int64(ttl / time.Second)
			}
			var reply issued
			if err := ask(cmd.Context(), &nats, timeout, natsapi.VerbIssueRefreshToken, fields, &reply); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(reply)
			}
			if _, err := fmt.Fprintln(p.stdout, reply.RefreshToken); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.stderr, "session %s of %s, expires %s\n", reply.SessionID, args[0], reply.ExpiresAt)
			return err
		},
	}
	nats.AddFlags(cmd.Flags(), defaultNATSURL)
	cmd.Flags().StringVar(&client, "client-id", "", "OAuth client of the session")
	cmd.Flags().StringVar(&commandID, "command-id", "", "UUID that names the command; repeat it to get the same answer")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "life of the token (default as serve says)")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the whole reply as JSON")
	return cmd
}
