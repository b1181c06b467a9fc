package commands_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// presented is a token, and what the record must say of it when alice presents it.
type presented struct {
	token   string
	reason  string                 // of the refusal; "" where the session ends
	session refreshtoken.SessionID // zero where the token is not recognised
	newest  uint32                 // generation of its family
}

const foreignToken = "minted by somebody else"

// branches are the rows of the decision table, each with every kind of token that leads to it.
var branches = []struct {
	name string
	make func(h *house) presented
}{
	{"nothing at all is unknown", func(*house) presented { return presented{token: "", reason: "token_not_found"} }},
	{"a short text is unknown", func(*house) presented { return presented{token: "short", reason: "token_not_found"} }},
	{"an oversized text is unknown", func(*house) presented {
		return presented{token: strings.Repeat("a", 1<<20), reason: "token_not_found"}
	}},
	{"a forged native token is unknown", func(h *house) presented {
		token := h.mustIssue("alice").RefreshToken.Reveal()
		return presented{token: token[:10] + "AAAA" + token[14:], reason: "token_not_found"}
	}},
	{"a native token of another installation is unknown", func(h *house) presented {
		return presented{token: mint(h.t, ringIn(h.t, keyFile(h.t)), h.mustIssue("alice").SessionID, 0).Reveal(), reason: "token_not_found"}
	}},
	{"a native token whose family is not there is unknown", func(h *house) presented {
		return presented{token: h.mint(refreshtoken.SessionIDFrom(uuid.New()), 0).Reveal(), reason: "token_not_found"}
	}},
	{"an opaque text that nobody registered is unknown", func(*house) presented {
		return presented{token: foreignToken, reason: "token_not_found"}
	}},
	{"a native token of somebody else", func(h *house) presented {
		r := h.mustIssue("bob")
		return presented{token: r.RefreshToken.Reveal(), reason: "token_user_mismatch", session: r.SessionID}
	}},
	{"a registered token of somebody else", func(h *house) presented {
		r := h.mustRegister(h.register("bob", foreignToken))
		return presented{token: foreignToken, reason: "token_user_mismatch", session: r.SessionID}
	}},
	{"an ended session of somebody else is somebody else's", func(h *house) presented {
		r := h.mustIssue("bob")
		h.mustLogOut(logout("bob", r.RefreshToken))
		return presented{token: r.RefreshToken.Reveal(), reason: "token_user_mismatch", session: r.SessionID}
	}},
	{"the native token of an ended session", func(h *house) presented {
		r := h.mustIssue("alice")
		h.mustLogOut(logout("alice", r.RefreshToken))
		return presented{token: r.RefreshToken.Reveal(), reason: "token_already_revoked", session: r.SessionID}
	}},
	{"the registered token of an ended session", func(h *house) presented {
		r := h.mustRegister(h.register("alice", foreignToken))
		h.mustLogOut(logout("alice", credential.NewSecret(foreignToken)))
		return presented{token: foreignToken, reason: "token_already_revoked", session: r.SessionID}
	}},
	{"a live native token", func(h *house) presented {
		r := h.mustIssue("alice")
		return presented{token: r.RefreshToken.Reveal(), session: r.SessionID}
	}},
	{"a live registered token", func(h *house) presented {
		r := h.mustRegister(h.register("alice", foreignToken))
		return presented{token: foreignToken, session: r.SessionID}
	}},
	{"a token that its successor has replaced", func(h *house) presented {
		r := h.mustIssue("alice")
		h.mustRotate(r.SessionID, 2)
		return presented{token: r.RefreshToken.Reveal(), session: r.SessionID, newest: 2}
	}},
	{"the newest of several generations", func(h *house) presented {
		r := h.mustIssue("alice")
		h.mustRotate(r.SessionID, 3)
		return presented{token: h.mint(r.SessionID, 3).Reveal(), session: r.SessionID, newest: 3}
	}},
	{"a token that has expired", func(h *house) presented {
		r := h.mustIssue("alice")
		h.clock.advance(31 * 24 * time.Hour)
		return presented{token: r.RefreshToken.Reveal(), session: r.SessionID}
	}},
	{"a token whose whole family has expired", func(h *house) presented {
		r := h.mustIssue("alice")
		h.clock.advance(365 * 24 * time.Hour)
		return presented{token: r.RefreshToken.Reveal(), session: r.SessionID}
	}},
}

