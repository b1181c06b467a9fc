package natsapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/commands/natsapi"
	"github.com/logoutd/logoutd/commands/natsapi/natsserver"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a service on a real NATS server over a real store, and a plain client of it.
type desk struct {
	t       testing.TB
	store   *embedded.Store
	keys    *credential.Keys
	ring    *credential.Ring
	queue   *commands.Queue
	log     *buffer
	server  *nats.Conn // the connection of the service
	client  *nats.Conn
	service *natsapi.Service
	stop    func() error // ends Run and gives its error; idempotent
	runErr  func() error // waits for the end of Run and gives its error
}

// buffer is what the service logs to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newDesk(t testing.TB, changes ...func(d *desk, c *natsapi.Config)) *desk {
	t.Helper()
	d := &desk{t: t, queue: commands.NewQueue(1000), log: &buffer{}}
	store, err := embedded.Open(embedded.Config{Dir: filepath.Join(t.TempDir(), "events"), CacheBytes: 8 << 20, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.must(store.Close()) })
	d.store = store
	nats, err := natsserver.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.must(nats.Close(context.Background())) })
	d.server, d.client = d.connect(nats.URL()), d.connect(nats.URL())

	if d.ring, _, err = credential.OpenOrCreateKeyFile(filepath.Join(t.TempDir(), "keys"), time.Now()); err != nil {
		t.Fatal(err)
	}
	d.keys = credential.NewKeys(store, time.Now)
	d.must(d.keys.Announce(t.Context(), d.ring))
	processor, err := commands.New(commands.Config{Journal: store, Keys: d.keys, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	config := natsapi.Config{
		Conn: d.server, Processor: processor, Queue: d.queue, Version: "1.2.3",
		Log: zerolog.New(d.log).Level(zerolog.TraceLevel),
	}
	for _, change := range changes {
		change(d, &config)
	}
	d.queue = config.Queue
	if d.service, err = natsapi.New(config); err != nil {
		t.Fatal(err)
	}
	d.run()
	return d
}

func (d *desk) connect(url string, options ...nats.Option) *nats.Conn {
	d.t.Helper()
	// A connection that is closed is gone when its handler has been called.
	gone := make(chan struct{})
	conn, err := nats.Connect(url, append(options, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))...)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close(); <-gone })
	return conn
}

func (d *desk) run() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.service.Run(ctx, func() { close(ready) }) }() // stop waits for it
	d.runErr = sync.OnceValue(func() error { return <-ended })
	d.stop = func() error { cancel(); return d.runErr() }
	d.t.Cleanup(func() { _ = d.stop() })
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		d.t.Fatal(err)
	}
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Error(err)
	}
}

// ask sends a command and waits for its reply.
func (d *desk) ask(verb, payload string, headers ...string) *nats.Msg {
	d.t.Helper()
	m := message(verb, payload, headers...)
	reply, err := d.client.RequestMsg(m, 30*time.Second)
	if err != nil {
		d.t.Fatalf("%s: %v", m.Subject, err)
	}
	return reply
}

func message(verb, payload string, headers ...string) *nats.Msg {
	m := nats.NewMsg(natsapi.Subject(natsapi.DefaultSubjectPrefix, verb))
	m.Data = []byte(payload)
	for i := 0; i < len(headers); i += 2 {
		m.Header[headers[i]] = []string{headers[i+1]}
	}
	return m
}

// answer is every field of every reply.
type answer struct {
	natsapi.ErrorReply
	SessionID    string `json:"session_id"`
	RefreshToken string `json:"refresh_token"`
	Generation   uint32 `json:"generation"`
	ExpiresAt    string `json:"expires_at"`
	Position     string `json:"position"`
	status       string
}

func read(t testing.TB, m *nats.Msg) answer {
	t.Helper()
	a := answer{status: m.Header.Get("Nats-Service-Error-Code")}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	return a
}

