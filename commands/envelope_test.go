package commands_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore/codec"
)

func TestAnInvalidEnvelopeIsNamedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := h.mustIssue("alice")
	head := h.head()
	long, canary := strings.Repeat("x", commands.MaxIDBytes+1), "canary\x1b[31m"
	actor := func(kind codec.ActorType, id string) commands.Envelope {
		return commands.Envelope{CommandID: uuid.New(), Actor: codec.Actor{Type: kind, ID: id}}
	}
	client := func(ip, agent string) commands.Envelope {
		return commands.Envelope{CommandID: uuid.New(), Client: codec.Client{IPAddress: ip, UserAgent: agent}}
	}
	for name, c := range map[string]struct {
		envelope commands.Envelope
		field    string
	}{
		"no command id":                       {commands.Envelope{}, "command_id"},
		"an actor type outside its set":       {actor("root", "x"), "actor.type"},
		"an actor without a type":             {actor("", "x"), "actor.type"},
		"an actor without an id":              {actor(codec.ActorUser, ""), "actor.id"},
		"an actor id that is too long":        {actor(codec.ActorUser, long), "actor.id"},
		"an actor id with an escape sequence": {actor(codec.ActorUser, canary), "actor.id"},
		"an actor id with a C1 control":       {actor(codec.ActorUser, "x\u009b31m"), "actor.id"},
		"an actor id that is no UTF-8":        {actor(codec.ActorUser, "x\xff"), "actor.id"},
		"a correlation id that is too long":   {commands.Envelope{CommandID: uuid.New(), CorrelationID: long}, "correlation_id"},
		"a correlation id with a control":     {commands.Envelope{CommandID: uuid.New(), CorrelationID: canary}, "correlation_id"},
		"a name for an address":               {client("localhost", ""), "client.ip_address"},
		"an address with a port":              {client("192.0.2.1:80", ""), "client.ip_address"},
		"an address out of range":             {client("192.0.2.256", ""), "client.ip_address"},
		"a zone that is a text":               {client("fe80::1%"+strings.Repeat("z", 65), ""), "client.ip_address"},
		"a zone with a control":               {client("fe80::1%\x1b", ""), "client.ip_address"},
		"a user agent that is far too long":   {client("", strings.Repeat("x", commands.MaxUserAgentBytes+1)), "client.user_agent"},
	} {
		for verb, run := range map[string]func() error{
			"logout": func() error {
				_, err := h.LogoutUser(t.Context(), commands.LogoutUser{Envelope: c.envelope, UserID: user("alice"), RefreshToken: before.RefreshToken})
				return err
			},
			"issue": func() error {
				_, err := h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: c.envelope, UserID: user("alice")})
				return err
			},
			"register": func() error {
				r := h.register("alice", foreignToken)
				r.Envelope = c.envelope
				_, err := h.RegisterRefreshToken(t.Context(), r)
				return err
			},
		} {
			err := run()
			var invalid *commands.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != c.field || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s of %s: %v", verb, name, err)
			}
		}
	}
	if left := h.events(head); len(left) != 0 {
		t.Errorf("left %s", types(left))
	}
}

func TestWhatAnEnvelopeMayHold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, client := range []codec.Client{
		{}, {IPAddress: "192.0.2.1"}, {IPAddress: "2001:db8::1"}, {IPAddress: "::ffff:192.0.2.1"}, {IPAddress: "fe80::1%eth0"},
		{UserAgent: strings.Repeat("x", commands.MaxUserAgentBytes)}, {UserAgent: "with a \x00 control and é"},
	} {
		c := logout("alice", credential.NewSecret("unknown"))
		c.Client, c.CorrelationID = client, strings.Repeat("é", commands.MaxIDBytes/2)
		c.Actor = codec.Actor{Type: codec.ActorSystem, ID: strings.Repeat("x", commands.MaxIDBytes)}
		before := h.head()
		h.mustLogOut(c)
		for _, e := range h.events(before) {
			if m := h.decode(e).Metadata; m.Client != client || m.Actor != c.Actor || m.CorrelationID != c.CorrelationID {
				t.Errorf("%+v", m)
			}
		}
	}
}

func TestACommandNeedsItsUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err1 := h.LogoutUser(t.Context(), commands.LogoutUser{Envelope: command(), RefreshToken: credential.NewSecret("x")})
	_, err2 := h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: command()})
	_, err3 := h.RegisterRefreshToken(t.Context(), commands.RegisterRefreshToken{Envelope: command()})
	for _, err := range []error{err1, err2, err3} {
		var invalid *commands.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "user_id" {
			t.Error(err)
		}
	}
}

func TestTheLifeOfAnIssuedToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const day = 24 * time.Hour
	for _, c := range []struct{ ttl, token, family time.Duration }{
		{0, 30 * day, 90 * day},
		{time.Second, time.Second, 90 * day},
		{200 * day, 200 * day, 200 * day},
		{commands.MaxTokenTTL, commands.MaxTokenTTL, commands.MaxTokenTTL},
	} {
		r, err := h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: command(), UserID: user("alice"), TTL: c.ttl})
		if err != nil {
			t.Fatal(err)
		}
		s, _ := h.family(r.SessionID)
		now := h.clock.Now()
		if !r.ExpiresAt.Equal(now.Add(c.token)) || !s.ExpiresAt.Equal(r.ExpiresAt) || !s.AbsoluteExpiresAt.Equal(now.Add(c.family)) {
			t.Errorf("ttl %s: token until %s, family until %s", c.ttl, s.ExpiresAt, s.AbsoluteExpiresAt)
		}
		if s.Kind != refreshtoken.Native || r.SessionID.Bytes()[6]>>4 != 7 {
			t.Errorf("%+v", s)
		}
	}
	for _, ttl := range []time.Duration{-1, commands.MaxTokenTTL + 1} {
		_, err := h.IssueRefreshToken(t.Context(), commands.IssueRefreshToken{Envelope: command(), UserID: user("alice"), TTL: ttl})
		var invalid *commands.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "ttl_seconds" {
			t.Errorf("ttl %s: %v", ttl, err)
		}
	}
}

func TestAProcessorNeedsItsParts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, c := range []commands.Config{
		{}, {Keys: h.Keys, Now: time.Now}, {Journal: h.store, Now: time.Now}, {Journal: h.store, Keys: h.Keys},
	} {
		if p, err := commands.New(c); err == nil || p != nil {
			t.Errorf("made one of %+v", c)
		}
	}
}
