package natsapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/commands/natsapi"
	"github.com/logoutd/logoutd/eventstore"
)

// TestTheBranchesOfALogoutReplyTheSameBytes: but for the ids, and in the headers as well.
func TestTheBranchesOfALogoutReplyTheSameBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	live, foreign, ended := d.issue("alice").RefreshToken, d.issue("bob").RefreshToken, d.issue("alice").RefreshToken
	d.mustAsk(natsapi.VerbLogoutUser, logoutOf("alice", ended))
	reply := regexp.MustCompile(`^\{"command_id":"[0-9a-f-]{36}","message":"Successfully logged out\.","position":"[0-9]+"\}$`)
	for name, token := range map[string]string{
		"live": live, "another user's": foreign, "already revoked": ended, "unknown": "unknown to everybody",
		"malformed": "x", "oversized": strings.Repeat("a", 60_000), "forged": "lt1_" + strings.Repeat("A", 70),
	} {
		payload := logoutOf("alice", token)
		before := len(d.events())
		m := d.ask(natsapi.VerbLogoutUser, payload)
		if !reply.Match(m.Data) || len(m.Header) != 0 {
			t.Errorf("%s: %v %s", name, m.Header, m.Data)
		}
		a := read(t, m)
		if all := d.events(); a.Position != all[len(all)-1].Position.String() || len(all) == before || !strings.Contains(payload, a.CommandID) {
			t.Errorf("%s: %+v", name, a)
		}
		if again := d.ask(natsapi.VerbLogoutUser, payload); string(again.Data) != string(m.Data) {
			t.Errorf("%s: repeated, %s", name, again.Data)
		}
	}
}

func TestTokensAreIssuedRegisteredAndLoggedOut(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	issued := d.mustAsk(natsapi.VerbIssueRefreshToken, `{"user_id":"alice","ttl_seconds":60,"client_id":"web"}`)
	p, err := d.ring.Recognise(credential.NewSecret(issued.RefreshToken))
	expires, err2 := time.Parse(time.RFC3339Nano, issued.ExpiresAt)
	if err != nil || err2 != nil || p.SessionID.String() != issued.SessionID || issued.Position != "2" || !strings.HasSuffix(issued.ExpiresAt, "Z") || expires.IsZero() {
		t.Errorf("%+v %v %v", issued, err, err2)
	}
	registered := d.mustAsk(natsapi.VerbRegisterRefreshToken, registrationOf("alice", "an opaque, long token"))
	if registered.RefreshToken != "" || registered.SessionID == "" || registered.ExpiresAt != "2999-01-01T00:00:00Z" || registered.Position != "4" {
		t.Errorf("%+v", registered)
	}
	d.mustAsk(natsapi.VerbLogoutUser, logoutOf("alice", issued.RefreshToken))
	d.mustAsk(natsapi.VerbLogoutUser, logoutOf("alice", "an opaque, long token"))
	if events := d.events(); len(events) != 9 {
		t.Errorf("%d events", len(events))
	}
}

func TestWhatDoesNotFitIntoTheQueueComesAgain(t *testing.T) {
	t.Parallel()
	h, hold := holding(2)
	d := newDesk(t, hold)
	replies := d.inbox()
	for i := range 2 {
		d.send(natsapi.VerbLogoutUser, logoutOf(fmt.Sprint("user ", i), fmt.Sprintf("token number %d, unknown", i)))
	}
	for range 2 {
		<-h.entered
	}
	for _, verb := range []string{natsapi.VerbLogoutUser, natsapi.VerbIssueRefreshToken, natsapi.VerbRegisterRefreshToken} {
		id := uuid.NewString()
		m := d.ask(verb, set(verb, "command_id", `"`+id+`"`))
		if a := wantError(t, m, "503", "unavailable", ""); a.RetryAfterMS <= 0 || a.CommandID != id {
			t.Errorf("%s", m.Data)
		}
	}
	close(h.release)
	for range 2 {
		if m := <-replies; read(t, m).status != "" {
			t.Errorf("%s", m.Data)
		}
	}
	if left := d.events(); len(left) != 4 {
		t.Errorf("%d events of two accepted logouts", len(left))
	}
}

// inbox is a subject of the client's own, subscribed.
func (d *desk) inbox() chan *nats.Msg {
	d.t.Helper()
	replies := make(chan *nats.Msg, 100)
	if _, err := d.client.ChanSubscribe("replies", replies); err != nil {
		d.t.Fatal(err)
	}
	return replies
}

// send asks for an answer to the inbox and does not wait for it.
func (d *desk) send(verb, payload string) {
	d.t.Helper()
	m := message(verb, payload)
	m.Reply = "replies"
	d.must(d.client.PublishMsg(m))
}

