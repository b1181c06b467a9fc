package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
	"github.com/logoutd/logoutd/projections/httpapi"
	"github.com/logoutd/logoutd/projections/internal/memstoretest"
)

// onlyEvents is a handler without a read model behind it.
func onlyEvents(tb testing.TB, events httpapi.Events) *httpapi.Handler {
	tb.Helper()
	h, err := httpapi.NewHandler(httpapi.Config{
		Events: events, Tokens: struct{ activetokens.Reader }{}, Progress: &progress{}, Now: time.Now,
	})
	if err != nil {
		tb.Fatalf("new handler: %v", err)
	}
	return h
}

// positions are those of the lines of an NDJSON body.
func positions(tb testing.TB, body string) string {
	tb.Helper()
	var all []string
	for line := range strings.Lines(body) {
		all = append(all, decode(tb, strings.NewReader(line)).text("position"))
	}
	return strings.Join(all, " ")
}

func TestSelectsEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.Issue("ada", "")      // 1
	r.Issue("zoë \"<&>\"\\", "") // 2
	r.Rotate(f)                  // 3
	r.LogOut(f, "bob")           // 4, 5
	r.LogOut(f, "ada")           // 6, 7, 8
	r.Other("user_id-ada")       // 9: not JSON
	r.Other("$system")           // 10
	stream := f.ID().Stream()
	for query, want := range map[string]string{
		"":                                       "1 2 3 4 5 6 7 8 9",
		"?from=0":                                "1 2 3 4 5 6 7 8 9",
		"?from=7":                                "8 9",
		"?from=9":                                "",
		"?from=900":                              "",
		"?stream=" + stream:                      "1 3 6 7 8",
		"?from=3&stream=" + stream:               "6 7 8",
		"?stream=refreshToken-*":                 "1 2 3 6 7 8",
		"?stream=*":                              "1 2 3 4 5 6 7 8 9",
		"?stream=userLogout-*&from=4":            "5",
		"?type=TokenRevoked":                     "7",
		"?type=TokenRevoked,UserLogoutFailed":    "5 7",
		"?type=TokenRevoked&type=SomethingElse":  "7 9",
		"?user_id=ada":                           "1 3 6 7 8",
		"?user_id=ad":                            "",
		"?user_id=zo%C3%AB%20%22%3C%26%3E%22%5C": "2",
		"?user_id=ada&type=RefreshTokenIssued":   "1",
		"?stream=%24system":                      "10",
		"?stream=%24*":                           "10",
		"?from=9&type=SomethingElse":             "",
		"?limit=2":                               "1 2",
		"?limit=2&from=2&user_id=ada":            "3 6",
		"?limit=2&stream=" + stream:              "1 3",
		"?follow=false&limit=1000":               "1 2 3 4 5 6 7 8 9",
		"?follow=true&limit=9":                   "1 2 3 4 5 6 7 8 9",
	} {
		answer := r.get("/v1/events" + query)
		if got := positions(t, answer.Body.String()); answer.Code != http.StatusOK || got != want {
			t.Errorf("GET /v1/events%s: %d %q, want %q", query, answer.Code, got, want)
		}
		if got := answer.Header().Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("GET /v1/events%s: content type %q", query, got)
		}
	}
	r.problem("/v1/events?stream=nothing", http.StatusNotFound, "not_found")
	for _, query := range []string{"", "?follow=true", "?stream=nothing"} {
		if head := r.ask(http.MethodHead, "/v1/events"+query); head.Code != http.StatusOK || head.Body.Len() != 0 {
			t.Errorf("HEAD /v1/events%s: %d", query, head.Code)
		}
	}
}

