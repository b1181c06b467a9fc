package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/commands/natsapi"
)

// loggedOut is the reply to logout_user.
type loggedOut struct {
	CommandID string `json:"command_id"`
	Message   string `json:"message"`
	Position  string `json:"position"`
}

func (p *program) logoutCommand() *cobra.Command {
	var nats config.NATS
	var asJSON bool
	var commandID, tokenFile string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "logout USER",
		Short: "End the session of a refresh token, which is read from standard input",
		Long: `End the session that a refresh token belongs to. The token is read from standard input or
a file, never from the command line, which other users of the machine can see:

  logoutd logout alice <data/token

The answer is the same whether the token was alive, unknown, revoked or another user's; the
events tell them apart:  logoutd events --user-id alice`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := readSecret("refresh token", tokenFile, "--token-file")
			if err != nil {
				return err
			}
			fields := map[string]any{"user_id": args[0], "refresh_token": token}
			if commandID != "" {
				fields["command_id"] = commandID
			}
			var reply loggedOut
			if err := ask(cmd.Context(), &nats, timeout, natsapi.VerbLogoutUser, fields, &reply); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(reply)
			}
			_, err = fmt.Fprintf(p.stdout, "%s\ncommand %s, recorded at position %s\n", reply.Message, reply.CommandID, reply.Position)
			return err
		},
	}
	nats.AddFlags(cmd.Flags(), defaultNATSURL)
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the refresh token, in place of standard input")
	cmd.Flags().StringVar(&commandID, "command-id", "", "UUID that names the command; repeat it to get the same answer")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the whole reply as JSON")
	return cmd
}
