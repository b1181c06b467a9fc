package natsapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands/natsapi"
)

func TestTheClientAsksAndReads(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := natsapi.Client{Conn: d.client}
	var issued answer
	if err := c.Request(t.Context(), natsapi.VerbIssueRefreshToken, map[string]any{"user_id": "alice"}, &issued); err != nil || issued.RefreshToken == "" {
		t.Fatalf("%+v %v", issued, err)
	}
	var refused *natsapi.ReplyError
	err := c.Request(t.Context(), natsapi.VerbIssueRefreshToken, map[string]any{"user": "alice"}, &issued)
	if !errors.As(err, &refused) || refused.Status != "400" || refused.Field != "user" || !strings.Contains(err.Error(), "400 invalid_command: field user is unknown") {
		t.Errorf("%v", err)
	}
	if err := c.Request(t.Context(), natsapi.VerbIssueRefreshToken, func() {}, &issued); err == nil {
		t.Error("marshalled a function")
	}
}

func TestTheClientSaysWhyItHasNoAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	err := natsapi.Client{Conn: d.client, SubjectPrefix: "other"}.Request(t.Context(), natsapi.VerbIssueRefreshToken, 1, nil)
	if err == nil || !strings.Contains(err.Error(), "no logoutd listens on other.commands.v1.issue_refresh_token") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = natsapi.Client{Conn: d.client}.Request(ctx, natsapi.VerbIssueRefreshToken, 1, nil)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "same command_id") {
		t.Errorf("%v", err)
	}
	for subject, m := range map[string]*nats.Msg{
		"text.commands.v1.x":  {Data: []byte("no JSON")},
		"error.commands.v1.x": {Data: []byte("no JSON"), Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {"it says"}}},
	} {
		if _, err := d.client.Subscribe(subject, func(r *nats.Msg) { d.must(r.RespondMsg(m)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := (natsapi.Client{Conn: d.client, SubjectPrefix: "text"}).Request(t.Context(), "x", 1, &answer{}); err == nil || !strings.Contains(err.Error(), "unreadable reply") {
		t.Errorf("%v", err)
	}
	if err := (natsapi.Client{Conn: d.client, SubjectPrefix: "error"}).Request(t.Context(), "x", 1, &answer{}); err == nil || !strings.Contains(err.Error(), "it says") {
		t.Errorf("%v", err)
	}
}
