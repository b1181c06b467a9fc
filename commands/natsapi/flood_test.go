package natsapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/commands/natsapi"
)

// raw is a publisher that speaks NATS as fast as a socket takes it, and reads nothing but to let the server go on.
func (d *desk) raw() *bufio.Writer {
	d.t.Helper()
	address, err := url.Parse(d.server.ConnectedUrl())
	if err != nil {
		d.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address.Host)
	if err != nil {
		d.t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() { // ends when the connection is closed below
		_, _ = io.Copy(io.Discard, conn) //nolint:errcheck // an error is the end
		close(drained)
	}()
	d.t.Cleanup(func() { d.must(conn.Close()); <-drained })
	w := bufio.NewWriterSize(conn, 1<<16)
	fmt.Fprint(w, "CONNECT {\"verbose\":false}\r\nSUB garbage 1\r\n")
	return w
}

func publication(reply, payload string) string {
	return fmt.Sprintf("PUB %s %s %d\r\n%s\r\n", natsapi.Subject("auth", natsapi.VerbLogoutUser), reply, len(payload), payload)
}

// TestAFloodOfGarbageHidesNoCommand: among messages that cannot be commands, as fast as a socket takes them, each command
// gets its reply, and most of the others are not even decoded. There are fewer than nats.go may hold, so that this
// does not depend on the speed of the machine.
func TestAFloodOfGarbageHidesNoCommand(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"", "garbage"} {
		d := newDesk(t)
		replies := d.inbox()
		const commands, between = 20, 4000
		w := d.raw()
		garbage := strings.Repeat(publication(reply, `{"user":"mallory"}`), between)
		sent := make(chan error, 1)
		go func() { // received below
			for n := range commands {
				fmt.Fprint(w, garbage, publication("replies", logoutOf(fmt.Sprint("user ", n), fmt.Sprint("unknown token ", n))))
			}
			sent <- w.Flush()
		}()
		for n := range commands {
			if m := received(t, replies); read(t, m).status != "" {
				t.Errorf("command %d of %d: %s", n, commands, m.Data)
			}
		}
		d.must(<-sent)
		s := d.stats()[natsapi.VerbLogoutUser]
		if s.Accepted != commands*(between+1) || s.Answered != commands || s.Failed+s.Shed != commands*between || s.Shed == 0 {
			t.Errorf("%+v", s)
		}
		if log := d.log.String(); strings.Contains(log, "slow consumer") || strings.Count(log, "refused unread") > 1 {
			t.Errorf("logged %s", log)
		}
	}
}
