package natsapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// minimal is a command of each verb with its required fields only.
var minimal = map[string]string{
	natsapi.VerbLogoutUser:           `{"user_id":"alice","refresh_token":"unknown to everybody"}`,
	natsapi.VerbIssueRefreshToken:    `{"user_id":"alice"}`,
	natsapi.VerbRegisterRefreshToken: `{"user_id":"alice","refresh_token":"an opaque, long token","expires_at":"2999-01-01T00:00:00Z"}`,
}

// with adds members to a minimal command.
func with(verb, members string) string {
	return strings.TrimSuffix(minimal[verb], "}") + "," + members + "}"
}

// set gives a member of a minimal command another value.
func set(verb, name, value string) string {
	rest := strings.TrimPrefix(without(verb, name), "{")
	if rest != "}" {
		rest = "," + rest
	}
	return fmt.Sprintf("{%q:%s%s", name, value, rest)
}

// without leaves a member out.
func without(verb, name string) string {
	var kept []string
	for _, member := range strings.Split(strings.Trim(minimal[verb], "{}"), `,"`) {
		if member = `"` + strings.TrimPrefix(member, `"`); !strings.HasPrefix(member, `"`+name+`"`) {
			kept = append(kept, member)
		}
	}
	return "{" + strings.Join(kept, ",") + "}"
}

func TestAMalformedCommandIsAnsweredWithTheNameOfItsField(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	tried := 0
	refuse := func(verb, name, payload, field, text string) {
		t.Helper()
		m := d.ask(verb, payload)
		a := wantError(t, m, "400", "invalid_command", field)
		if !strings.Contains(a.Message, text) || t.Failed() {
			t.Fatalf("%s, %s: %s", verb, name, m.Data)
		}
		wantHidden(t, name, string(m.Data)+fmt.Sprint(m.Header))
		tried++
	}
	quoted := `"` + marker + `"`
	for verb := range minimal {
		for _, c := range [][4]string{
			// name, payload, field, text
			{"nothing", "", "", "not valid JSON"},
			{"no JSON", marker, "", "not valid JSON at byte 0"},
			{"half of it", `{"user_id":` + quoted, "", "not valid JSON"},
			{"garbage behind it", minimal[verb] + marker, "", "not valid JSON"},
			{"a second command behind it", minimal[verb] + minimal[verb], "", "not valid JSON"},
			{"an array", `[` + quoted + `]`, "", "wrong type or is out of range: array"},
			{"a string", quoted, "", "wrong type or is out of range: string"},
			{"a number", "1", "", "wrong type or is out of range: number"},
			{"null", "null", "user_id", "is missing"},
			{"an empty object", "{}", "user_id", "is missing"},
			{"invalid UTF-8", `{"user_id":"` + marker + "\xff" + `"}`, "", "not valid JSON"},
			{"half a surrogate", `{"user_id":"` + marker + `\ud800"}`, "", "not valid JSON"},
			{"deep nesting", `{"client":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + "}", "client", "wrong type"},
			{"deep nesting of objects", strings.Repeat(`{"client":`, 5_000) + "1" + strings.Repeat("}", 5_000), "client.client", "is unknown"},
			{"too much of it", with(verb, `"actor":"`+strings.Repeat(marker, 2000)+`"`), "", "is over 65536 bytes"},
			{"too much space", minimal[verb] + strings.Repeat(" ", natsapi.MaxCommandBytes), "", "is over 65536 bytes"},
			{"an unknown field", with(verb, `"foo":`+quoted), "foo", "is unknown"},
			{"a field in another case", with(verb, `"User_ID":`+quoted), "User_ID", "is unknown"},
			{"an unknown field of client", with(verb, `"client":{"foo":`+quoted+`}`), "client.foo", "is unknown"},
			{"an unknown field of actor", with(verb, `"actor":{"type":"user","id":"x","Id":`+quoted+`}`), "actor.Id", "is unknown"},
			{"a field twice", with(verb, `"user_id":`+quoted), "user_id", "is there twice"},
			{"a nested field twice", with(verb, `"client":{"user_agent":"x","user_agent":`+quoted+`}`), "client.user_agent", "is there twice"},
			{"a field twice, once escaped", with(verb, `"user\u005fid":`+quoted), "user_id", "is there twice"},
			{"a command id that is none", with(verb, `"command_id":`+quoted), "command_id", "must be a UUID"},
			{"a command id in another form", with(verb, `"command_id":"{6ba7b810-9dad-11d1-80b4-00c04fd430c8}"`), "command_id", "must be a UUID"},
			{"a command id without dashes", with(verb, `"command_id":"6ba7b8109dad11d180b400c04fd430c8"`), "command_id", "must be a UUID"},
			{"an empty command id", with(verb, `"command_id":""`), "command_id", "must be a UUID"},
			{"the nil command id", with(verb, `"command_id":"00000000-0000-0000-0000-000000000000"`), "command_id", "not the nil one"},
			{"an address that is none", with(verb, `"client":{"ip_address":`+quoted+`}`), "client.ip_address", "IPv4 or IPv6"},
			{"a user agent that is far too long", with(verb, `"client":{"user_agent":"`+strings.Repeat("x", 2049)+`"}`), "client.user_agent", "at most 2048"},
			{"an actor type outside its set", with(verb, `"actor":{"type":`+quoted+`,"id":"x"}`), "actor.type", "must be user"},
			{"an empty actor", with(verb, `"actor":{}`), "actor.type", "must be user"},
			{"an actor without an id", with(verb, `"actor":{"type":"user"}`), "actor.id", "1 to 256"},
			{"a correlation id with a line end", with(verb, `"correlation_id":"`+marker+`\n"`), "correlation_id", "control characters"},
			{"a user id of nothing", strings.Replace(minimal[verb], `"alice"`, `""`, 1), "user_id", "must not be empty"},
			{"a user id with a control", strings.Replace(minimal[verb], `alice`, marker+`\u0000`, 1), "user_id", "control characters"},
			{"a user id that is too long", strings.Replace(minimal[verb], `alice`, strings.Repeat("x", 257), 1), "user_id", "at most 256"},
		} {
			refuse(verb, c[0], c[1], c[2], c[3])
		}
		for field, valid := range samples[verb] {
			for kind, value := range map[string]string{
				"number": "1", "boolean": "true", "array": "[]", "object": "{}", "string": `"1"`,
			} {
				object := field == "client" || field == "actor"
				if kind == "number" && field == "ttl_seconds" || kind == "string" && strings.HasPrefix(valid, `"`) || kind == "object" && object {
					continue // the right type
				}
				refuse(verb, field+" as "+kind, set(verb, field, value), field, "wrong type or is out of range: "+kind)
			}
		}
	}
	for verb, fields := range map[string][]string{
		natsapi.VerbLogoutUser: {"user_id", "refresh_token"}, natsapi.VerbIssueRefreshToken: {"user_id"},
		natsapi.VerbRegisterRefreshToken: {"user_id", "refresh_token", "expires_at"},
	} {
		for _, field := range fields {
			payload := without(verb, field)
			text := "is missing"
			if verb == natsapi.VerbRegisterRefreshToken && field == "refresh_token" {
				text = "or fingerprint is needed"
			}
			refuse(verb, "without "+field, payload, field, text)
			refuse(verb, "null for "+field, set(verb, field, "null"), field, text)
		}
	}
	if left := d.events(); len(left) != 0 || tried < 100 {
		t.Errorf("%d commands left %d events", tried, len(left))
	}
	if log := d.log.String(); log != "" {
		t.Errorf("logged: %s", log)
	}
}

