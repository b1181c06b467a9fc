package natsapi_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/commands/natsapi"
	"github.com/logoutd/logoutd/eventstore"
)

// shown collects what a desk lets out, beside the reply that hands a token to whoever asked for it.
type shown struct {
	*desk
	text strings.Builder
}

func (s *shown) ask(verb, payload string) answer {
	s.t.Helper()
	m := s.desk.ask(verb, payload)
	a := read(s.t, m)
	fmt.Fprintln(&s.text, m.Header, strings.Replace(string(m.Data), `"refresh_token":"`+a.RefreshToken+`"`, "", 1))
	return a
}

// everything is every reply, log line, event and statistic so far.
func (s *shown) everything() string {
	s.t.Helper()
	for _, subject := range []string{"$SRV.PING.logoutd", "$SRV.INFO.logoutd", "$SRV.STATS.logoutd"} {
		m, err := s.client.Request(subject, nil, 10*time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintln(&s.text, m.Header, string(m.Data))
	}
	for _, e := range s.events() {
		fmt.Fprintln(&s.text, e.Stream, e.Type, string(e.Data), string(e.Metadata))
	}
	fmt.Fprintln(&s.text, s.log.String())
	return s.text.String()
}

// wantNoneOf looks for tokens, their tails, and the fingerprints of registered ones in the log and replies.
func (s *shown) wantNoneOf(secrets ...string) {
	s.t.Helper()
	all := s.everything()
	if len(all) < 1000 {
		s.t.Errorf("only %d bytes were looked at", len(all))
	}
	for _, secret := range secrets {
		if strings.Contains(all, secret) || strings.Contains(all, secret[len(secret)/2:]) {
			s.t.Errorf("something shows %s", secret)
		}
		p, err := s.ring.Recognise(credential.NewSecret(secret))
		for _, f := range p.Fingerprints {
			if err == nil && (strings.Contains(s.log.String(), string(f)) || strings.Contains(s.replies(), string(f))) {
				s.t.Errorf("log or reply shows the fingerprint of %s", secret)
			}
		}
	}
	wantHidden(s.t, "something", all)
}

// replies is what was collected of replies; events hold fingerprints rightly.
func (s *shown) replies() string {
	var out strings.Builder
	for line := range strings.Lines(s.text.String()) {
		if strings.HasPrefix(line, "map[") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// useEverything sends each verb, rightly and wrongly, with a secret in each place of a secret.
func (s *shown) useEverything() (secrets []string) {
	s.t.Helper()
	logout, register := natsapi.VerbLogoutUser, natsapi.VerbRegisterRefreshToken
	issued := s.ask(natsapi.VerbIssueRefreshToken, `{"user_id":"alice"}`)
	secrets = []string{"registered-" + marker, "unknown-" + marker, "lt1_" + marker + strings.Repeat("A", 32), "x" + marker[:9]}
	if issued.RefreshToken != "" {
		secrets = append(secrets, issued.RefreshToken)
	}
	s.ask(register, registrationOf("alice", secrets[0]))
	s.ask(register, registrationOf("bob", secrets[0]))
	for _, secret := range secrets {
		for _, user := range []string{"bob", "alice", "alice"} {
			payload := logoutOf(user, secret)
			s.ask(logout, payload)
			s.ask(logout, payload)
			s.ask(logout, strings.Replace(payload, user, "carol", 1)) // another user under the same id
		}
		s.ask(register, registrationOf("alice", secret+"\x7f"))
		s.ask(register, strings.Replace(registrationOf("alice", secret), "2999", "1999", 1))
		for _, broken := range []string{
			fmt.Sprintf(`{"user_id":"alice","refresh_token":%q`, secret), fmt.Sprintf(`{"refresh_token":%q}`, secret),
			fmt.Sprintf(`{"user_id":"alice","refresh_token":[%q]}`, secret), fmt.Sprintf(`%q`, secret), secret,
			fmt.Sprintf(`{"user_id":"alice","refresh_token":%q,"refresh_token":%q}`, secret, secret),
			fmt.Sprintf(`{"user_id":"alice","Refresh_Token":%q}`, secret),
			fmt.Sprintf(`{"command_id":%q,"user_id":"alice","refresh_token":"x"}`, secret),
			fmt.Sprintf(`{"user_id":"alice","refresh_token":"x","client":{"ip_address":%q}}`, secret),
			fmt.Sprintf(`{"user_id":"alice","refresh_token":"x","actor":{"type":%q,"id":"x"}}`, secret),
			fmt.Sprintf(`{"user_id":"alice","refresh_token":%q,"client":{"user_agent":%q}}`, secret, strings.Repeat("x", 70_000)),
		} {
			s.ask(logout, broken)
		}
	}
	return secrets
}

func TestNoSecretLeavesByAnyWay(t *testing.T) {
	t.Parallel()
	s := &shown{desk: newDesk(t)}
	s.wantNoneOf(s.useEverything()...)
}

// broken is a store that answers every call with an error that names its stream.
type broken struct{ err error }

func (b broken) Append(_ context.Context, a eventstore.Append) (eventstore.Result, error) {
	return eventstore.Result{}, fmt.Errorf("append to %s of %s: %w", a.Stream, a.Events[0].Data, b.err)
}

func (b broken) Load(_ context.Context, stream string) (eventstore.Loaded, error) {
	return eventstore.Loaded{Revision: eventstore.NoStream}, b.loadErr(stream)
}

func (b broken) loadErr(stream string) error {
	if b.err == eventstore.ErrOutcomeUnknown { //nolint:errorlint // the very value of the test; only appends are unknown
		return nil
	}
	return fmt.Errorf("load %s: %w", stream, b.err)
}

func (b broken) ReadStream(_ context.Context, stream string, _ uint64, _ eventstore.Direction) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		yield(eventstore.Recorded{}, fmt.Errorf("read %s: %w", stream, b.err))
	}
}

func TestNoSecretLeavesWhenEverythingFails(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		eventstore.ErrUnavailable, eventstore.ErrCorrupt, eventstore.ErrOutcomeUnknown, eventstore.ErrInvalid, context.DeadlineExceeded, errAnything,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			s := &shown{desk: newDesk(t, func(d *desk, c *natsapi.Config) {
				p, err := commands.New(commands.Config{Journal: broken{err}, Keys: d.keys, Now: time.Now, ResolveTimeout: time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				c.Processor = p
			})}
			secrets := s.useEverything()
			// A native token that is genuine gets further than any other.
			native, err := s.ring.Mint(s.ring.ActiveID(), refreshtoken.SessionIDFrom(uuid.New()), 0)
			if err != nil {
				t.Fatal(err)
			}
			s.ask(natsapi.VerbLogoutUser, logoutOf("alice", native.Reveal()))
			s.wantNoneOf(append(secrets, native.Reveal())...)
			if s.log.String() == "" {
				t.Error("nothing was logged")
			}
		})
	}
}

func TestNoSecretLeavesWhenTheProcessorPanics(t *testing.T) {
	t.Parallel()
	s := &shown{desk: newDesk(t, failingWith(nil))}
	s.wantNoneOf(s.useEverything()...)
}
