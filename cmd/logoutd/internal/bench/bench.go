package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// Config of a benchmark.
type Config struct {
	Connect       func() (*nats.Conn, error)
	SubjectPrefix string
	HTTP          string // address of the read side; "" leaves the catch-up out
	Connections   int    // of the load generator
	InFlight      []int
	Logouts       int // in each round
	Rounds        int // for each number in flight
	Live          int // sessions that live beside those that are logged out
	Progress      io.Writer
}

// Round is one echo and one logout run, back to back.
type Round struct {
	InFlight     int     `json:"in_flight"`
	Logouts      int     `json:"logouts"`
	EchoPerSec   float64 `json:"echo_per_s"`
	LogoutPerSec float64 `json:"logout_per_s"`
	Ratio        float64 `json:"ratio"`
	P50US        int64   `json:"p50_us"`
	P99US        int64   `json:"p99_us"`
	P999US       int64   `json:"p999_us"`
	EchoP50US    int64   `json:"echo_p50_us"`
	// CatchUpMS is how long after the last reply the read model showed it; -1 without a read side.
	CatchUpMS int64 `json:"catch_up_ms"`
}

// Report is the result.
type Report struct {
	Live        int     `json:"live_sessions"`
	IssuePerSec float64 `json:"issue_per_s"`
	Rounds      []Round `json:"rounds"`
}

// Median round of a number in flight, by ratio.
func (r *Report) Median(inFlight int) Round {
	var rounds []Round
	for _, round := range r.Rounds {
		if round.InFlight == inFlight {
			rounds = append(rounds, round)
		}
	}
	slices.SortFunc(rounds, func(a, b Round) int {
		switch {
		case a.Ratio < b.Ratio:
			return -1
		case a.Ratio > b.Ratio:
			return 1
		}
		return 0
	})
	return rounds[len(rounds)/2]
}

const echoSubject = "bench.echo"

// echoSeconds is how long each echo run lasts.
const echoSeconds = 2

// Run loads a logoutd.
func Run(ctx context.Context, c Config) (*Report, error) {
	b := &bench{Config: c}
	for range c.Connections {
		conn, err := c.Connect()
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		b.conns = append(b.conns, conn)
	}
	stop, err := b.startEcho()
	if err != nil {
		return nil, err
	}
	defer stop()
	report := &Report{Live: c.Live}
	if c.Live > 0 {
		b.say("opening %d sessions that stay", c.Live)
		if report.IssuePerSec, err = b.issue(ctx, c.Live, nil); err != nil {
			return nil, err
		}
	}
	for _, inFlight := range c.InFlight {
		for range c.Rounds {
			round, err := b.round(ctx, inFlight, report)
			if err != nil {
				return nil, fmt.Errorf("%d in flight: %w", inFlight, err)
			}
			report.Rounds = append(report.Rounds, round)
		}
	}
	return report, nil
}

type bench struct {
	Config
	conns []*nats.Conn
	users int
}

func (b *bench) say(format string, args ...any) {
	if b.Progress != nil {
		fmt.Fprintf(b.Progress, format+"\n", args...) //nolint:errcheck // progress only
	}
}

func (b *bench) startEcho() (func(), error) {
	conn, err := b.Connect()
	if err != nil {
		return nil, err
	}
	sub, err := conn.QueueSubscribe(echoSubject, "q", func(m *nats.Msg) {
		_ = m.Respond(m.Data) //nolint:errcheck // a lost reply stops the run
	})
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), conn.Flush())
	}
	return conn.Close, err
}

// issue opens sessions and hands each token on.
func (b *bench) issue(ctx context.Context, count int, token func(user, token string)) (float64, error) {
	first := b.users
	b.users += count
	var mu sync.Mutex
	l := load{
		conns: b.conns, subject: natsapi.Subject(b.SubjectPrefix, natsapi.VerbIssueRefreshToken), inFlight: 1024,
		next: func(i int) ([]byte, bool) {
			if i >= count {
				return nil, false
			}
			// The correlation id comes back in no reply, so the command id carries the user's number.
			id := uuid.New()
			n := uint32(first + i) //nolint:gosec // far below 2^32
			id[12], id[13], id[14], id[15] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
			return fmt.Appendf(nil, `{"command_id":"%s","user_id":"user-%d"}`, id, n), true
		},
		reply: func(m *nats.Msg) error {
			if err := checkReply(m); err != nil || token == nil {
				return err
			}
			text, err1 := stringField(m.Data, "refresh_token")
			id, err2 := stringField(m.Data, "command_id")
			if err := errors.Join(err1, err2); err != nil || len(id) != 36 {
				return errors.Join(err, errors.New("reply without command_id"))
			}
			n, err := strconv.ParseUint(id[28:], 16, 32)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			token("user-"+strconv.FormatUint(n, 10), text)
			return nil
		},
	}
	m, err := l.run(ctx)
	if err != nil {
		return 0, err
	}
	return m.rate(), nil
}

