package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

func (p *program) esdbUserCommand() *cobra.Command {
	var role, file string
	cmd := &cobra.Command{
		Use:   "esdb-user NAME",
		Short: "Print a line for the file of --esdb-users",
		Long: `Read a password from standard input and print the line that lets NAME connect to the EventStoreDB protocol
with it, for the file that serve --esdb-users names. The password itself is not in it: it is hashed with Argon2id.

  logoutd esdb-user audit --role auditor <password >>users

An auditor reads, subscribes and consumes persistent subscriptions; a writer also appends, where
serve runs with --esdb-allow-append, and manages persistent subscriptions.`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	cmd.Flags().StringVar(&role, "role", "auditor", "auditor or writer")
	cmd.Flags().StringVar(&file, "password-file", "", "file with the password (default standard input)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		password, err := readSecret("password", file, "--password-file")
		if err != nil {
			return err
		}
		line, err := esdbapi.UserLine(args[0], role, password)
		if err != nil {
			return usageError{err}
		}
		_, err = fmt.Fprintln(p.stdout, line)
		return err
	}
	return cmd
}
