package natsapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// samples is a valid value for every field of every verb.
var samples = func() map[string]map[string]string {
	common := map[string]string{
		"command_id": `"6ba7b810-9dad-11d1-80b4-00c04fd430c8"`, "correlation_id": `"c"`,
		"client": `{"ip_address":"192.0.2.1","user_agent":"x"}`, "actor": `{"type":"admin","id":"carol"}`,
	}
	all := map[string]map[string]string{
		natsapi.VerbLogoutUser:        {"user_id": `"alice"`, "refresh_token": `"unknown to everybody"`},
		natsapi.VerbIssueRefreshToken: {"user_id": `"alice"`, "client_id": `"web"`, "ttl_seconds": "60"},
		natsapi.VerbRegisterRefreshToken: {
			"user_id": `"alice"`, "refresh_token": `"an opaque, long token"`, "fingerprint": `"` + strings.Repeat("a", 64) + `"`,
			"expires_at": `"2999-01-01T00:00:00Z"`, "session_id": `"018f0000-0000-7000-8000-000000000001"`,
		},
	}
	for _, fields := range all {
		for name, value := range common {
			fields[name] = value
		}
	}
	return all
}()

type schema struct {
	Type       string            `json:"type"`
	Additional *bool             `json:"additionalProperties"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
}

func TestTheServiceIsDiscoverable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, kind := range []string{"PING", "INFO", "STATS"} {
		m, err := d.client.Request("$SRV."+kind+".logoutd", nil, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var identity struct {
			micro.ServiceIdentity
			Type string `json:"type"`
		}
		if err := json.Unmarshal(m.Data, &identity); err != nil || identity.Name != "logoutd" || identity.Version != "1.2.3" ||
			identity.Type != "io.nats.micro.v1."+strings.ToLower(kind)+"_response" {
			t.Errorf("%s: %s %v", kind, m.Data, err)
		}
	}
	info := d.info()
	if len(info.Endpoints) != 3 {
		t.Errorf("%d endpoints", len(info.Endpoints))
	}
	for _, e := range info.Endpoints {
		if e.Subject != "auth.commands.v1."+e.Name || e.QueueGroup == "" || minimal[e.Name] == "" {
			t.Errorf("%+v", e)
		}
	}
}

func (d *desk) info() micro.Info {
	d.t.Helper()
	m, err := d.client.Request("$SRV.INFO.logoutd", nil, 10*time.Second)
	if err != nil {
		d.t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(m.Data, &info); err != nil {
		d.t.Fatal(err)
	}
	return info
}

// The published schemas and the decoder agree in both directions.
func TestTheSchemasAreWhatTheDecoderAccepts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	everywhere := map[string]bool{"message": true, "position": true, "generation": true, "code": true, "access_token": true, "reason": true}
	requests := map[string]schema{}
	for _, e := range d.info().Endpoints {
		var request schema
		if err := json.Unmarshal([]byte(e.Metadata["request_schema"]), &request); err != nil || request.Type != "object" || e.Metadata["format"] != "application/json" {
			t.Fatalf("%s: %+v %v", e.Name, request, err)
		}
		requests[e.Name] = request
		for name := range request.Properties {
			everywhere[name] = true
		}
	}
	for verb, request := range requests {
		if len(request.Properties) != len(samples[verb]) {
			t.Errorf("%s has %d properties, the test knows %d", verb, len(request.Properties), len(samples[verb]))
		}
		closed(t, verb, request)
		for name := range everywhere {
			payload := set(verb, name, sample(verb, name))
			if name == "fingerprint" && verb == natsapi.VerbRegisterRefreshToken {
				payload = strings.Replace(payload, `"refresh_token":"an opaque, long token",`, "", 1)
			}
			if name == "session_id" && verb == natsapi.VerbRegisterRefreshToken {
				payload = strings.Replace(payload, "an opaque, long token", "another opaque, long token", 1)
			}
			// Each command under an id of its own, so that none repeats another.
			if name != "command_id" {
				payload = strings.Replace(payload, "{", fmt.Sprintf(`{"command_id":%q,`, uuid.NewString()), 1)
			} else {
				payload = strings.Replace(payload, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", uuid.NewString(), 1)
			}
			_, known := request.Properties[name]
			if m := d.ask(verb, payload); known {
				if a := read(t, m); a.status != "" {
					t.Errorf("%s: %s stands in the schema and is refused: %s", verb, name, m.Data)
				}
			} else {
				wantError(t, m, "400", "invalid_command", name)
			}
		}
		for _, name := range request.Required {
			if a := read(t, d.ask(verb, without(verb, name))); a.status != "400" || a.Field != name {
				t.Errorf("%s: %s is required and may be left out: %+v", verb, name, a)
			}
		}
		for _, nested := range []string{"client", "actor"} {
			wantNested(t, d, verb, nested, request.Properties[nested])
		}
	}
}

func sample(verb, name string) string {
	if value, ok := samples[verb][name]; ok {
		return value
	}
	return `"x"`
}

// closed checks that a schema, and every one inside it, refuses what it does not name.
func closed(t *testing.T, where string, s schema) {
	t.Helper()
	if s.Type == "object" && (s.Additional == nil || *s.Additional) {
		t.Errorf("%s allows additional properties", where)
	}
	for _, name := range s.Required {
		if _, ok := s.Properties[name]; !ok {
			t.Errorf("%s requires %s, which it does not describe", where, name)
		}
	}
	for name, inner := range s.Properties {
		closed(t, where+"."+name, inner)
	}
}

func wantNested(t *testing.T, d *desk, verb, name string, s schema) {
	t.Helper()
	values := map[string]string{"ip_address": `"192.0.2.1"`, "user_agent": `"x"`, "type": `"user"`, "id": `"x"`}
	for _, inner := range []string{"ip_address", "user_agent", "type", "id", "foo"} {
		_, known := s.Properties[inner]
		value := values[inner]
		if value == "" {
			value = `"x"`
		}
		a := read(t, d.ask(verb, with(verb, fmt.Sprintf(`%q:{%q:%s}`, name, inner, value))))
		if refused := a.Field == name+"."+inner && strings.Contains(a.Message, "is unknown"); refused == known {
			t.Errorf("%s: %s.%s is in the schema: %t, and is answered %+v", verb, name, inner, known, a)
		}
	}
}

// Every field of a reply is described, and every required one is there.
func TestTheRepliesAreWhatTheirSchemasSay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, e := range d.info().Endpoints {
		var response schema
		if err := json.Unmarshal([]byte(e.Metadata["response_schema"]), &response); err != nil {
			t.Fatal(err)
		}
		var reply map[string]any
		if err := json.Unmarshal(d.ask(e.Name, minimal[e.Name]).Data, &reply); err != nil {
			t.Fatal(err)
		}
		for name := range reply {
			if _, ok := response.Properties[name]; !ok || !slices.Contains(response.Required, name) {
				t.Errorf("%s answers %s, which its schema does not promise", e.Name, name)
			}
		}
		for _, name := range response.Required {
			if _, ok := reply[name]; !ok {
				t.Errorf("%s does not answer %s, which its schema promises", e.Name, name)
			}
		}
	}
}

func TestTheServiceListensOnItsPrefix(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(_ *desk, c *natsapi.Config) { c.SubjectPrefix = "eu-1.auth" })
	m, err := d.client.Request("eu-1.auth.commands.v1.issue_refresh_token", []byte(`{"user_id":"alice"}`), 10*time.Second)
	if err != nil || read(t, m).status != "" {
		t.Error(err)
	}
	if _, err := d.client.Request("auth.commands.v1.issue_refresh_token", nil, 10*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("the default prefix answers as well: %v", err)
	}
}

func TestWhatCannotBeAServiceIsRefused(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "é", "a\n"} {
		if err := natsapi.CheckSubjectPrefix(prefix); err == nil {
			t.Errorf("prefix %q was taken", prefix)
		}
	}
	if s, err := natsapi.New(natsapi.Config{}); err == nil || s != nil {
		t.Error("made a service of nothing")
	}
}

// The statistics count what micro cannot.
func TestTheStatisticsCountEveryCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	verb := natsapi.VerbLogoutUser
	for range 3 {
		d.mustAsk(verb, logoutOf("alice", "unknown to everybody"))
	}
	for range 2 {
		d.ask(verb, "malformed")
	}
	s := d.stats()[verb]
	if s.Accepted != 5 || s.Answered != 3 || s.Failed != 2 || s.AverageUS <= 0 || s.QueueLimit != 1000 {
		t.Errorf("%+v", s)
	}
	if s := d.stats()[natsapi.VerbIssueRefreshToken]; s.Accepted != 0 || s.Answered != 0 {
		t.Errorf("%+v", s)
	}
}

func (d *desk) stats() map[string]natsapi.Stats {
	d.t.Helper()
	m, err := d.client.Request("$SRV.STATS.logoutd", nil, 10*time.Second)
	if err != nil {
		d.t.Fatal(err)
	}
	var all struct {
		Endpoints []struct {
			Name string        `json:"name"`
			Data natsapi.Stats `json:"data"`
		} `json:"endpoints"`
	}
	if err := json.Unmarshal(m.Data, &all); err != nil {
		d.t.Fatal(err)
	}
	out := map[string]natsapi.Stats{}
	for _, e := range all.Endpoints {
		out[e.Name] = e.Data
	}
	return out
}
