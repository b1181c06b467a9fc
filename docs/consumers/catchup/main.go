package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
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
	prefixes   []string // of the streams to copy
	out        string   // file to append to, or - for standard output
	checkpoint string   // file that holds the place reached
	once       bool     // end when there is nothing more for now
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
	prefixes := flag.String("stream-prefix", "refreshToken-,userLogout-", "copy the streams that begin with one of these")
	flag.StringVar(&c.out, "out", "-", "append the events to this file; - is standard output")
	flag.StringVar(&c.checkpoint, "checkpoint", "", "file that remembers the place reached (default the name of --out and .checkpoint; none for standard output)")
	flag.BoolVar(&c.once, "once", false, "end when caught up")
	flag.Parse()
	c.connection = cmp.Or(c.connection, os.Getenv("ESDB_CONNECTION"), local)
	c.prefixes = strings.Split(*prefixes, ",")
	if c.checkpoint == "" && c.out != "-" {
		c.checkpoint = c.out + ".checkpoint"
	}
	return c
}

// Pauses between attempts to connect: from the first up to the last, doubling.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 30 * time.Second
)

// run follows the stream until the context ends, it is caught up (--once), or something needs a person.
func run(ctx context.Context, c config, log *slog.Logger) error {
	settings, err := esdb.ParseConnectionString(c.connection)
	if err != nil { // which quotes the string, with its password
		return errors.New("the connection string is none; want one like " + local + " or esdb://USER:PASSWORD@HOST:2113")
	}
	settings.Logger = nil // it would tell every attempt again that is told below
	record, err := openRecord(c.out, c.checkpoint)
	if err != nil {
		return err
	}
	defer record.close()
	pause := firstPause
	for {
		before := record.last
		err := follow(ctx, settings, c, record)
		if saved := record.save(); saved != nil {
			return saved
		}
		switch {
		case err == nil, ctx.Err() != nil:
			return nil
		case !canRetry(err):
			return err
		case record.last != before:
			pause = firstPause // it had worked
		}
		log.Warn("not connected, trying again", "error", err, "in", pause, "position", record.last.Position)
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
	if errors.Is(err, errOtherRecord) || errors.Is(err, errRecord) {
		return false
	}
	var e *esdb.Error
	return !errors.As(err, &e) || !e.IsErrorCode(esdb.ErrorCodeAccessDenied) &&
		!e.IsErrorCode(esdb.ErrorCodeUnauthenticated) && !e.IsErrorCode(esdb.ErrorCodeUnsupportedFeature)
}
