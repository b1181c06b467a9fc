package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// maxAttempts is how often an event is tried before it is parked.
const maxAttempts = 8

// verdict is what becomes of an event.
type verdict int

const (
	accepted verdict = iota + 1
	failed           // try again, later
	refused          // never try again
	away             // nobody is there: nothing is known of the event
)

// errAway: the endpoint does not answer.
var errAway = errors.New("the endpoint does not answer")

// answerer is the part of a subscription that answers.
type answerer interface {
	Ack(events ...*esdb.ResolvedEvent) error
	Nack(reason string, action esdb.NackAction, events ...*esdb.ResolvedEvent) error
}

// delivery posts events.
type delivery struct {
	endpoint, name string
	client         *http.Client
	log            *slog.Logger
	answered       int // events that the server was told the end of
}

func newDelivery(endpoint, name string, log *slog.Logger) (*delivery, error) {
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL", endpoint)
	}
	return &delivery{endpoint: endpoint, name: name, client: &http.Client{Timeout: answerWithin}, log: log}, nil
}

// answer delivers one event and tells the server what became of it.
func (d *delivery) answer(ctx context.Context, s answerer, e *esdb.EventAppeared) error {
	original := e.Event.OriginalEvent()
	result, reason := d.post(ctx, original, e.RetryCount)
	if ctx.Err() != nil {
		return ctx.Err() // leave it to the others
	}
	if result == failed && e.RetryCount+1 >= maxAttempts {
		result, reason = refused, fmt.Sprintf("%d attempts failed, the last with: %s", e.RetryCount+1, reason)
	}
	switch result {
	case away:
		return fmt.Errorf("%w: %s", errAway, reason)
	case accepted:
		d.answered++
		return s.Ack(e.Event)
	case refused:
		d.log.Error("parked", "event", original.EventID, "stream", original.StreamID, "reason", reason)
		d.answered++
		return s.Nack(reason, esdb.NackActionPark, e.Event)
	case failed:
		d.log.Warn("failed, to be tried again", "event", original.EventID, "attempt", e.RetryCount+1, "reason", reason)
		select {
		case <-time.After(min(longestPause, 50*time.Millisecond<<e.RetryCount)):
		case <-ctx.Done():
			return ctx.Err()
		}
		return s.Nack(reason, esdb.NackActionRetry, e.Event)
	}
	return fmt.Errorf("no verdict %d", result)
}

// body is what the endpoint gets.
type body struct {
	Position uint64          `json:"position,string"` // in the global order
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"` // in the stream
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
}

// reachable says whether taking an event makes sense. Any answer will do, so long as it is the endpoint's own.
func (d *delivery) reachable(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, d.endpoint, http.NoBody)
	if err != nil {
		return err
	}
	if v, reason := d.send(request); v == away {
		return fmt.Errorf("%w: %s", errAway, reason)
	}
	return nil
}

// post sends one event and judges the reply.
func (d *delivery) post(ctx context.Context, e *esdb.RecordedEvent, retry int) (v verdict, reason string) {
	text, err := json.Marshal(body{
		Position: e.Position.Commit, Stream: e.StreamID, Revision: e.EventNumber, Type: e.EventType,
		ID: e.EventID.String(), Data: e.Data, Metadata: e.UserMetadata,
	})
	if err != nil {
		return refused, "its data or metadata is not JSON"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.endpoint, bytes.NewReader(text))
	if err != nil {
		return refused, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", e.EventID.String())
	request.Header.Set("Retry-Count", strconv.Itoa(retry))
	return d.send(request)
}

func (d *delivery) send(request *http.Request) (v verdict, reason string) {
	request.Header.Set("User-Agent", d.name)
	response, err := d.client.Do(request)
	if err != nil {
		return away, err.Error()
	}
	defer response.Body.Close()                                       //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection is used again
	return judge(response.StatusCode), response.Status
}

// judge tells a refusal, which repeats itself, from a failure, which may not.
func judge(status int) verdict {
	switch {
	case status >= 200 && status < 300:
		return accepted
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return away
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status < 400, status >= 500:
		return failed
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return failed // more likely a mistake in the set-up, which somebody will mend, than in the event
	default:
		return refused
	}
}
