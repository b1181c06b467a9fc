package commands

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/commands/credential"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// Limits of the envelope, in bytes.
const (
	MaxIDBytes        = 256 // correlation and actor ids
	MaxUserAgentBytes = 2048
	MaxZoneBytes      = 64 // of an IPv6 address
)

// Envelope is what every command carries beside its own fields.
type Envelope struct {
	CommandID     uuid.UUID
	CorrelationID string // "" means the command id
	Actor         codec.Actor
	Client        codec.Client // of the end user
	Traceparent   string       // W3C Trace Context; "" when there is none
	Tracestate    string

	identity credential.Secret // see identify
}

// identify says what makes this command this one: its verb, its id and the fields given, in their
// order. A command with the same id and another identity is a different command.
func (e *Envelope) identify(verb string, fields ...string) {
	b := append(make([]byte, 0, 256), e.CommandID[:]...)
	for _, field := range append([]string{verb}, fields...) {
		b = append(binary.AppendUvarint(b, uint64(len(field))), field...)
	}
	e.identity = credential.NewSecret(string(b))
}

// validate answers an *InvalidError. defaultActor acts where the command names nobody.
func (e *Envelope) validate(defaultActor codec.Actor) error {
	if e.CommandID == uuid.Nil {
		return &InvalidError{"command_id", "must be a UUID, and not the nil one"}
	}
	if e.Actor == (codec.Actor{}) {
		e.Actor = defaultActor
	}
	if e.Client.IPAddress != "" {
		// A zone is free text to ParseAddr.
		if ip, err := netip.ParseAddr(e.Client.IPAddress); err != nil || !plain(ip.Zone(), MaxZoneBytes) {
			return &InvalidError{"client.ip_address", "must be an IPv4 or IPv6 address"}
		}
	}
	switch {
	case !e.Actor.Type.Valid():
		return &InvalidError{"actor.type", "must be user, service, admin or system"}
	case e.Actor.ID == "" || !plain(e.Actor.ID, MaxIDBytes):
		return &InvalidError{"actor.id", "must be 1 to 256 bytes without control characters"}
	case !plain(e.CorrelationID, MaxIDBytes):
		return &InvalidError{"correlation_id", "must be at most 256 bytes without control characters"}
	case len(e.Client.UserAgent) > MaxUserAgentBytes:
		return &InvalidError{"client.user_agent", "must be at most 2048 bytes"}
	}
	return nil
}

// plain is the rule of a user id: ids are shown on terminals, where U+009B starts an escape
// sequence, too.
func plain(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || 0x7f <= r && r <= 0x9f })
}

// metadata is the same for every event of a command.
func (e *Envelope) metadata(now time.Time, digest string) codec.Metadata {
	id := e.CommandID.String()
	correlation := e.CorrelationID
	if correlation == "" {
		correlation = id
	}
	return codec.Metadata{
		CorrelationID: correlation, CausationID: id, CommandID: id, CommandDigest: digest, OccurredAt: now,
		Actor: e.Actor, Client: e.Client, Traceparent: e.Traceparent, Tracestate: e.Tracestate, Producer: codec.Producer,
	}
}

// errCommandIDReused is a command whose id left the record of a different one.
var errCommandIDReused = &InvalidError{"command_id", "was used for a different command; choose another"}