func TestShowsEventsAsTheyAreStored(t *testing.T) {
	t.Parallel()
	store := memstoretest.New()
	id := eventstore.EventID{0: 1, 15: 9}
	for _, e := range []eventstore.Event{
		{Data: []byte(`{"user_id":"ada","n":12345678901234567890}`), Metadata: []byte(`{"<":">"}`)},
		{Data: []byte("{\n\"a\": \r\n [1, 2]\n}")},
		{Data: []byte("\xff\x00"), Metadata: []byte("plain")},
		{Data: []byte(`{"a":1}`), ContentType: eventstore.OctetStream},
	} {
		e.ID, e.Type = id, "Täst\"ed"
		if _, err := store.Append(context.Background(), eventstore.Append{Stream: "a b", Expected: eventstore.Any, Events: []eventstore.Event{e}}); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	const common = `"type":"Täst\"ed","id":"01000000-0000-0000-0000-000000000009","recorded_at":"2026-01-02T03:04:05.00`
	want := `{"position":"1","stream":"a b","revision":0,` + common + `0000000Z","data":{"user_id":"ada","n":12345678901234567890},"metadata":{"<":">"}}` + "\n" +
		`{"position":"2","stream":"a b","revision":1,` + common + `1000000Z","data":{"a":[1,2]},"metadata":null}` + "\n" +
		`{"position":"3","stream":"a b","revision":2,` + common + `2000000Z","data_base64":"/wA=","metadata_base64":"cGxhaW4="}` + "\n" +
		`{"position":"4","stream":"a b","revision":3,` + common + `3000000Z","data_base64":"eyJhIjoxfQ==","metadata":null}` + "\n"
	network, _ := serve(t, onlyEvents(t, store), time.Second)
	answer, err := network.Get("http://logoutd/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != want {
		t.Errorf("events, error %v\n%s, want\n%s", err, body, want)
	}
	for line := range strings.Lines(string(body)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// broken is a store whose log cannot be read further than some events.
type broken struct {
	*memstoretest.Store
	after eventstore.Position
	err   error
}

func (b *broken) ReadAll(ctx context.Context, from eventstore.Position, dir eventstore.Direction,
) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for e, err := range b.Store.ReadAll(ctx, from, dir) {
			if e.Position > b.after {
				yield(eventstore.Recorded{}, b.err)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestNeverLooksCompleteWhenItIsNot(t *testing.T) {
	t.Parallel()
	store := memstoretest.New()
	h := memstoretest.NewHistory(t, store)
	for range 200 {
		h.Issue("ada", "")
	}
	failed := errors.New("disk failed at sector secret")
	client, _ := serve(t, onlyEvents(t, &broken{Store: store, after: 150, err: failed}), time.Second)
	answer, err := client.Get("http://logoutd/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(answer.Body)
	if err == nil {
		t.Errorf("a body of %d bytes without the rest ended normally", len(body))
	}
	// Before anything was sent there is still room to say so, without the cause.
	early := onlyEvents(t, &broken{Store: store, after: 1, err: failed})
	r := &rig{T: t, handler: early}
	if o := r.problem("/v1/events", http.StatusInternalServerError, "internal"); strings.Contains(o.text("detail"), "sector") {
		t.Errorf("the client is told: %v", o)
	}
	r.handler = onlyEvents(t, &broken{Store: store, after: 1, err: eventstore.ErrUnavailable})
	r.problem("/v1/events", http.StatusServiceUnavailable, "unavailable")
}

func TestEndsAtTheHeadOfTheBeginning(t *testing.T) {
	t.Parallel()
	store := memstoretest.New()
	h := memstoretest.NewHistory(t, store)
	h.Other("a")
	h.Other("b")
	r := &rig{T: t, handler: onlyEvents(t, &growing{Store: store, grow: func() { h.Other("c") }})}
	if got := positions(t, r.get("/v1/events").Body.String()); got != "1 2" {
		t.Errorf("events %q, want those that were there", got)
	}
	if got := positions(t, r.get("/v1/events?follow=true&limit=4").Body.String()); got != "1 2 3 4" {
		t.Errorf("following: %q, want nothing lost and nothing repeated", got)
	}
}

// growing is a store that gets an event after each time its head was read.
type growing struct {
	*memstoretest.Store
	grow func()
}

func (g *growing) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := g.Store.Head(ctx)
	g.grow()
	return head, err
}

func TestFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstoretest.New()
		h := memstoretest.NewHistory(t, store)
		f := h.Issue("ada", "")
		client, _ := serve(t, onlyEvents(t, store), time.Second)
		all, leaveAll := stream(t, client, "/v1/events?follow=true")
		own, leaveOwn := stream(t, client, "/v1/events?follow=1&type=RefreshTokenRotated&stream="+f.ID().Stream())
		later, leaveLater := stream(t, client, "/v1/events?follow=true&stream=later")
		next := func(lines interface {
			Scan() bool
			Text() string
		}) string {
			for lines.Scan() {
				if text := lines.Text(); text != "" {
					return decode(t, strings.NewReader(text)).text("position")
				}
			}
			return "end"
		}
		if got := next(all); got != "1" {
			t.Errorf("first event %s", got)
		}
		h.Rotate(f)
		h.Other("later")
		for i, got := range []string{next(all), next(all), next(own), next(later)} {
			if want := []string{"2", "3", "2", "3"}[i]; got != want {
				t.Errorf("live event %d is at %s, want %s", i, got, want)
			}
		}
		for range 40 { // ten minutes, longer than any answer but a stream may take
			began := time.Now()
			if !all.Scan() || all.Text() != "" {
				t.Fatalf("instead of an empty line: %q, %v", all.Text(), all.Err())
			}
			if silent := time.Since(began); silent > 15*time.Second {
				t.Errorf("silent for %s", silent)
			}
		}
		leaveAll()
		leaveOwn()
		leaveLater()
	})
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstoretest.New()
		memstoretest.NewHistory(t, store).Other("a")
		client, stop := serve(t, onlyEvents(t, store), time.Hour)
		lines, leave := stream(t, client, "/v1/events?follow=true")
		defer leave()
		lines.Scan()
		began := time.Now()
		ended := make(chan error, 1)
		go func() {
			for lines.Scan() {
			}
			ended <- lines.Err()
		}()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the stream broke off: %v", err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("stopping took %s", took)
		}
		if _, err := client.Get("http://logoutd/healthz"); err == nil {
			t.Error("still serves")
		}
	})
}

func TestLosesTheStreamWithItsSubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstoretest.New()
		client, _ := serve(t, onlyEvents(t, store), time.Second)
		lines, leave := stream(t, client, "/v1/events?follow=true")
		defer leave()
		synctest.Wait()
		store.Fail(eventstore.ErrUnavailable)
		for lines.Scan() {
		}
		if lines.Err() == nil {
			t.Error("the stream ended as if it were complete")
		}
	})
}

func TestDropsWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstoretest.New()
		h := memstoretest.NewHistory(t, store)
		for range 500 {
			h.Other("a")
		}
		left := make(chan time.Duration, 1)
		handler := onlyEvents(t, store)
		client, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			defer func() { left <- time.Since(began) }()
			handler.ServeHTTP(w, r)
		}), time.Second)
		_, leave := stream(t, client, "/v1/events?follow=true")
		defer leave()
		if took := <-left; took != 30*time.Second {
			t.Errorf("dropped after %s, want WriteTimeout", took)
		}
	})
}
