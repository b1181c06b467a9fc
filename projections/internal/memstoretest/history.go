package memstoretest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// History writes what the aggregate decides into a store. It is deterministic: the same
// calls give the same bytes.
type History struct {
	tb       testing.TB
	store    eventstore.Appender
	now      time.Time
	commands uint64
	Families []*Family
}

// Family is a session in a history.
type Family struct {
	State    refreshtoken.State
	Parked   *refreshtoken.State // as it was before the first unreadable event; nil unless it lived then
	revision eventstore.Expected
}

// ID is the session.
func (f *Family) ID() refreshtoken.SessionID { return f.State.SessionID }

// NewHistory begins to write into a store.
func NewHistory(tb testing.TB, store eventstore.Appender) *History {
	return &History{tb: tb, store: store, now: Epoch}
}

// SessionID is the id of the nth session that a history issues, from 0: a UUIDv7.
func SessionID(n int) refreshtoken.SessionID {
	id := [16]byte{0x01, 0x9b, 6: 0x70, 8: 0x80}
	binary.BigEndian.PutUint32(id[2:], uint32(n))  //nolint:gosec // tests stay small
	binary.BigEndian.PutUint32(id[12:], uint32(n)) //nolint:gosec // as above
	return refreshtoken.SessionIDFrom(id)
}

// User makes a user id.
func User(tb testing.TB, name string) refreshtoken.UserID {
	tb.Helper()
	u, err := refreshtoken.ParseUserID(name)
	if err != nil {
		tb.Fatalf("user %q: %v", name, err)
	}
	return u
}

// Client makes a client id, "" for none.
func Client(tb testing.TB, name string) refreshtoken.ClientID {
	tb.Helper()
	c, err := refreshtoken.ParseClientID(name)
	if err != nil {
		tb.Fatalf("client %q: %v", name, err)
	}
	return c
}

// Issue starts a session that lives for an hour and its family for a day.
func (h *History) Issue(user, client string) *Family {
	h.tb.Helper()
	f := &Family{revision: eventstore.NoStream}
	events, err := f.State.Issue(refreshtoken.Issue{
		SessionID: SessionID(len(h.Families)), UserID: User(h.tb, user), ClientID: Client(h.tb, client),
		Kind: refreshtoken.Registered, Fingerprint: fmt.Sprintf("%064x", len(h.Families)),
		Now: h.now, ExpiresAt: h.now.Add(time.Hour), AbsoluteExpiresAt: h.now.Add(24 * time.Hour),
	})
	if err != nil {
		h.tb.Fatalf("issue: %v", err)
	}
	h.Families = append(h.Families, f)
	h.family(f, events)
	return f
}

// Rotate gives a session its next token; a session that has ended stays as it is.
func (h *History) Rotate(f *Family) {
	h.tb.Helper()
	events, err := f.State.Rotate(refreshtoken.Rotate{
		Generation: f.State.Generation, Fingerprint: "ab", Now: h.now, ExpiresAt: h.now.Add(2 * time.Hour),
	})
	if errors.Is(err, refreshtoken.ErrEnded) {
		return
	}
	if err != nil {
		h.tb.Fatalf("rotate: %v", err)
	}
	h.family(f, events)
}

// LogOut is a logout by a user, whatever comes of it.
func (h *History) LogOut(f *Family, user string) {
	h.tb.Helper()
	by := User(h.tb, user)
	events, err := f.State.LogOut(refreshtoken.LogOut{UserID: by, By: user})
	var refused *refreshtoken.RefusedError
	if errors.As(err, &refused) {
		h.refused(refused.Events(by))
		return
	}
	h.family(f, events)
}

// LogOutUnknown is a logout with a token that nothing is known of.
func (h *History) LogOutUnknown(user string) {
	h.tb.Helper()
	h.LogOut(&Family{}, user)
}

// Other appends an event of no concern to any read model here.
func (h *History) Other(stream string) {
	h.tb.Helper()
	h.commands++
	h.append(stream, eventstore.Any, []codec.Encoded{{Type: "SomethingElse", Schema: 1, Data: []byte("not JSON")}})
}

// Spoil appends an event that nobody can read to a session's stream.
func (h *History) Spoil(f *Family) {
	h.tb.Helper()
	if f.Parked == nil && f.State.Status == refreshtoken.Live {
		before := f.State
		f.Parked = &before
	}
	h.Garbage(f.ID().Stream())
	f.revision++
}

// Garbage appends an event that nobody can read to any stream.
func (h *History) Garbage(stream string) {
	h.tb.Helper()
	h.commands++
	h.append(stream, eventstore.Any, []codec.Encoded{{Type: "Garbage", Schema: 1, Data: []byte("{}")}})
}

func (h *History) family(f *Family, events []refreshtoken.Event) {
	h.tb.Helper()
	h.commands++
	for _, e := range events {
		f.State = f.State.Apply(e)
	}
	h.append(f.State.SessionID.Stream(), f.revision, encode(events))
	f.revision += eventstore.Expected(len(events))
}

func (h *History) refused(events []refreshtoken.Event) {
	h.tb.Helper()
	h.commands++
	h.append("userLogout-"+h.id(0xff).String(), eventstore.NoStream, encode(events))
}

func encode(events []refreshtoken.Event) []codec.Encoded {
	encoded := make([]codec.Encoded, len(events))
	for i, e := range events {
		encoded[i] = codec.Encode(e)
	}
	return encoded
}

func (h *History) id(index byte) eventstore.EventID {
	id := eventstore.EventID{0: 0x50, 6: 0x50, 8: 0x80, 15: index}
	binary.BigEndian.PutUint32(id[10:], uint32(h.commands)) //nolint:gosec // tests stay small
	return id
}

func (h *History) append(stream string, expected eventstore.Expected, encoded []codec.Encoded) {
	h.tb.Helper()
	a := eventstore.Append{Stream: stream, Expected: expected}
	for i, e := range encoded {
		a.Events = append(a.Events, eventstore.Event{
			ID: h.id(byte(i)), Type: e.Type, Data: e.Data, //nolint:gosec // few
			Metadata: codec.EncodeMetadata(codec.Metadata{
				CorrelationID: h.id(0xfe).String(), CausationID: h.id(0xfd).String(), CommandID: h.id(0xff).String(),
				OccurredAt: h.now, Schema: e.Schema, Actor: codec.Actor{Type: codec.ActorUser, ID: "someone"},
				Client:   codec.Client{IPAddress: "203.0.113.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"},
				Producer: codec.Producer,
			}),
		})
	}
	if _, err := h.store.Append(context.Background(), a); err != nil {
		h.tb.Fatalf("append to %s: %v", stream, err)
	}
	h.now = h.now.Add(time.Second)
}

// Revision is that of the last event of the family's stream.
func (f *Family) Revision() uint64 { return uint64(f.revision) } //nolint:gosec // issued
