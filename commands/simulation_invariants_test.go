package commands_test

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// knownOrder is what the simulation knows of a command from its answers.
type knownOrder struct {
	deliveries, running int
	receipt             any                 // the first
	since               eventstore.Position // of the head when it was delivered first
}

// record is what the simulation knows of the log.
type record struct {
	at       eventstore.Position
	ids      map[eventstore.EventID]bool
	of       map[string]int                                 // events by command id
	terminal map[string]refreshtoken.Event                  // by command id
	place    map[eventstore.Position]string                 // command id by position
	families map[refreshtoken.SessionID]*refreshtoken.State // by folding every event
	sealed   map[refreshtoken.SessionID]bool                // by UserLogoutSucceeded
	issued   map[refreshtoken.SessionID]eventstore.Position // where the family began
	pointers map[string]refreshtoken.SessionID              // by stream
}

func newRecord() *record {
	return &record{
		ids: map[eventstore.EventID]bool{}, of: map[string]int{}, terminal: map[string]refreshtoken.Event{},
		place: map[eventstore.Position]string{}, families: map[refreshtoken.SessionID]*refreshtoken.State{},
		sealed: map[refreshtoken.SessionID]bool{}, issued: map[refreshtoken.SessionID]eventstore.Position{},
		pointers: map[string]refreshtoken.SessionID{},
	}
}

// check holds the events that are new to the invariants.
func (s *simulation) check() {
	s.t.Helper()
	r := s.record
	for _, e := range s.everything(r.at) {
		if e.Stream == keyring.Stream {
			r.at = e.Position
			continue
		}
		d := s.decode(e)
		id, err := uuid.Parse(d.Metadata.CommandID)
		if err != nil || e.ID != codec.EventID(id, r.of[id.String()]) {
			s.t.Errorf("%s at %s has not the next id of command %s: %v", e.Type, e.Position, id, err)
		}
		if r.ids[e.ID] {
			s.t.Errorf("event id %s is stored twice", e.ID)
		}
		if holes := strings.HasPrefix(s.t.Name(), overClaims); e.Position <= r.at || !holes && e.Position != r.at+1 {
			s.t.Errorf("position %s after %s", e.Position, r.at)
		}
		r.at, r.ids[e.ID], r.place[e.Position] = e.Position, true, id.String()
		r.of[id.String()]++
		if session, is := refreshtoken.ParseStream(e.Stream); is {
			s.checkFamily(session, e, d.Event)
		}
		if failed, is := d.Event.(refreshtoken.LogoutFailed); is && failed.Reason == refreshtoken.TokenNotFound {
			s.checkUnknown(id)
		}
		switch event := d.Event.(type) {
		case refreshtoken.LogoutSucceeded, refreshtoken.LogoutFailed, refreshtoken.Issued:
			if r.terminal[id.String()] != nil {
				s.t.Errorf("command %s ended twice: %T and %T", id, r.terminal[id.String()], event)
			}
			r.terminal[id.String()] = event
		case refreshtoken.FingerprintRegistered:
			if _, twice := r.pointers[e.Stream]; twice {
				s.t.Error("a pointer was changed")
			}
			r.pointers[e.Stream] = event.SessionID
		case refreshtoken.Rotated, refreshtoken.Revoked, refreshtoken.LogoutAttempted:
		}
	}
}

func (s *simulation) checkFamily(session refreshtoken.SessionID, e eventstore.Recorded, event refreshtoken.Event) {
	s.t.Helper()
	r := s.record
	if r.sealed[session] {
		s.t.Errorf("%s after the end of session %s", e.Type, session)
	}
	state := r.families[session]
	if state == nil {
		state = &refreshtoken.State{}
		r.families[session], r.issued[session] = state, e.Position
	}
	if _, revoked := event.(refreshtoken.Revoked); revoked && state.Status != refreshtoken.Live {
		s.t.Errorf("session %s was revoked twice", session)
	}
	if ended, is := event.(refreshtoken.LogoutSucceeded); is {
		r.sealed[session] = true
		if state.Status != refreshtoken.Ended || ended.SessionID != session {
			s.t.Errorf("session %s lives on after its logout", session)
		}
	}
	*state = state.Apply(event)
}