// mustAsk is ask where the answer must not be an error.
func (d *desk) mustAsk(verb, payload string, headers ...string) answer {
	d.t.Helper()
	m := d.ask(verb, payload, headers...)
	a := read(d.t, m)
	if a.status != "" || len(m.Header) != 0 {
		d.t.Fatalf("%s: %v %s", verb, m.Header, m.Data)
	}
	return a
}

func (d *desk) issue(user string) answer {
	d.t.Helper()
	return d.mustAsk(natsapi.VerbIssueRefreshToken, fmt.Sprintf(`{"user_id":%q}`, user))
}

func logoutOf(user, token string) string {
	return fmt.Sprintf(`{"command_id":%q,"user_id":%q,"refresh_token":%q}`, uuid.NewString(), user, token)
}

func registrationOf(user, token string) string {
	return fmt.Sprintf(`{"user_id":%q,"refresh_token":%q,"expires_at":"2999-01-01T00:00:00Z"}`, user, token)
}

func (d *desk) events() []eventstore.Recorded {
	d.t.Helper()
	var all []eventstore.Recorded
	for e, err := range d.store.ReadAll(context.Background(), 0, eventstore.Forward) {
		if err != nil {
			d.t.Fatal(err)
		}
		if e.Stream != keyring.Stream {
			all = append(all, e)
		}
	}
	return all
}

// metadata of the events that a command left.
func (d *desk) metadata(commandID string) []codec.Metadata {
	d.t.Helper()
	var all []codec.Metadata
	for _, e := range d.events() {
		decoded, err := codec.Decode(e)
		if err != nil {
			d.t.Fatal(err)
		}
		if decoded.Metadata.CommandID == commandID {
			all = append(all, decoded.Metadata)
		}
	}
	return all
}

// wantError checks the form of an error reply: headers and body say the same.
func wantError(t testing.TB, m *nats.Msg, status, code, field string) answer {
	t.Helper()
	a := read(t, m)
	if a.status != status || a.Code != code || a.Field != field || a.Message == "" || m.Header.Get("Nats-Service-Error") != a.Message {
		t.Errorf("got %v %s, want %s %s for field %q", m.Header, m.Data, status, code, field)
	}
	return a
}

// held is a processor that stops before every logout until it is released.
type held struct {
	natsapi.Processor
	entered chan string   // the command ids, as they come
	release chan struct{} // closed, or one for each
}

func (h *held) LogoutUser(ctx context.Context, c commands.LogoutUser) (commands.LogoutReceipt, error) {
	h.entered <- c.CommandID.String()
	<-h.release
	return h.Processor.LogoutUser(ctx, c)
}

func holding(limit int) (*held, func(*desk, *natsapi.Config)) {
	h := &held{entered: make(chan string, 100), release: make(chan struct{})}
	return h, func(_ *desk, c *natsapi.Config) {
		h.Processor, c.Processor = c.Processor, h
		c.Queue = commands.NewQueue(limit)
	}
}

// failing is a processor whose commands end in an error, or in a panic where there is none.
type failing struct {
	natsapi.Processor
	err error
}

func (f *failing) LogoutUser(context.Context, commands.LogoutUser) (commands.LogoutReceipt, error) {
	if f.err == nil {
		panic("the text of a panic: " + marker)
	}
	return commands.LogoutReceipt{}, f.err
}

func failingWith(err error) func(*desk, *natsapi.Config) {
	return func(_ *desk, c *natsapi.Config) { c.Processor = &failing{Processor: c.Processor, err: err} }
}

// marker stands in every place where only a secret stands.
const marker = "marker-of-a-secret-that-nobody-may-see"

// wantHidden checks that a text shows no secret.
func wantHidden(t testing.TB, where, text string) {
	t.Helper()
	if strings.Contains(text, marker) || strings.Contains(text, marker[10:30]) {
		t.Errorf("%s shows a secret: %s", where, text)
	}
}

var errAnything = errors.New("stream tokenFingerprint-x: anything at all")