// round prepares sessions, then measures the echo and the logouts with the same payloads.
func (b *bench) round(ctx context.Context, inFlight int, report *Report) (Round, error) {
	b.say("%d in flight: opening %d sessions to log out", inFlight, b.Logouts)
	payloads := make([][]byte, 0, b.Logouts)
	rate, err := b.issue(ctx, b.Logouts, func(user, token string) {
		payloads = append(payloads, fmt.Appendf(nil,
			`{"command_id":"%s","user_id":"%s","refresh_token":"%s","client":{"ip_address":"192.0.2.7","user_agent":"bench/1.0"}}`,
			uuid.New(), user, token))
	})
	if err != nil {
		return Round{}, err
	}
	if report.IssuePerSec == 0 {
		report.IssuePerSec = rate
	}
	if _, err := b.waitReadModel(ctx, 0); err != nil {
		return Round{}, err
	}
	b.say("%d in flight: measuring the echo, then the logouts", inFlight)
	end := time.Now().Add(echoSeconds * time.Second)
	echo, err := load{conns: b.conns, subject: echoSubject, inFlight: inFlight, next: func(i int) ([]byte, bool) {
		return payloads[i%len(payloads)], i&63 != 0 || time.Now().Before(end)
	}}.run(ctx)
	if err != nil {
		return Round{}, fmt.Errorf("echo: %w", err)
	}
	last := newHighest()
	logouts, err := load{
		conns: b.conns, subject: natsapi.Subject(b.SubjectPrefix, natsapi.VerbLogoutUser), inFlight: inFlight,
		next: upTo(payloads), reply: last.see,
	}.run(ctx)
	if err != nil {
		return Round{}, err
	}
	catchUp, err := b.waitReadModel(ctx, last.value())
	return Round{
		InFlight: inFlight, Logouts: logouts.Count,
		EchoPerSec: echo.rate(), LogoutPerSec: logouts.rate(), Ratio: logouts.rate() / echo.rate(),
		P50US: logouts.quantile(.5).Microseconds(), P99US: logouts.quantile(.99).Microseconds(),
		P999US: logouts.quantile(.999).Microseconds(), EchoP50US: echo.quantile(.5).Microseconds(),
		CatchUpMS: catchUp,
	}, err
}

// waitReadModel waits until the read model shows a position, or with 0 all there is, and
// tells how long that took.
func (b *bench) waitReadModel(ctx context.Context, position uint64) (int64, error) {
	if b.HTTP == "" {
		return -1, nil
	}
	start := time.Now()
	if position == 0 {
		var head struct{ Head string }
		if err := getJSON(ctx, "http://"+b.HTTP+"/readyz", &head); err != nil {
			return 0, err
		}
		var err error
		if position, err = strconv.ParseUint(head.Head, 10, 64); err != nil {
			return 0, fmt.Errorf("readyz without head: %w", err)
		}
	}
	for {
		var page struct{ Position string }
		err := getJSON(ctx, fmt.Sprintf("http://%s/v1/tokens?limit=1&min_position=%d", b.HTTP, position), &page)
		if err == nil {
			return time.Since(start).Milliseconds(), nil
		}
		if time.Since(start) > time.Minute || ctx.Err() != nil {
			return 0, fmt.Errorf("read model did not reach position %d: %w", position, err)
		}
	}
}

func getJSON(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// highest keeps the highest position of the replies of several connections.
type highest struct {
	mu  sync.Mutex
	max uint64
}

func newHighest() *highest { return &highest{} }

func (h *highest) see(m *nats.Msg) error {
	if err := checkReply(m); err != nil {
		return err
	}
	text, err := stringField(m.Data, "position")
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.max = max(h.max, n)
	h.mu.Unlock()
	return nil
}

func (h *highest) value() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.max
}