func TestValuesThatAreOutOfRange(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	issue, register := natsapi.VerbIssueRefreshToken, natsapi.VerbRegisterRefreshToken
	session := d.issue("alice").SessionID
	before := len(d.events())
	for _, c := range []struct{ name, verb, payload, field string }{
		{"a life of nothing", issue, with(issue, `"ttl_seconds":0`), "ttl_seconds"},
		{"a negative life", issue, with(issue, `"ttl_seconds":-1`), "ttl_seconds"},
		{"a life of more than a year", issue, with(issue, `"ttl_seconds":31622401`), "ttl_seconds"},
		{"the longest life that 32 bits hold", issue, with(issue, `"ttl_seconds":4294967295`), "ttl_seconds"},
		{"a life beyond 32 bits", issue, with(issue, `"ttl_seconds":4294967297`), "ttl_seconds"},
		{"a life beyond everything", issue, with(issue, `"ttl_seconds":1e300`), "ttl_seconds"},
		{"a broken life", issue, with(issue, `"ttl_seconds":1.5`), "ttl_seconds"},
		{"a client id with a control", issue, with(issue, `"client_id":"`+marker+`\u001b"`), "client_id"},
		{"an expiry in the past", register, strings.Replace(minimal[register], "2999", "1999", 1), "expires_at"},
		{"an expiry that is no time", register, strings.Replace(minimal[register], "2999-", marker, 1), "expires_at"},
		{"an expiry without a zone", register, strings.Replace(minimal[register], "00Z", "00", 1), "expires_at"},
		{"an expiry after the last year", register, strings.Replace(minimal[register], "2999-01-01T00:00:00Z", "9999-12-31T23:00:00-02:00", 1), "expires_at"},
		{"a session id that is none", register, with(register, `"session_id":"`+marker+`"`), "session_id"},
		{"the nil session id", register, with(register, `"session_id":"00000000-0000-0000-0000-000000000000"`), "session_id"},
		{"a fingerprint that is none", register, with(register, `"fingerprint":"`+marker+`"`), "fingerprint"},
		{"a fingerprint in upper case", register, with(register, `"fingerprint":"`+strings.Repeat("A", 64)+`"`), "fingerprint"},
		{"token and fingerprint", register, with(register, `"fingerprint":"`+strings.Repeat("a", 64)+`"`), "refresh_token"},
		{"a token that is too short", register, strings.Replace(minimal[register], "an opaque, long token", "short", 1), "refresh_token"},
		{"a token that is not printable", register, strings.Replace(minimal[register], "an opaque, long token", marker+`\n`, 1), "refresh_token"},
		{"a token that looks native", register, strings.Replace(minimal[register], "an opaque, long token", "lt1_"+marker, 1), "refresh_token"},
	} {
		m := d.ask(c.verb, c.payload)
		wantError(t, m, "400", "invalid_command", c.field)
		wantHidden(t, c.name, string(m.Data)+fmt.Sprint(m.Header)+d.log.String())
	}
	taken := d.ask(register, with(register, fmt.Sprintf(`"session_id":%q`, session)))
	if a := wantError(t, taken, "409", "conflict", ""); a.Reason != "session_exists" {
		t.Errorf("%s", taken.Data)
	}
	if left := d.events(); len(left) != before {
		t.Errorf("left %d events", len(left)-before)
	}
}
