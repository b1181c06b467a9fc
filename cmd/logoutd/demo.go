package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/commands/natsapi"
)

func (p *program) demoCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show every branch of a logout, with the reply and the events that it leaves",
		Long: `Start a logoutd on free ports and a folder that is deleted afterwards, send every kind of logout to it over NATS,
and print each reply with the events that it left. Nothing else on the machine is touched.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each step")
	return cmd
}

// step is one command of the demo and what came of it.
type step struct {
	Title  string          `json:"title"`
	Status string          `json:"status"` // "ok", or the code of the error reply
	Reply  json.RawMessage `json:"reply"`
	Events []event         `json:"events"`
}

// demo runs a whole logoutd beside its own client, and ends with it.
func (p *program) demo(ctx context.Context, asJSON bool) (err error) {
	data, err := os.MkdirTemp("", "logoutd-demo-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	settings, err := demoSettings(data)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the demo did not end within a minute"))
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	ready, served := make(chan addresses, 1), make(chan error, 1)
	go func() { // received below
		served <- serve(serving, settings, zerolog.New(p.stderr).Level(zerolog.WarnLevel), func(a addresses) error {
			ready <- a
			return nil
		})
	}()
	select {
	case a := <-ready:
		err = p.demoSteps(ctx, a, asJSON)
		stop()
		return errors.Join(err, <-served)
	case err := <-served:
		stop()
		return err
	}
}

func demoSettings(data string) (config.Serve, error) {
	var s config.Serve
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	s.AddFlags(flags)
	s.Data, s.NATSListen, s.HTTP, s.ESDB.Listen = data, "127.0.0.1:0", "127.0.0.1:0", ""
	return s, s.Complete(flags)
}

// demoSteps sends the commands of the demo, in order.
func (p *program) demoSteps(ctx context.Context, a addresses, asJSON bool) error {
	conn, err := nats.Connect(a.NATS, nats.Name("logoutd demo"))
	if err != nil {
		return err
	}
	defer conn.Close()
	d := &demonstration{
		program: p, ctx: ctx, http: a.HTTP, asJSON: asJSON,
		client: natsapi.Client{Conn: conn},
	}
	alice := d.issue("alice opens a session", "alice")
	bob := d.issue("bob opens a session", "bob")
	opaque := strings.ReplaceAll(uuid.NewString(), "-", "")
	d.send("a login service registers a token of its own making for alice", natsapi.VerbRegisterRefreshToken, map[string]any{
		"user_id": "alice", "refresh_token": opaque, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	})
	first := uuid.NewString()
	d.logout("alice logs out: the token is alive, and the session ends", first, "alice", alice)
	d.logout("the same command again: the first reply, and nothing is added", first, "alice", alice)
	d.logout("a second command with that token: it is revoked already", uuid.NewString(), "alice", alice)
	d.logout("alice presents bob's token: his session lives on, the record names it", uuid.NewString(), "alice", bob)
	d.logout("mallory makes up a token: nobody knows it", uuid.NewString(), "mallory", "lt1_"+strings.Repeat("A", 70))
	d.logout("mallory sends something that cannot be a token", uuid.NewString(), "mallory", "'; drop table tokens; --")
	d.logout("alice logs out with the registered token", uuid.NewString(), "alice", opaque)
	d.send("a command without a token: 400, and no event", natsapi.VerbLogoutUser, map[string]any{"user_id": "alice"})
	d.sessions()
	return d.err
}

// demonstration sends commands and prints what comes of them, until something goes wrong.
type demonstration struct {
	*program
	ctx    context.Context //nolint:containedctx // lives as long as the demo
	client natsapi.Client
	http   string
	asJSON bool
	seen   string // position of the last event that was printed
	steps  int
	err    error
}

func (d *demonstration) issue(title, user string) string {
	var reply issued
	if raw := d.send(title, natsapi.VerbIssueRefreshToken, map[string]any{"user_id": user}); raw != nil {
		d.err = json.Unmarshal(raw, &reply)
	}
	return reply.RefreshToken
}

func (d *demonstration) logout(title, command, user, token string) {
	d.send(title, natsapi.VerbLogoutUser, map[string]any{
		"command_id": command, "user_id": user, "refresh_token": token,
		"client": map[string]string{"ip_address": "192.0.2.7", "user_agent": "demo/1.0"},
	})
}

func (d *demonstration) send(title, verb string, fields map[string]any) json.RawMessage {
	if d.err != nil {
		return nil
	}
	s := step{Title: title, Status: "ok"}
	var refused *natsapi.ReplyError
	err := d.client.Request(d.ctx, verb, fields, &s.Reply)
	if errors.As(err, &refused) {
		s.Status = refused.Status
		s.Reply, err = json.Marshal(refused.ErrorReply)
	}
	if err == nil {
		s.Events, err = d.newEvents()
	}
	reply := s.Reply
	s.Reply = hideToken(reply)
	if d.err = err; err == nil {
		d.err = d.print(s)
	}
	return reply
}

// newEvents reads what was recorded since the last step.
func (d *demonstration) newEvents() ([]event, error) {
	query := url.Values{}
	if d.seen != "" {
		query.Set("from", d.seen)
	}
	body, err := get(d.ctx, d.http, "/v1/events", query)
	if err != nil {
		return nil, err
	}
	defer body.Close() //nolint:errcheck // decoded to its end
	events := []event{}
	for lines := json.NewDecoder(body); lines.More(); {
		var e event
		if err := lines.Decode(&e); err != nil {
			return nil, err
		}
		events, d.seen = append(events, e), e.Position
	}
	return events, nil
}

func (d *demonstration) print(s step) error {
	d.steps++
	if d.asJSON {
		return json.NewEncoder(d.stdout).Encode(s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%2d. %s\n    reply  %s %s\n", d.steps, s.Title, s.Status, s.Reply)
	for _, e := range s.Events {
		stream := e.Stream
		if strings.HasPrefix(stream, "tokenFingerprint-") {
			stream = "tokenFingerprint-…" // the name is the token's fingerprint: not for a screen
		}
		fmt.Fprintf(&b, "    event  %2s %-26s %s%s\n", e.Position, e.Type, stream, reasonOf(e))
	}
	if len(s.Events) == 0 {
		b.WriteString("    event  none\n")
	}
	_, err := fmt.Fprint(d.stdout, b.String())
	return err
}

// reasonOf is why something was refused or revoked, where the event says it.
func reasonOf(e event) string {
	var data struct{ Reason string }
	if json.Unmarshal(e.Data, &data) != nil || data.Reason == "" {
		return ""
	}
	return "  " + data.Reason
}

// hideToken keeps minted tokens off the screen.
func hideToken(reply json.RawMessage) json.RawMessage {
	var fields map[string]any
	if json.Unmarshal(reply, &fields) != nil || fields["refresh_token"] == nil {
		return reply
	}
	fields["refresh_token"] = "lt1_…"
	shown, err := json.Marshal(fields)
	if err != nil {
		return nil // unreachable: it was JSON
	}
	return shown
}

// sessions shows what a dashboard sees at the end.
func (d *demonstration) sessions() {
	if d.err != nil || d.asJSON {
		return
	}
	var page json.RawMessage
	if d.err = getJSON(d.ctx, d.http, "/v1/tokens", url.Values{"status": {"all"}, "min_position": {d.seen}}, &page); d.err != nil {
		return
	}
	fmt.Fprint(d.stdout, "\nthe read model, as dashboards see it:\n") //nolint:errcheck // printSessions tells
	d.err = d.printSessions(page, false)
}
