package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

func TestListsActiveTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.Issue("ada", "web")
	r.LogOut(r.Issue("bob", ""), "bob")
	r.sync()
	answer := r.get("/v1/tokens")
	const want = `{"tokens":[{"session_id":"019b0000-0000-7000-8000-000000000000","user_id":"ada","client_id":"web",` +
		`"token_kind":"registered","generation":0,"status":"active","issued_at":"2026-01-02T03:04:05.000000000Z",` +
		`"expires_at":"2026-01-02T04:04:05.000000000Z","absolute_expires_at":"2026-01-03T03:04:05.000000000Z",` +
		`"position":"1"}],"position":"5"}` + "\n"
	if got := answer.Body.String(); answer.Code != http.StatusOK || got != want {
		t.Errorf("GET /v1/tokens: %d\n%s, want\n%s", answer.Code, got, want)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Logoutd-Position": "5", "Access-Control-Allow-Origin": "",
	} {
		if got := answer.Header().Get(name); got != value {
			t.Errorf("header %s is %q, want %q", name, got, value)
		}
	}
}

func TestShowsRevokedToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.Issue("bob", "")
	r.LogOut(f, "bob")
	r.sync()
	o := decode(t, r.get("/v1/tokens/"+strings.ToUpper(f.ID().String())).Body)
	for name, want := range map[string]string{
		"session_id": f.ID().String(), "status": "revoked", "revoked_reason": "logout", "revoked_by": "bob",
		"revoked_at": "2026-01-02T03:04:05.002000000Z", "position": "4",
	} {
		if got := o.text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if head := r.ask(http.MethodHead, "/v1/tokens/"+f.ID().String()); head.Code != http.StatusOK || head.Header().Get("Logoutd-Position") != "4" {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
}

func TestStatusFollowsTheClock(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ada := r.Issue("ada", "")
	r.Rotate(r.Issue("bob", ""))
	r.LogOut(r.Issue("eve", ""), "eve")
	r.sync()
	r.setClock(ada.State.ExpiresAt)
	for status, want := range map[string]string{"": "bob", "active": "bob", "expired": "ada", "revoked": "eve", "all": "eve bob ada"} {
		path := "/v1/tokens?status=" + status
		if status == "" {
			path = "/v1/tokens"
		}
		if got := users(decode(t, r.get(path).Body)); got != want {
			t.Errorf("GET %s: %q, want %q", path, got, want)
		}
	}
	if got := decode(t, r.get("/v1/tokens/"+ada.ID().String()).Body).text("status"); got != "expired" {
		t.Errorf("a token that has expired is shown as %q", got)
	}
}

// users lists whose the tokens of a page are.
func users(page object) string {
	var names []string
	tokens, _ := page["tokens"].([]any)
	for _, token := range tokens {
		fields, _ := token.(map[string]any)
		names = append(names, object(fields).text("user_id"))
	}
	return strings.Join(names, " ")
}

func TestPagesOfTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, of := range [][2]string{{"ada", "web"}, {"bob", "web"}, {"ada", "app"}, {"ada", "web"}, {"ada", ""}} {
		r.Issue(of[0], of[1])
	}
	r.sync()
	for query, want := range map[string]string{
		"limit=2":                           "ada ada ada bob ada",
		"limit=1&user_id=ada":               "ada ada ada ada",
		"limit=1&client_id=web":             "ada bob ada",
		"limit=5&user_id=ada&client_id=web": "ada ada",
		"user_id=nobody":                    "",
	} {
		var all []string
		path := "/v1/tokens?" + query
		for cursor := ""; ; {
			page := decode(t, r.get(path+cursor).Body)
			if got := users(page); got != "" {
				all = append(all, got)
			}
			if page.text("next_cursor") == "" {
				break
			}
			cursor = "&cursor=" + page.text("next_cursor")
		}
		if got := strings.Join(all, " "); got != want {
			t.Errorf("GET %s: %q, want %q", path, got, want)
		}
	}
}

func TestRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.Issue("ada", "")
	for range 2 {
		r.Rotate(f)
	}
	r.sync()
	other := decode(t, r.get("/v1/tokens/"+f.ID().String()+"/timeline?limit=1").Body).text("next_cursor")
	for path, parameter := range map[string]string{
		"/v1/tokens?userid=ada":                      "userid",
		"/v1/tokens?follow=true":                     "follow",
		"/v1/tokens?user_id=ada&user_id=bob":         "user_id",
		"/v1/tokens?user_id=":                        "user_id",
		"/v1/tokens?client_id=a%00b":                 "client_id",
		"/v1/tokens?limit=0":                         "limit",
		"/v1/tokens?limit=1001":                      "limit",
		"/v1/tokens?limit=ten":                       "limit",
		"/v1/tokens?status=dead":                     "status",
		"/v1/tokens?cursor=zzz":                      "cursor",
		"/v1/tokens?cursor=" + other:                 "cursor",
		"/v1/tokens?min_position=-1":                 "min_position",
		"/v1/tokens?wait_ms=30001":                   "wait_ms",
		"/v1/tokens?a=%zz":                           "",
		"/v1/tokens/ada":                             "session_id",
		"/v1/tokens/ada/timeline":                    "session_id",
		"/v1/tokens/" + f.ID().String() + "?limit=1": "limit",
		"/v1/events?min_position=1":                  "min_position",
		"/v1/events?from=x":                          "from",
		"/v1/events?follow=maybe":                    "follow",
		"/v1/events?type=A,,B":                       "type",
		"/v1/events?stream=%0a":                      "stream",
		"/v1/events?limit=0":                         "limit",
		"/healthz?x=1":                               "x",
		"/readyz?x=1":                                "x",
	} {
		if got := r.problem(path, http.StatusBadRequest, "invalid_parameter").text("parameter"); got != parameter {
			t.Errorf("GET %s names parameter %q, want %q", path, got, parameter)
		}
	}
	r.problem("/v1/tokens/"+memstoretest.SessionID(77).String(), http.StatusNotFound, "not_found")
	r.problem("/v1/tokens/"+memstoretest.SessionID(77).String()+"/timeline", http.StatusNotFound, "not_found")
	r.problem("/v1/nothing", http.StatusNotFound, "not_found")
	r.problem("/", http.StatusNotFound, "not_found")
	if answer := r.ask(http.MethodPost, "/v1/tokens"); answer.Code != http.StatusMethodNotAllowed ||
		answer.Header().Get("Allow") != "GET, HEAD" || decode(t, answer.Body).text("code") != "method_not_allowed" {
		t.Errorf("POST: %d %v", answer.Code, answer.Header())
	}
}

