package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// config is what the flags say.
type config struct {
	connection string   // like esdb://127.0.0.1:2113?tls=false
	group      string   // name of the group, the same for all who share its work
	prefixes   []string // of the streams that the group gets; fixed when it is created
	endpoint   string   // URL that events are posted to
	name       string   // of this process, for the endpoint's log
}

// local is the logoutd of `make run`.
const local = "esdb://127.0.0.1:2113?tls=false"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := run(ctx, parse(), log)
	stop()
	if err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func parse() config {
	var c config
	flag.StringVar(&c.connection, "connection", "", "connection string of logoutd or EventStoreDB (default $ESDB_CONNECTION, else "+local+")")
	flag.StringVar(&c.group, "group", "audit-webhook", "name of the group; it is created if it does not exist")
	prefixes := flag.String("stream-prefix", "userLogout-", "when creating the group: give it the streams that begin with one of these")
	flag.StringVar(&c.endpoint, "endpoint", "http://127.0.0.1:9090/events", "post each event to this URL")
	flag.StringVar(&c.name, "name", fmt.Sprint("group-", os.Getpid()), "name of this process, sent as User-Agent")
	flag.Parse()
	c.connection = cmp.Or(c.connection, os.Getenv("ESDB_CONNECTION"), local)
	c.prefixes = strings.Split(*prefixes, ",")
	return c
}

// What one process takes at a time must be answered before the server gives it to somebody else (D5):
// atATime × (answerWithin + longestPause) < messageTimeout.
const (
	atATime        = 4
	answerWithin   = 3 * time.Second
	longestPause   = 2 * time.Second
	messageTimeout = 30 * time.Second
)

// Pauses between attempts to connect: from the first up to the last, doubling.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 30 * time.Second
)

// run delivers until the context ends or something needs a person.
func run(ctx context.Context, c config, log *slog.Logger) error {
	settings, err := esdb.ParseConnectionString(c.connection)
	if err != nil { // which quotes the string, with its password
		return errors.New("the connection string is none; want one like " + local + " or esdb://USER:PASSWORD@HOST:2113")
	}
	settings.Logger = nil // it would tell every attempt again that is told below
	d, err := newDelivery(c.endpoint, c.name, log)
	if err != nil {
		return fmt.Errorf("--endpoint: %w", err)
	}
	pause := firstPause
	for {
		before := d.answered
		ended := make(chan error, 1)
		// In a goroutine, because connecting blocks where a context does not reach.
		go func() { ended <- serve(ctx, settings, c, d) }()
		var err error
		select {
		case err = <-ended:
		case <-ctx.Done():
			return nil // what is in hand goes to the others
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case !canRetry(err):
			return err
		case d.answered != before:
			pause = firstPause // it had worked
		}
		log.Warn("not connected, trying again", "error", err, "in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause/2)): // many consumers shall not come back at the same time
		}
		pause = min(2*pause, lastPause)
	}
}

// canRetry says whether waiting may mend an error. What it cannot mend stops the program, so that a
// supervisor, and then a person, sees it.
func canRetry(err error) bool {
	return !is(err, esdb.ErrorCodeAccessDenied) && !is(err, esdb.ErrorCodeUnauthenticated) && !is(err, esdb.ErrorCodeUnsupportedFeature)
}