// answered holds an answer to the log.
func (s *simulation) answered(o *order, receipt any, err error) {
	s.t.Helper()
	s.check()
	id, r := o.id.String(), s.record
	if o.what == "keys" { // whatever becomes of it, the process goes on with the keys that it had
		return
	}
	switch code := commands.CodeOf(err); {
	case err == nil:
		if o.known.receipt == nil {
			o.known.receipt = receipt
		}
		if receipt != o.known.receipt {
			s.t.Errorf("%s %s: first receipt %+v, then %+v", o.what, id, o.known.receipt, receipt)
		}
		s.checkReceipt(o, receipt)
	case code == commands.CodeUnavailable:
		// "Nothing was done" by this delivery; another one of the same command may have.
		if o.known.deliveries == 1 && r.of[id] > 0 {
			s.t.Errorf("%s %s: nothing was done, and left %d events: %v", o.what, id, r.of[id], err)
		}
	case code == commands.CodeOutcomeUnknown:
	case code == commands.CodeConflict && o.what == "register":
	default:
		s.t.Errorf("%s %s: %v; its record: %T %+v", o.what, id, err, r.terminal[id], r.terminal[id])
	}
}

// checkReceipt sees that what a receipt tells is stored.
func (s *simulation) checkReceipt(o *order, receipt any) {
	s.t.Helper()
	r, id := s.record, o.id.String()
	switch receipt := receipt.(type) {
	case commands.LogoutReceipt:
		last, is := r.terminal[id], r.place[receipt.Position] == id
		if succeeded, ok := last.(refreshtoken.LogoutSucceeded); ok {
			is = is && r.sealed[succeeded.SessionID]
		}
		if last == nil || !is {
			s.t.Errorf("logout %s: a receipt for position %s without its record", id, receipt.Position)
		}
	case commands.RegisterReceipt:
		p, err := s.ring.Recognise(o.token)
		if err != nil {
			s.t.Fatal(err)
		}
		leads := slices.ContainsFunc(p.Fingerprints, func(f credential.Fingerprint) bool { return r.pointers[f.Stream()] == receipt.SessionID })
		if !leads || r.issued[receipt.SessionID] != receipt.Position ||
			r.families[receipt.SessionID].UserID != user(o.user) {
			s.t.Errorf("register %s: a receipt for what is not stored: %+v", id, receipt)
		}
	default:
		if r.terminal[id] == nil {
			s.t.Errorf("issue %s: a receipt without its record", id)
		}
	}
}

// checkUnknown sees that a token that was refused as unknown was not known before its logout began.
func (s *simulation) checkUnknown(id uuid.UUID) {
	s.t.Helper()
	for _, o := range s.orders {
		if o.id != id {
			continue
		}
		p, err := s.ring.Recognise(o.token)
		if err != nil {
			return
		}
		for session, state := range s.record.families {
			own := p.SessionID == session || slices.Contains(p.Fingerprints, credential.Fingerprint(state.Fingerprint))
			if own && s.record.issued[session] <= o.known.since {
				s.t.Errorf("logout %s: refused as unknown, and its session %s was there before", id, session)
			}
		}
	}
}

// checkSessions sees that a token has one session, whichever keys came while it was registered.
func (s *simulation) checkSessions(token credential.Secret) {
	s.t.Helper()
	p, err := s.ring.Recognise(token)
	if err != nil {
		s.t.Fatal(err)
	}
	sessions := 0
	for _, state := range s.record.families {
		if slices.Contains(p.Fingerprints, credential.Fingerprint(state.Fingerprint)) {
			sessions++
		}
	}
	if sessions > 1 {
		s.t.Errorf("a registered token has %d sessions", sessions)
	}
}

// final holds the end to the promise of completeness.
func (s *simulation) final() {
	s.t.Helper()
	for _, o := range s.orders {
		if o.what == "register" {
			s.checkSessions(o.token)
		}
		last := s.record.terminal[o.id.String()]
		switch {
		case o.what == "logout" && last == nil, o.what == "issue" && last == nil:
			s.t.Errorf("%s %s never ended", o.what, o.id)
		case o.what == "logout":
			s.logouts++
			if _, is := last.(refreshtoken.LogoutSucceeded); is {
				s.ended++
			}
		}
	}
}