func TestHidesTheFingerprint(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.Issue("ada", "")
	r.sync()
	const fingerprint = "0000000000000000000000000000000000000000000000000000000000000000"
	for _, path := range []string{"/v1/tokens", "/v1/tokens/" + f.ID().String()} {
		if strings.Contains(r.get(path).Body.String(), fingerprint) {
			t.Errorf("GET %s shows the fingerprint", path)
		}
	}
	if !strings.Contains(r.get("/v1/events").Body.String(), fingerprint) {
		t.Error("the event is not shown as it is stored")
	}
}

func TestTimelineMergesRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f, g := r.Issue("ada", ""), r.Issue("bob", "") // 1, 2
	r.LogOut(f, "mallory")                         // 3, 4
	r.Rotate(f)                                    // 5
	r.LogOut(g, "mallory")                         // 6, 7: not ours
	r.LogOutUnknown("mallory")                     // 8, 9: nobody's
	r.LogOut(f, "ada")                             // 10, 11, 12
	r.LogOut(f, "ada")                             // 13, 14
	r.sync()
	const want = "1 RefreshTokenIssued, 3 UserLogoutAttempted, 4 UserLogoutFailed, 5 RefreshTokenRotated, " +
		"10 UserLogoutAttempted, 11 TokenRevoked, 12 UserLogoutSucceeded, 13 UserLogoutAttempted, 14 UserLogoutFailed"
	for _, limit := range []string{"", "?limit=1", "?limit=2", "?limit=3", "?limit=4", "?limit=9", "?limit=1000"} {
		var all []string
		path := "/v1/tokens/" + f.ID().String() + "/timeline" + limit
		for cursor := ""; ; {
			page := decode(t, r.get(path+cursor).Body)
			if page.text("position") != "14" || page.text("session_id") != f.ID().String() {
				t.Fatalf("GET %s: %v", path, page)
			}
			events, _ := page["events"].([]any)
			for _, e := range events {
				fields, _ := e.(map[string]any)
				all = append(all, object(fields).text("position")+" "+object(fields).text("type"))
			}
			if page.text("next_cursor") == "" {
				break
			}
			cursor = "&cursor=" + page.text("next_cursor")
		}
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("GET %s:\n%s, want\n%s", path, got, want)
		}
	}
}

// What the read model has not applied yet is not in its timeline either.
func TestTimelineIsOfOneMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.store.Tamper(func(e *eventstore.Recorded) bool { return e.Position <= 2 })
	f := r.Issue("ada", "")
	r.Rotate(f)
	if err := r.runner.WaitFor(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	r.LogOut(f, "ada")
	page := decode(t, r.get("/v1/tokens/"+f.ID().String()+"/timeline").Body)
	if events, _ := page["events"].([]any); len(events) != 2 || page.text("position") != "2" {
		t.Errorf("timeline at 2: %v", page)
	}
}

func TestTimesOutOfRangeAreStillTimes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.setClock(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	r.Issue("ada", "")
	r.sync()
	if got := users(decode(t, r.get("/v1/tokens?status=expired").Body)); got != "ada" {
		t.Errorf("in the year 9999 the expired tokens are of %q", got)
	}
}

func TestAParkedSessionIsShownAsWhatItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	victim, other := r.Issue("ada", ""), r.Issue("bob", "")
	r.Spoil(victim)
	r.Garbage(memstoretest.SessionID(7).Stream()) // never issued
	r.Garbage("userLogout-1")
	r.LogOut(other, "bob")
	r.sync()
	for status, want := range map[string]int{"active": 0, "expired": 0, "revoked": 1, "parked": 2, "all": 3} {
		page := decode(t, r.get("/v1/tokens?status="+status).Body)
		if tokens, _ := page["tokens"].([]any); len(tokens) != want {
			t.Errorf("%s: %v, want %d", status, tokens, want)
		}
	}
	for _, id := range []string{victim.ID().String(), memstoretest.SessionID(7).String()} {
		if got := decode(t, r.get("/v1/tokens/"+id).Body); got.text("status") != "parked" {
			t.Errorf("session %s: %v", id, got)
		}
	}
	body := r.get("/readyz").Body.String()
	for _, says := range []string{"2 sessions have unreadable events", victim.ID().String(), "1 other unreadable"} {
		if !strings.Contains(body, says) {
			t.Errorf("/readyz does not say %q: %s", says, body)
		}
	}
}