func (h *house) mustRotate(session refreshtoken.SessionID, times int) {
	h.t.Helper()
	for range times {
		if err := h.rotate(session); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestTheDecisionTableOfLogoutUser(t *testing.T) {
	t.Parallel()
	for _, b := range branches {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			p := b.make(h)
			before := h.head()
			was, _ := h.family(p.session)
			c := logout("alice", credential.NewSecret(p.token))
			c.CorrelationID = "correlation of the caller"
			c.Client = codec.Client{IPAddress: "2001:db8::7", UserAgent: `Browser "1.0" <é>`}
			c.Traceparent, c.Tracestate = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1"
			receipt := h.mustLogOut(c)
			h.checkRecord(c, p, receipt, h.events(before))
			is, _ := h.family(p.session)
			if p.reason == "" {
				was.Status, was.EndReason = refreshtoken.Ended, refreshtoken.ReasonLogout
			}
			if is != was {
				t.Errorf("the family is %+v, want %+v", is, was)
			}
		})
	}
}

// checkRecord compares the record of a logout with the decision table, field by field.
func (h *house) checkRecord(c commands.LogoutUser, p presented, receipt commands.LogoutReceipt, got []eventstore.Recorded) {
	h.t.Helper()
	stream := "userLogout-" + c.CommandID.String()
	want := [][2]string{{"UserLogoutAttempted", `{"user_id":"alice"}`}}
	switch {
	case p.reason == "":
		stream = "refreshToken-" + p.session.String()
		want = append(want,
			[2]string{"TokenRevoked", fmt.Sprintf(`{"session_id":%q,"user_id":"alice","generation":%d,"reason":"logout","revoked_by":"alice"}`, p.session, p.newest)},
			[2]string{"UserLogoutSucceeded", fmt.Sprintf(`{"user_id":"alice","session_id":%q}`, p.session)})
	case p.session.IsZero():
		want = append(want, [2]string{"UserLogoutFailed", fmt.Sprintf(`{"user_id":"alice","reason":%q}`, p.reason)})
	default:
		want = append(want, [2]string{"UserLogoutFailed", fmt.Sprintf(`{"user_id":"alice","reason":%q,"session_id":%q}`, p.reason, p.session)})
	}
	if len(got) != len(want) {
		h.t.Fatalf("recorded %s, want %v", types(got), want)
	}
	digest := h.decode(got[0]).Metadata.CommandDigest
	if len(digest) != 32 {
		h.t.Errorf("digest %q", digest)
	}
	metadata := fmt.Sprintf(`{"$correlationId":"correlation of the caller","$causationId":%q,"command_id":%q,"command_digest":%q,`+
		`"occurred_at":%q,"schema":1,"actor":{"type":"user","id":"alice"},`+
		`"client":{"ip_address":"2001:db8::7","user_agent":"Browser \"1.0\" \u003cé\u003e"},`+
		`"traceparent":%q,"tracestate":"a=1","producer":"logoutd"}`,
		c.CommandID, c.CommandID, digest, h.clock.Now().Format("2006-01-02T15:04:05.000000000Z"), c.Traceparent)
	for i, e := range got {
		id := eventstore.EventID(uuid.NewSHA1(c.CommandID, []byte(fmt.Sprint(i))))
		if e.Stream != stream || e.ID != id || e.Type != want[i][0] || e.ContentType != eventstore.JSON {
			h.t.Errorf("event %d is %s %s in %s, want %s %s in %s", i, e.Type, e.ID, e.Stream, want[i][0], id, stream)
		}
		if string(e.Data) != want[i][1] {
			h.t.Errorf("data of %s\n got %s\nwant %s", e.Type, e.Data, want[i][1])
		}
		if string(e.Metadata) != metadata {
			h.t.Errorf("metadata of %s\n got %s\nwant %s", e.Type, e.Metadata, metadata)
		}
	}
	if last := got[len(got)-1]; receipt.Position != last.Position {
		h.t.Errorf("receipt for position %s, the last event is at %s", receipt.Position, last.Position)
	}
}

func TestTheActorOfALogoutIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := logout("alice", h.mustIssue("alice").RefreshToken)
	c.Actor = codec.Actor{Type: codec.ActorAdmin, ID: "carol"}
	before := h.head()
	h.mustLogOut(c)
	events := h.events(before)
	for _, e := range events {
		if m := h.decode(e).Metadata; m.Actor != c.Actor || m.CorrelationID != c.CommandID.String() || m.Client != (codec.Client{}) {
			t.Errorf("%+v", m)
		}
	}
	if len(events) != 3 || !strings.Contains(string(events[1].Data), `"revoked_by":"carol"`) {
		t.Errorf("%s", types(events))
	}
}
