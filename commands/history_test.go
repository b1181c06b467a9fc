package commands_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

func TestASnapshotOfAnotherVersionIsReplayedInstead(t *testing.T) {
	t.Parallel()
	for name, snapshot := range map[string][]byte{"a later version": {99, 1, 2, 3}, "damage": {1}, "nothing in it": {}} {
		h := newHouse(t)
		r := h.mustIssue("alice")
		h.mustRotate(r.SessionID, 2)
		h.journal.onLoad = func(_ string, l eventstore.Loaded, err error) (eventstore.Loaded, error) {
			if l.Snapshot == nil {
				t.Errorf("%s: the store keeps no snapshot", name)
			}
			l.Snapshot = snapshot
			return l, err
		}
		before := h.head()
		h.mustLogOut(logout("alice", r.RefreshToken))
		events := h.events(before)
		if len(events) != 3 {
			t.Fatalf("%s: %s", name, types(events))
		}
		if revoked := h.decode(events[1]).Event.(refreshtoken.Revoked); revoked.Generation != 2 || revoked.UserID != user("alice") {
			t.Errorf("%s: %+v", name, revoked)
		}
	}
}

func TestAStoreWithoutSnapshotsIsFolded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.mustIssue("alice")
	h.mustRotate(r.SessionID, 1)
	h.journal.onLoad = func(stream string, l eventstore.Loaded, err error) (eventstore.Loaded, error) {
		l.Snapshot = nil
		for e := range h.store.ReadStream(context.Background(), stream, 0, eventstore.Forward) {
			l.Events = append(l.Events, e)
		}
		return l, err
	}
	h.mustLogOut(logout("alice", r.RefreshToken))
	before := h.head()
	h.mustLogOut(logout("alice", r.RefreshToken))
	if failed := h.decode(h.events(before)[1]).Event.(refreshtoken.LogoutFailed); failed.Reason != refreshtoken.TokenAlreadyRevoked {
		t.Error(failed.Reason)
	}
}

// What cannot be understood is never decided on: neither success nor refusal.
func TestAHistoryThatCannotBeReadEndsInAnError(t *testing.T) {
	t.Parallel()
	metadata := codec.EncodeMetadata(codec.Metadata{CommandID: uuid.NewString(), Schema: 1, Producer: codec.Producer})
	later := codec.EncodeMetadata(codec.Metadata{CommandID: uuid.NewString(), Schema: 7, Producer: codec.Producer})
	for name, e := range map[string]eventstore.Event{
		"data that is no JSON":            {Type: codec.RefreshTokenRotated, Data: []byte("{"), Metadata: metadata},
		"data without its fields":         {Type: codec.RefreshTokenRotated, Data: []byte("{}"), Metadata: metadata},
		"metadata that is no JSON":        {Type: codec.RefreshTokenRotated, Data: []byte("{}"), Metadata: []byte("?")},
		"a schema of a later version":     {Type: codec.RefreshTokenRotated, Data: []byte("{}"), Metadata: later},
		"a type that is not of this time": {Type: "RefreshTokenReincarnated", Data: []byte("{}"), Metadata: metadata},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			r := h.mustIssue("alice")
			registered := h.mustRegister(h.register("alice", foreignToken))
			for _, stream := range []string{r.SessionID.Stream(), registered.SessionID.Stream(), fingerprint(t, h.ring, "a bad pointer stream").Stream()} {
				e.ID = eventstore.EventID(uuid.New())
				if _, err := h.store.Append(t.Context(), eventstore.Append{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{e}}); err != nil {
					t.Fatal(err)
				}
			}
			before := h.head()
			for _, token := range []string{r.RefreshToken.Reveal(), foreignToken, "a bad pointer stream"} {
				_, err := h.LogoutUser(t.Context(), logout("alice", credential.NewSecret(token)))
				wantCode(t, err, commands.CodeInternal)
			}
			if left := h.events(before); len(left) != 0 {
				t.Errorf("left %s", types(left))
			}
		})
	}
}

// One read loads a family, because every append to it carries its state.
func TestEveryAppendToAFamilyCarriesItsState(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	native := h.mustIssue("alice")
	registered := h.mustRegister(h.register("alice", foreignToken))
	want := func(sessions ...refreshtoken.SessionID) {
		t.Helper()
		for _, session := range sessions {
			loaded, err := h.store.Load(t.Context(), session.Stream())
			state, usable := codec.DecodeSnapshot(loaded.Snapshot)
			folded, revision := h.family(session)
			if err != nil || !usable || state != folded || loaded.Revision != revision || len(loaded.Events) != 0 {
				t.Errorf("loaded %+v, the events say %+v: %v", state, folded, err)
			}
		}
	}
	want(native.SessionID, registered.SessionID)
	h.mustLogOut(logout("alice", native.RefreshToken))
	h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
	want(native.SessionID, registered.SessionID)
}
