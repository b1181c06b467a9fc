package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// answers remembers what a server was told.
type answers struct{ acks, parks, retries int }

func (a *answers) Ack(...*esdb.ResolvedEvent) error { a.acks++; return nil }

func (a *answers) Nack(_ string, action esdb.NackAction, _ ...*esdb.ResolvedEvent) error {
	switch action {
	case esdb.NackActionPark:
		a.parks++
	case esdb.NackActionRetry:
		a.retries++
	default:
		return errors.New("an action that this consumer has no use for")
	}
	return nil
}

// replies is an endpoint that always replies the same; 0 is nobody there.
type replies int

func (r replies) RoundTrip(*http.Request) (*http.Response, error) {
	if r == 0 {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	w.WriteHeader(int(r))
	return w.Result(), nil
}

func TestEachReplyHasItsAnswer(t *testing.T) {
	t.Parallel()
	last := maxAttempts - 1
	tests := []struct {
		status, retries int
		want            answers
		away            bool
	}{
		{status: 200, want: answers{acks: 1}},
		{status: 204, retries: last, want: answers{acks: 1}},
		{status: 302, want: answers{retries: 1}},
		{status: 400, want: answers{parks: 1}},
		{status: 401, want: answers{retries: 1}},
		{status: 404, want: answers{retries: 1}},
		{status: 408, want: answers{retries: 1}},
		{status: 422, want: answers{parks: 1}},
		{status: 429, want: answers{retries: 1}},
		{status: 500, want: answers{retries: 1}},
		{status: 500, retries: last - 1, want: answers{retries: 1}},
		{status: 500, retries: last, want: answers{parks: 1}},
		{status: 503, retries: last, away: true},
		{status: 0, retries: last, away: true},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) { // the pause before a retry takes no time
			d, err := newDelivery("http://endpoint.example", "test", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			d.client.Transport = replies(tt.status)
			var got answers
			event := &esdb.RecordedEvent{Data: []byte("{}"), UserMetadata: []byte("{}")}
			err = d.answer(t.Context(), &got, &esdb.EventAppeared{Event: &esdb.ResolvedEvent{Event: event}, RetryCount: tt.retries})
			if got != tt.want || errors.Is(err, errAway) != tt.away || !tt.away && err != nil {
				t.Errorf("reply %d after %d retries: %+v, %v", tt.status, tt.retries, got, err)
			}
		})
	}
}

func TestAnEventThatIsNoJSONIsParked(t *testing.T) {
	t.Parallel()
	d, err := newDelivery("http://endpoint.example", "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.client.Transport = replies(200)
	var got answers
	event := &esdb.RecordedEvent{Data: []byte("\xff"), UserMetadata: []byte("{}")}
	if err := d.answer(t.Context(), &got, &esdb.EventAppeared{Event: &esdb.ResolvedEvent{Event: event}}); err != nil || got.parks != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOneProcessAnswersInTime(t *testing.T) {
	t.Parallel()
	if worst := atATime * (answerWithin + longestPause); worst >= messageTimeout {
		t.Errorf("%d events may take %s, but the server waits only %s", atATime, worst, messageTimeout)
	}
}
