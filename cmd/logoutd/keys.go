package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// keysCommand is about a key file. All but check work on the file alone.
func (p *program) keysCommand() *cobra.Command {
	var k keysFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, add, promote, retire and check the keys that tokens are made with",
		Long: `List, add, promote, retire and check the keys that tokens are made with.

A key is next (it verifies), then active (it mints and fingerprints), then retired (it verifies, for ever).
A running logoutd notices a changed file within seconds, or at once on SIGHUP. To rotate:

  logoutd keys add         add a key that is next
                           copy the file to every logoutd that shares the event store
  logoutd keys check       on each host: does its file hold every key that the event store knows?
  logoutd keys promote     make the new key active, and copy the file again

No session ends, and no token is refused meanwhile. A key is never deleted: what it made can be
presented for ever, and a logoutd that lacks a key which the event store knows does not start.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&k.data, "data", "./data", "folder of a logoutd, for the default of --key-file")
	flags.StringVar(&k.file, "key-file", "", "the key file (default DATA/keys)")
	flags.BoolVar(&k.asJSON, "json", false, "print JSON")
	cmd.AddCommand(p.keysList(&k), p.keysAdd(&k), p.keysPromote(&k), p.keysRetire(&k), p.keysCheck(&k))
	return cmd
}

type keysFlags struct {
	data, file string
	asJSON     bool
}

func (k *keysFlags) path() string {
	if k.file == "" {
		return filepath.Join(k.data, "keys")
	}
	return k.file
}

// whichFile says how to name another file where there is none.
func whichFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; name the folder of a logoutd with --data, or its key file with --key-file", err)
	}
	return err
}

// keyLine is a key as it is printed; nothing of it is secret.
type keyLine struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Check  string `json:"check"`
	Store  string `json:"store,omitempty"` // what the event store knows of it
	File   string `json:"file"`
	Detail string `json:"detail,omitempty"` // what is wrong
}

func (p *program) keysList(k *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Print the keys of the file, without the secrets", Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			ring, err := credential.OpenKeyFile(k.path())
			if err != nil {
				return whichFile(err)
			}
			return p.printKeys(k, ring, nil)
		},
	}
}

func (p *program) keysAdd(k *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "add", Short: "Add a key that is next", Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			id, err := credential.AddKey(k.path(), time.Now())
			return p.changed(k, err, "added key %s, which is next; copy %s to every logoutd on this event store, then run: logoutd keys promote %[1]s\n", id)
		},
	}
}

func (p *program) keysPromote(k *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "promote [ID]", Short: "Make a key that is next the active one; the active one is retired", Args: usageArgs(cobra.MaximumNArgs(1)),
		Long: "Make a key that is next the active one; the active one is retired. Without an ID: the only key that is next.\nEvery logoutd on the event store needs the key before: copy the file to each host, and run `logoutd keys check` there first.",
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := credential.PromoteKey(k.path(), first(args))
			return p.changed(k, err, "key %s is active; copy %s to every logoutd on this event store\n", id)
		},
	}
}

func (p *program) keysRetire(k *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "retire ID", Short: "Retire a key that shall never be active; it goes on verifying", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.changed(k, credential.RetireKey(k.path(), args[0]), "key %s is retired; copy %s to every logoutd on this event store\n", args[0])
		},
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// changed says what became of the file.
func (p *program) changed(k *keysFlags, err error, format, id string) error {
	if err != nil {
		return whichFile(err)
	}
	if !k.asJSON {
		_, err = fmt.Fprintf(p.stdout, format, id, k.path())
		return err
	}
	ring, err := credential.OpenKeyFile(k.path())
	if err != nil {
		return err
	}
	return p.printKeys(k, ring, nil)
}

func (p *program) keysCheck(k *keysFlags) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use: "check", Short: "Compare the file with the keys that an event store knows: exit status 0 or 1", Args: usageArgs(cobra.NoArgs),
		Long: `Check the file, and compare it with the keys that an event store knows, asking the read side of a
running logoutd. Exit status 0 if the file has every one of them; 1 if it lacks one, has another key
under its id, or could not be compared.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ring, err := credential.OpenKeyFile(k.path())
			if err != nil {
				return whichFile(err)
			}
			known, err := knownKeys(cmd.Context(), address)
			if err != nil {
				return err
			}
			if err := p.printKeys(k, ring, &known); err != nil {
				return err
			}
			if err := known.Holds(ring.Keys()); err != nil {
				return fmt.Errorf("key file %s: %w", k.path(), err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "http", defaultHTTP, "read side of a running logoutd")
	return cmd
}

// knownKeys asks a running logoutd which keys its event store knows.
func knownKeys(ctx context.Context, address string) (keyring.State, error) {
	var known keyring.State
	body, err := get(ctx, address, "/v1/events", url.Values{"stream": {keyring.Stream}, "type": {codec.KeyAnnounced}})
	if err != nil {
		return known, err
	}
	defer body.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		var line struct {
			Data struct {
				ID    string `json:"key_id"`
				Check string `json:"check"`
				State string `json:"state"`
			} `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return known, fmt.Errorf("http://%s/v1/events: unreadable line: %w", address, err)
		}
		status, err := keyring.ParseStatus(line.Data.State)
		if err != nil {
			return known, fmt.Errorf("http://%s/v1/events: key %s: %w", address, line.Data.ID, err)
		}
		known = known.Apply(keyring.Announced{Key: keyring.Key{ID: line.Data.ID, Check: line.Data.Check, Status: status}})
	}
	return known, lines.Err()
}

// printKeys prints the keys of a file, and those that only the store knows.
func (p *program) printKeys(k *keysFlags, ring *credential.Ring, known *keyring.State) error {
	var list []keyLine
	have := ring.Keys()
	for _, key := range have {
		list = append(list, keyLine{ID: key.ID, State: key.Status.String(), Check: key.Check, File: "yes"})
	}
	if known != nil {
		for i := range list {
			list[i].Store = "not announced yet"
		}
		for _, key := range known.Keys() {
			i := 0
			for i < len(list) && list[i].ID != key.ID {
				i++
			}
			if i == len(list) {
				list = append(list, keyLine{ID: key.ID, Check: key.Check, File: "no", Detail: "missing"})
			} else if list[i].Check != key.Check {
				list[i].Detail = "another key"
			}
			list[i].Store = key.Status.String()
		}
	}
	if k.asJSON {
		return json.NewEncoder(p.stdout).Encode(list)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tFILE\tSTORE\t") //nolint:errcheck // Flush tells
	for _, l := range list {
		in := l.State
		if in == "" {
			in = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.ID, in, l.Store, l.Detail) //nolint:errcheck // Flush tells
	}
	return w.Flush()
}
