package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// branch is one row of the decision table of LogoutUser.
type branch struct {
	name   string
	user   string
	token  func(s *server) (session, token string)
	stream func(session, command string) string
	events []wanted
}

// wanted is an event, its data field by field; $session and $command stand for the ids.
type wanted struct {
	name string
	data map[string]any
}

func inFamily(session, _ string) string { return "refreshToken-" + session }
func inLogout(_, command string) string { return "userLogout-" + command }

func refused(user, reason string, recognised bool) []wanted {
	failed := map[string]any{"user_id": user, "reason": reason}
	if recognised {
		failed["session_id"] = "$session"
	}
	return []wanted{{"UserLogoutAttempted", map[string]any{"user_id": user}}, {"UserLogoutFailed", failed}}
}

func succeeded(user string) []wanted {
	return []wanted{
		{"UserLogoutAttempted", map[string]any{"user_id": user}},
		{"TokenRevoked", map[string]any{
			"session_id": "$session", "user_id": user, "generation": 0.0, "reason": "logout", "revoked_by": user,
		}},
		{"UserLogoutSucceeded", map[string]any{"user_id": user, "session_id": "$session"}},
	}
}

func issuedTo(user string) func(*server) (string, string) {
	return func(s *server) (string, string) { return s.token(user) }
}

func literally(token string) func(*server) (string, string) {
	return func(*server) (string, string) { return "", token }
}

func branches() []branch {
	return []branch{
		{"a live token ends its session", "alice", issuedTo("alice"), inFamily, succeeded("alice")},
		{"an expired token ends its session", "alice", func(s *server) (string, string) {
			var r issued
			answer := s.mustRequest(natsapi.VerbIssueRefreshToken, map[string]any{"user_id": "alice", "ttl_seconds": 1})
			if err := json.Unmarshal(answer.body, &r); err != nil {
				s.t.Fatal(err)
			}
			expires, err := time.Parse(time.RFC3339Nano, r.ExpiresAt)
			if err != nil {
				s.t.Fatal(err)
			}
			<-time.After(time.Until(expires))
			return r.SessionID, r.RefreshToken
		}, inFamily, succeeded("alice")},
		{"a registered token ends its session", "alice", func(s *server) (string, string) {
			token := strings.ReplaceAll(newID(), "-", "")
			answer := s.mustRequest(natsapi.VerbRegisterRefreshToken, map[string]any{
				"user_id": "alice", "refresh_token": token, "expires_at": time.Now().Add(time.Hour).Format(time.RFC3339),
			})
			var r issued
			if err := json.Unmarshal(answer.body, &r); err != nil || answer.status != "" {
				s.t.Fatalf("register: status %q: %v", answer.status, err)
			}
			return r.SessionID, token
		}, inFamily, succeeded("alice")},
		{"another user's token lives on", "mallory", issuedTo("alice"), inLogout, refused("mallory", "token_user_mismatch", true)},
		{"a revoked token is refused", "alice", func(s *server) (string, string) {
			session, token := s.token("alice")
			s.logout(newID(), "alice", token)
			return session, token
		}, inLogout, refused("alice", "token_already_revoked", true)},
		{"another user's revoked token is his first of all", "mallory", func(s *server) (string, string) {
			session, token := s.token("alice")
			s.logout(newID(), "alice", token)
			return session, token
		}, inLogout, refused("mallory", "token_user_mismatch", true)},
		{"an opaque token that nobody registered", "alice", literally("0123456789abcdef0123456789abcdef"), inLogout, refused("alice", "token_not_found", false)},
		{"a forged native token", "alice", literally("lt1_" + strings.Repeat("A", 70)), inLogout, refused("alice", "token_not_found", false)},
		{"a native token with one character changed", "alice", func(s *server) (string, string) {
			_, token := s.token("alice")
			last := "A"
			if strings.HasSuffix(token, "A") {
				last = "B"
			}
			return "", token[:len(token)-1] + last
		}, inLogout, refused("alice", "token_not_found", false)},
		{"an empty token", "alice", literally(""), inLogout, refused("alice", "token_not_found", false)},
		{"a token that is too short", "alice", literally("short"), inLogout, refused("alice", "token_not_found", false)},
		{"a token that is too long", "alice", literally(strings.Repeat("x", 513)), inLogout, refused("alice", "token_not_found", false)},
		{"a token of 60 000 characters", "alice", literally(strings.Repeat("x", 60_000)), inLogout, refused("alice", "token_not_found", false)},
		{"a token with control characters", "alice", literally("0123456789\x00\n\tabcdef0123"), inLogout, refused("alice", "token_not_found", false)},
		{"a token that is not ASCII", "alice", literally("žluťoučký kůň úpěl ďábelské ódy"), inLogout, refused("alice", "token_not_found", false)},
	}
}

// TestNEW2EveryBranchOfALogout sends each row of the decision table through a plain NATS client,
// compares the events field by field and the replies byte by byte but for their ids.
func TestNEW2EveryBranchOfALogout(t *testing.T) {
	t.Parallel()
	inEveryWorld(t, everyBranchOfALogout)
}