func TestOnShutdownEveryAcceptedCommandIsAnsweredAndNoOtherAccepted(t *testing.T) {
	t.Parallel()
	h, hold := holding(1000)
	d := newDesk(t, hold)
	replies := d.inbox()
	const accepted = 20 // on few lanes, so that most of them wait
	for i := range accepted {
		d.send(natsapi.VerbLogoutUser, logoutOf("alice", fmt.Sprintf("token number %d, unknown", i%4)))
	}
	<-h.entered
	for d.queue.Pending() < accepted {
		runtime.Gosched()
	}
	ended := make(chan error, 1)
	go func() { ended <- d.stop() }() // received below
	for !errors.Is(d.queue.Submit(commands.Keys{}, func() {}), commands.ErrShuttingDown) {
		runtime.Gosched()
	}
	select {
	case err := <-ended:
		t.Fatalf("ended before its commands: %v", err)
	default:
	}
	// Either nobody listens any more, or it is refused; it is not carried out.
	m, err := d.client.Request(natsapi.Subject("auth", natsapi.VerbIssueRefreshToken), []byte(`{"user_id":"late"}`), 10*time.Second)
	switch {
	case err == nil:
		wantError(t, m, "503", "unavailable", "")
	case !errors.Is(err, nats.ErrNoResponders):
		t.Error(err)
	}
	close(h.release)
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	for range accepted {
		if m := <-replies; read(t, m).status != "" {
			t.Errorf("%s", m.Data)
		}
	}
	if left := d.events(); len(left) != 2*accepted {
		t.Errorf("%d events of %d refused logouts", len(left), accepted)
	}
	if _, err := d.client.Request("$SRV.PING.logoutd", nil, 10*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("still discoverable: %v", err)
	}
}

func TestAClosedQueueIsUnavailable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.must(d.queue.Close(t.Context()))
	m := d.ask(natsapi.VerbIssueRefreshToken, `{"user_id":"alice"}`)
	if a := wantError(t, m, "503", "unavailable", ""); a.RetryAfterMS <= 0 {
		t.Errorf("%s", m.Data)
	}
}

