package natsapi_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/commands/natsapi"
)

func TestTheMessageIDIsTheCommandID(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	verb, id := natsapi.VerbIssueRefreshToken, uuid.NewString()
	first := d.mustAsk(verb, minimal[verb], "Nats-Msg-Id", id)
	if first.CommandID != id {
		t.Errorf("%s, asked under %s", first.CommandID, id)
	}
	if again := d.mustAsk(verb, minimal[verb], "Nats-Msg-Id", strings.ToUpper(id)); again != first {
		t.Errorf("first %+v, then %+v", first, again)
	}
	// A text that is no UUID becomes one, always the same.
	seen := map[string]bool{id: true}
	for _, text := range []string{"order 4711", "order 4712", strings.ReplaceAll(id, "-", ""), "{" + id + "}", "urn:uuid:" + id} {
		first := d.mustAsk(verb, minimal[verb], "Nats-Msg-Id", text)
		if again := d.mustAsk(verb, minimal[verb], "Nats-Msg-Id", text); again != first {
			t.Errorf("%s: first %+v, then %+v", text, first, again)
		}
		if _, err := uuid.Parse(first.CommandID); err != nil || seen[first.CommandID] {
			t.Errorf("%s: command id %s: %v", text, first.CommandID, err)
		}
		seen[first.CommandID] = true
	}
	// The field goes first, and a header in another case is another header.
	own := uuid.NewString()
	if a := d.mustAsk(verb, set(verb, "command_id", `"`+own+`"`), "Nats-Msg-Id", id); a.CommandID != own {
		t.Errorf("%+v", a)
	}
	if a := d.mustAsk(verb, minimal[verb], "nats-msg-id", id); a.CommandID == id {
		t.Errorf("%+v", a)
	}
	// Without either, each delivery is a command of its own.
	if a, b := d.mustAsk(verb, minimal[verb]), d.mustAsk(verb, minimal[verb]); a.CommandID == b.CommandID || a.SessionID == b.SessionID {
		t.Errorf("%+v and %+v", a, b)
	}
	wantError(t, d.ask(verb, minimal[verb], "Nats-Msg-Id", uuid.Nil.String()), "400", "invalid_command", "command_id")
}

func TestTheTraceContextIsRecorded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct{ parent, state, wantParent, wantState string }{
		"both":                        {parent, "vendor=1,other=2", parent, "vendor=1,other=2"},
		"no state":                    {parent, "", parent, ""},
		"a version of the future":     {"cc" + parent[2:], "", "cc" + parent[2:], ""},
		"a state without its parent":  {"", "vendor=1", "", ""},
		"a version that is forbidden": {"ff" + parent[2:], "vendor=1", "", ""},
		"no trace id":                 {"00-" + strings.Repeat("0", 32) + parent[35:], "", "", ""},
		"no parent id":                {parent[:36] + strings.Repeat("0", 16) + "-01", "", "", ""},
		"upper case":                  {strings.ToUpper(parent), "", "", ""},
		"too short":                   {parent[:54], "", "", ""},
		"too long":                    {parent + "0", "", "", ""},
		"another form":                {strings.ReplaceAll(parent, "-", "_"), "", "", ""},
		"no hexadecimal digit":        {"00-" + strings.Repeat("g", 32) + parent[35:], "", "", ""},
		"a state that is too long":    {parent, strings.Repeat("a", 513), parent, ""},
		"a state not printable":       {parent, "vendor=\u00e9", parent, ""},
	} {
		var headers []string
		if c.parent != "" {
			headers = append(headers, "traceparent", c.parent)
		}
		if c.state != "" {
			headers = append(headers, "tracestate", c.state)
		}
		a := d.mustAsk(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"), headers...)
		events := d.metadata(a.CommandID)
		if len(events) != 2 {
			t.Errorf("%s: %d events", name, len(events))
		}
		for _, m := range events {
			if m.Traceparent != c.wantParent || m.Tracestate != c.wantState {
				t.Errorf("%s: recorded %q %q", name, m.Traceparent, m.Tracestate)
			}
		}
	}
}

func TestTheEnvelopeIsRecorded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	verb := natsapi.VerbLogoutUser
	a := d.mustAsk(verb, with(verb, `"correlation_id":"c-1","client":{"ip_address":"192.0.2.1","user_agent":"Browser"},"actor":{"type":"admin","id":"carol"}`))
	for _, m := range d.metadata(a.CommandID) {
		if m.CorrelationID != "c-1" || m.CausationID != a.CommandID || m.Client.IPAddress != "192.0.2.1" ||
			m.Client.UserAgent != "Browser" || m.Actor.Type != "admin" || m.Actor.ID != "carol" {
			t.Errorf("%+v", m)
		}
	}
	// Who says nothing is taken for the user, and the peer on NATS for nobody. Null is nothing.
	for _, payload := range []string{minimal[verb], with(verb, `"client":null,"actor":null,"correlation_id":null,"command_id":null`)} {
		b := d.mustAsk(verb, payload)
		for _, m := range d.metadata(b.CommandID) {
			if m.CorrelationID != b.CommandID || m.Client.IPAddress != "" || m.Actor.Type != "user" || m.Actor.ID != "alice" {
				t.Errorf("%+v", m)
			}
		}
	}
}
