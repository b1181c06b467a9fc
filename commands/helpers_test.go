package commands_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
	"github.com/logoutd/logoutd/eventstore/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a processor over a real store, with a clock that only the test moves.
type house struct {
	*commands.Processor
	t       testing.TB
	reopen  func() eventstore.Store
	store   eventstore.Store
	journal *journal
	keys    string // the key file
	ring    *credential.Ring
	clock   *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{
		t: t, reopen: embeddedStore(t), keys: keyFile(t),
		clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)},
	}
	h.ring = ringIn(t, h.keys)
	if strings.HasPrefix(t.Name(), overClaims) {
		h.reopen = claimedStore(t)
	}
	h.open()
	return h
}

// embeddedStore opens the default store, again and again.
func embeddedStore(t testing.TB) func() eventstore.Store {
	t.Helper()
	folder := t.TempDir()
	return func() eventstore.Store {
		store, err := embedded.Open(embedded.Config{Dir: filepath.Join(folder, "events"), CacheBytes: 8 << 20, MinFreeBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
}

func (h *house) open() {
	h.t.Helper()
	store := h.reopen()
	h.t.Cleanup(func() {
		if err := closeStore(store); err != nil {
			h.t.Error(err)
		}
	})
	h.store, h.journal = store, &journal{Journal: store}
	h.Processor = h.another(h.journal)
	h.journal.forget()
}

func closeStore(s eventstore.Store) error { return s.(io.Closer).Close() } //nolint:forcetypeassert // ours all are

// restart closes the store and opens it again, as a new process would.
func (h *house) restart() {
	h.t.Helper()
	if err := closeStore(h.store); err != nil {
		h.t.Fatal(err)
	}
	h.open()
}

// another is one more processor, as in another process with the same key file.
func (h *house) another(j commands.Journal) *commands.Processor {
	h.t.Helper()
	p, err := h.with(j, h.ring)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// with is a processor that has announced the keys of a ring, or the reason why it cannot start.
func (h *house) with(j commands.Journal, ring *credential.Ring) (*commands.Processor, error) {
	h.t.Helper()
	keys := credential.NewKeys(j, h.clock.Now)
	p, err := commands.New(commands.Config{Journal: j, Keys: keys, Now: h.clock.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	return p, keys.Announce(h.t.Context(), ring)
}

// rotateKeys adds a key to the key file and makes it the active one.
func (h *house) rotateKeys() {
	h.t.Helper()
	if _, err := credential.AddKey(h.keys, time.Now()); err != nil {
		h.t.Fatal(err)
	}
	if _, err := credential.PromoteKey(h.keys, ""); err != nil {
		h.t.Fatal(err)
	}
	h.ring = ringIn(h.t, h.keys)
}

// mint makes the token of a generation, as the processor does.
func (h *house) mint(session refreshtoken.SessionID, generation uint32) credential.Secret {
	h.t.Helper()
	return mint(h.t, h.ring, session, generation)
}

func mint(t testing.TB, ring *credential.Ring, session refreshtoken.SessionID, generation uint32) credential.Secret {
	t.Helper()
	token, err := ring.Mint(ring.ActiveID(), session, generation)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func user(name string) refreshtoken.UserID {
	id, err := refreshtoken.ParseUserID(name)
	if err != nil {
		panic(err)
	}
	return id
}

func command() commands.Envelope { return commands.Envelope{CommandID: uuid.New()} }

func (h *house) mustIssue(name string) commands.IssueReceipt {
	h.t.Helper()
	r, err := h.IssueRefreshToken(h.t.Context(), commands.IssueRefreshToken{Envelope: command(), UserID: user(name)})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) register(name, token string) commands.RegisterRefreshToken {
	return commands.RegisterRefreshToken{
		Envelope: command(), UserID: user(name), RefreshToken: credential.NewSecret(token),
		ExpiresAt: h.clock.Now().Add(time.Hour),
	}
}

func (h *house) mustRegister(c commands.RegisterRefreshToken) commands.RegisterReceipt {
	h.t.Helper()
	r, err := h.RegisterRefreshToken(h.t.Context(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func logout(name string, token credential.Secret) commands.LogoutUser {
	return commands.LogoutUser{Envelope: command(), UserID: user(name), RefreshToken: token}
}

func (h *house) mustLogOut(c commands.LogoutUser) commands.LogoutReceipt {
	h.t.Helper()
	r, err := h.LogoutUser(h.t.Context(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	if r.CommandID != c.CommandID {
		h.t.Fatal("the receipt is another command's")
	}
	return r
}

// events reads everything after a position that is about tokens, past the journal of the processor.
func (h *house) events(after eventstore.Position) []eventstore.Recorded {
	h.t.Helper()
	return slices.DeleteFunc(h.everything(after), func(e eventstore.Recorded) bool { return e.Stream == keyring.Stream })
}

func (h *house) everything(after eventstore.Position) []eventstore.Recorded {
	h.t.Helper()
	var all []eventstore.Recorded
	for e, err := range h.store.ReadAll(context.Background(), after, eventstore.Forward) {
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (h *house) head() eventstore.Position {
	h.t.Helper()
	p, err := h.store.Head(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) decode(r eventstore.Recorded) codec.Decoded {
	h.t.Helper()
	d, err := codec.Decode(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

// family folds a session from its events, past any snapshot.
func (h *house) family(session refreshtoken.SessionID) (refreshtoken.State, eventstore.Expected) {
	h.t.Helper()
	var s refreshtoken.State
	revision := eventstore.NoStream
	for r, err := range h.store.ReadStream(context.Background(), session.Stream(), 0, eventstore.Forward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			h.t.Fatal(err)
		}
		s, revision = s.Apply(h.decode(r).Event), eventstore.AtRevision(r.Revision)
	}
	return s, revision
}

// rotate replaces the newest token of a session, as far as its state allows, by the aggregate's own
// decision. The commands have no use case for it yet.
func (h *house) rotate(session refreshtoken.SessionID) error {
	s, revision := h.family(session)
	events, err := s.Rotate(refreshtoken.Rotate{Generation: s.Generation, Now: h.clock.Now(), ExpiresAt: h.clock.Now().Add(time.Hour)})
	if err != nil {
		return err
	}
	command := uuid.New()
	metadata := codec.Metadata{CommandID: command.String(), OccurredAt: h.clock.Now(), Schema: 1, Producer: codec.Producer}
	a := eventstore.Append{Stream: session.Stream(), Expected: revision}
	for i, e := range events {
		s = s.Apply(e)
		encoded := codec.Encode(e)
		a.Events = append(a.Events, eventstore.Event{
			ID: codec.EventID(command, i), Type: encoded.Type, Data: encoded.Data, Metadata: codec.EncodeMetadata(metadata),
		})
	}
	a.Snapshot = codec.EncodeSnapshot(s)
	_, err = h.store.Append(context.Background(), a)
	return err
}

func types(events []eventstore.Recorded) string {
	names := make([]string, len(events))
	for i := range events {
		names[i] = events[i].Type
	}
	return strings.Join(names, " ")
}

// wantCode checks what class an error is of.
func wantCode(t testing.TB, err error, want commands.Code) {
	t.Helper()
	if got := commands.CodeOf(err); got != want {
		t.Errorf("code %q, want %q: %v", got, want, err)
	}
}

// wantReused checks that a command was refused for its id, and left nothing.
func (h *house) wantReused(err error, before eventstore.Position) {
	h.t.Helper()
	var invalid *commands.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != "command_id" {
		h.t.Errorf("not refused for its command_id: %v", err)
	}
	if after := h.events(before); len(after) != 0 {
		h.t.Errorf("left events: %s", types(after))
	}
}

// keyFile makes a key file with one key.
func keyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if _, _, err := credential.OpenOrCreateKeyFile(path, time.Now()); err != nil {
		t.Fatal(err)
	}
	return path
}

func ringIn(t testing.TB, path string) *credential.Ring {
	t.Helper()
	ring, err := credential.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