func everyBranchOfALogout(t *testing.T, w *world) {
	s := w.start(t, t.TempDir())
	neutral := map[string]bool{}
	for _, b := range branches() {
		t.Run(b.name, func(t *testing.T) {
			session, token := b.token(s)
			command := newID()
			fields := logoutFields(command, b.user, token)
			fields["correlation_id"] = "order-66"
			answer := s.mustRequest(natsapi.VerbLogoutUser, fields)
			var r loggedOut
			if err := json.Unmarshal(answer.body, &r); err != nil || answer.status != "" {
				t.Fatalf("status %q: %v", answer.status, err)
			}
			checkEvents(t, s, b, session, command, r.Position)
			shape := strings.ReplaceAll(string(answer.body), command, "ID")
			neutral[regexp.MustCompile(`"position":"\d+"`).ReplaceAllString(shape, `"position":"N"`)] = true
			if strings.Contains(string(answer.body), token) && token != "" {
				t.Error("the reply contains the token")
			}
		})
	}
	want := `{"command_id":"ID","message":"Successfully logged out.","position":"N"}`
	if len(neutral) != 1 || !neutral[want] {
		t.Errorf("replies differ between branches: %v", slices.Collect(maps.Keys(neutral)))
	}
}

func checkEvents(t *testing.T, s *server, b branch, session, command, position string) {
	t.Helper()
	stream := b.stream(session, command)
	events := s.events(url.Values{"stream": {stream}})
	if stream == "refreshToken-"+session { // how the session began is not the logout's
		if len(events) == 0 || events[0].Type != "RefreshTokenIssued" {
			t.Fatalf("stream %s begins with %s", stream, typesOf(events))
		}
		events = events[1:]
	}
	if len(events) != len(b.events) {
		t.Fatalf("events %s, want %d", typesOf(events), len(b.events))
	}
	for i, want := range b.events {
		got := events[i]
		if got.Type != want.name {
			t.Errorf("event %d is %s, want %s", i, got.Type, want.name)
		}
		data := string(mustJSON(want.data))
		data = strings.ReplaceAll(data, "$session", session)
		if !equalJSON(t, got.Data, []byte(data)) {
			t.Errorf("%s: data %s, want %s", got.Type, got.Data, data)
		}
		checkMetadata(t, got, command, b.user)
		if id := uuid.NewSHA1(uuid.MustParse(command), fmt.Append(nil, i)).String(); got.ID != id {
			t.Errorf("%s: id %s, want %s", got.Type, got.ID, id)
		}
	}
	if last := events[len(events)-1].Position; position != last {
		t.Errorf("reply says position %s, the last event has %s", position, last)
	}
}

func checkMetadata(t *testing.T, e event, command, user string) {
	t.Helper()
	var meta map[string]any
	if err := json.Unmarshal(e.Metadata, &meta); err != nil {
		t.Fatal(err)
	}
	occurred, _ := meta["occurred_at"].(string)
	if at, err := time.Parse(time.RFC3339Nano, occurred); err != nil || !strings.HasSuffix(occurred, "Z") || len(occurred) != 30 || time.Since(at) > time.Hour {
		t.Errorf("%s: occurred_at %q", e.Type, occurred)
	}
	delete(meta, "occurred_at")
	if digest, _ := meta["command_digest"].(string); len(digest) != 32 {
		t.Errorf("%s: command_digest %q", e.Type, digest)
	}
	delete(meta, "command_digest")
	want := map[string]any{
		"$correlationId": "order-66", "$causationId": command, "command_id": command, "schema": 1.0,
		"actor":    map[string]any{"type": "user", "id": user},
		"client":   map[string]any{"ip_address": "192.0.2.7", "user_agent": "acceptance/1.0"},
		"producer": "logoutd",
	}
	if !equalJSON(t, mustJSON(meta), mustJSON(want)) {
		t.Errorf("%s: metadata %s, want %s", e.Type, mustJSON(meta), mustJSON(want))
	}
}

func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return string(mustJSON(x)) == string(mustJSON(y))
}

// TestNEW1HappyLogout: exactly one revocation and one success, and the session is no longer active.
func TestNEW1HappyLogout(t *testing.T) {
	t.Parallel()
	inEveryWorld(t, happyLogout)
}

func happyLogout(t *testing.T, w *world) {
	s := w.start(t, t.TempDir())
	session, token := s.token("alice")
	r := s.logout(newID(), "alice", token)
	got := typesOf(s.events(url.Values{"stream": {"refreshToken-" + session}}))
	if want := "RefreshTokenIssued UserLogoutAttempted TokenRevoked UserLogoutSucceeded"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	if status := s.sessionAt(session, r.Position).Status; status != "revoked" {
		t.Errorf("session is %s, want revoked", status)
	}
	var page struct{ Tokens []json.RawMessage }
	if err := json.Unmarshal(s.get("/v1/tokens", url.Values{"user_id": {"alice"}}), &page); err != nil || len(page.Tokens) != 0 {
		t.Errorf("alice still has %d active sessions: %v", len(page.Tokens), err)
	}
}