func TestRunSaysWhenCommandsAreLeftRunning(t *testing.T) {
	t.Parallel()
	h, hold := holding(10)
	d := newDesk(t, hold, func(_ *desk, c *natsapi.Config) { c.DrainTimeout = time.Millisecond })
	d.send(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
	<-h.entered
	if err := d.stop(); err == nil || !strings.Contains(err.Error(), "still running") {
		t.Errorf("Run: %v", err)
	}
	close(h.release)
	d.must(d.queue.Close(t.Context()))
}

// muted is a connection that takes all there is to write and, once it is mute, sends nothing of it.
type muted struct {
	net.Conn
	mute *atomic.Bool
}

func (m muted) Write(b []byte) (int, error) {
	if m.mute.Load() {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

func (m muted) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	return muted{conn, m.mute}, err
}

// TestRunSaysWhenRepliesHaveNotLeft: that a reply was handed to nats.go does not mean that the server has it.
func TestRunSaysWhenRepliesHaveNotLeft(t *testing.T) {
	t.Parallel()
	h, hold := holding(10)
	var mute atomic.Bool
	d := newDesk(t, hold, func(d *desk, c *natsapi.Config) {
		c.Conn = d.connect(d.server.ConnectedUrl(), nats.SetCustomDialer(muted{mute: &mute}))
	})
	d.send(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
	<-h.entered
	mute.Store(true)
	close(h.release)
	if err := d.stop(); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("Run: %v", err)
	}
}

func TestALostConnectionEndsRunAndFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	h, hold := holding(10)
	d := newDesk(t, hold)
	d.send(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
	<-h.entered
	d.server.Close()
	close(h.release)
	if err := d.runErr(); err == nil || !strings.Contains(err.Error(), "closed for good") {
		t.Errorf("Run: %v", err)
	}
	if left := d.events(); len(left) != 2 {
		t.Errorf("%d events of an accepted logout", len(left))
	}
}

func TestACommandWithoutAReplySubjectIsCarriedOut(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.issue("alice").RefreshToken
	payload := logoutOf("alice", token)
	d.must(d.client.Publish(natsapi.Subject("auth", natsapi.VerbLogoutUser), []byte(payload)))
	d.must(d.client.Publish(natsapi.Subject("auth", natsapi.VerbLogoutUser), []byte("malformed, and nobody to tell")))
	// The same command again, with a reply: on the same lane, so behind the first.
	a := d.mustAsk(natsapi.VerbLogoutUser, payload)
	if got := d.metadata(a.CommandID); len(got) != 3 {
		t.Errorf("%d events", len(got))
	}
	if log := d.log.String(); log != "" {
		t.Errorf("logged %s", log)
	}
}

func TestAPanicFailsItsCommandAndNoOther(t *testing.T) {
	t.Parallel()
	d := newDesk(t, failingWith(nil))
	for range 3 {
		payload := logoutOf("alice", "unknown to everybody")
		m := d.ask(natsapi.VerbLogoutUser, payload)
		if a := wantError(t, m, "500", "internal", ""); !strings.Contains(payload, a.CommandID) || !strings.Contains(d.log.String(), a.CommandID) {
			t.Errorf("%s is not in the log", a.CommandID)
		}
	}
	d.issue("alice")
	if log := d.log.String(); strings.Count(log, "command panicked") != 3 || !strings.Contains(log, "helpers_test.go") {
		t.Errorf("%s", log)
	}
	wantHidden(t, "the log", d.log.String())
}

func TestEveryErrorOfTheProcessorHasItsReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err          error
		status, code string
		logged       bool
	}{
		{&commands.InvalidError{Problem: "is bad"}, "400", "invalid_command", false},
		{fmt.Errorf("stream x: %w", eventstore.ErrTooLarge), "400", "invalid_command", false},
		{&commands.ConflictError{Reason: "taken", Text: "it is taken"}, "409", "conflict", false},
		{errAnything, "500", "internal", true},
		{fmt.Errorf("%w: disk", eventstore.ErrUnavailable), "503", "unavailable", true},
		{context.DeadlineExceeded, "503", "unavailable", true},
		{fmt.Errorf("%w: disk", eventstore.ErrOutcomeUnknown), "504", "outcome_unknown", true},
	} {
		d := newDesk(t, failingWith(c.err))
		m := d.ask(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
		a := wantError(t, m, c.status, c.code, "")
		if (a.RetryAfterMS > 0) != (c.status == "503") || (a.Reason != "") != (c.status == "409") || strings.Contains(a.Message, "stream") {
			t.Errorf("%v: %s", c.err, m.Data)
		}
		if logged := strings.Contains(d.log.String(), a.CommandID); logged != c.logged {
			t.Errorf("%v: logged %t", c.err, logged)
		}
	}
}

func TestAReplyIsHeldBackUntilItsFloor(t *testing.T) {
	t.Parallel()
	// Longer than the detour below can take.
	d := newDesk(t, func(_ *desk, c *natsapi.Config) { c.ReplyFloor = 3 * time.Second })
	replies := d.inbox()
	d.send(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
	for len(d.events()) == 0 {
		runtime.Gosched()
	}
	// It is done. A later question, whose answer nothing holds back, is answered before it.
	d.send(natsapi.VerbLogoutUser, "malformed")
	first, second := read(t, <-replies), read(t, <-replies)
	if first.status != "400" || second.status != "" {
		t.Errorf("first %+v, then %+v", first, second)
	}
	// What is held back is answered before Run returns.
	d.send(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
	for len(d.events()) < 4 {
		runtime.Gosched()
	}
	d.must(d.stop())
	d.must(d.client.Flush()) // what was sent before is here after it
	select {
	case m := <-replies:
		if a := read(t, m); a.status != "" {
			t.Errorf("%+v", a)
		}
	default:
		t.Error("Run has returned before the reply")
	}
}

// TestAFloorBeginsWithTheArrival: what took longer than the floor is replied to at once, or the time of the
// reply would tell how long it took.
func TestAFloorBeginsWithTheArrival(t *testing.T) {
	t.Parallel()
	h, hold := holding(100)
	// Longer than the detour below can take.
	d := newDesk(t, hold, func(_ *desk, c *natsapi.Config) { c.ReplyFloor = 2 * time.Second })
	replies := d.inbox()
	d.send(natsapi.VerbLogoutUser, logoutOf("alice", "unknown to everybody"))
	<-h.entered
	d.issue("bob") // it came later, and its floor is over: so is that of the logout, which is still held
	before := len(d.events())
	d.send(natsapi.VerbIssueRefreshToken, `{"user_id":"carol"}`)
	for len(d.events()) == before {
		runtime.Gosched()
	}
	close(h.release) // the logout is done after carol's command arrived, and long after its own floor
	if first, second := read(t, <-replies), read(t, <-replies); first.RefreshToken != "" || second.RefreshToken == "" {
		t.Error("a reply was held back for the floor and for the time that its command took")
	}
}
