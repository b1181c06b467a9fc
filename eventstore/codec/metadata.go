package codec

import (
	"time"

	"github.com/go-json-experiment/json"
)

// Producer is the name that every event of this program carries.
const Producer = "logoutd"

// ActorType says what kind of party decided: a closed set on the wire.
type ActorType string

// The actor types.
const (
	ActorUser    ActorType = "user"
	ActorService ActorType = "service"
	ActorAdmin   ActorType = "admin"
	ActorSystem  ActorType = "system"
)

// Valid reports whether the type is one of the closed set.
func (t ActorType) Valid() bool {
	switch t {
	case ActorUser, ActorService, ActorAdmin, ActorSystem:
		return true
	}
	return false
}

// Actor is the party on whose decision something happened.
type Actor struct {
	Type ActorType `json:"type"`
	ID   string    `json:"id"`
}

// Client is what a command says of the end user's device; never the NATS peer.
type Client struct {
	IPAddress string `json:"ip_address,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

// Metadata travels with every event. The two names with a dollar sign are those that
// EventStoreDB's own tools follow.
type Metadata struct {
	CorrelationID string    `json:"$correlationId"`
	CausationID   string    `json:"$causationId"`
	CommandID     string    `json:"command_id"`
	CommandDigest string    `json:"command_digest"` // keyed, hexadecimal: tells a repeat from another command
	OccurredAt    time.Time `json:"occurred_at"`
	Schema        int       `json:"schema"`
	Actor         Actor     `json:"actor"`
	Client        Client    `json:"client"`
	Traceparent   string    `json:"traceparent"`
	Tracestate    string    `json:"tracestate"`
	Producer      string    `json:"producer"`
}

// EncodeMetadata writes the metadata of an event. Empty optional fields are left out.
func EncodeMetadata(m Metadata) []byte {
	o := newObject(make([]byte, 0, 512))
	o.string("$correlationId", m.CorrelationID)
	o.string("$causationId", m.CausationID)
	o.string("command_id", m.CommandID)
	o.optional("command_digest", m.CommandDigest)
	o.time("occurred_at", m.OccurredAt)
	o.number("schema", uint64(m.Schema)) //nolint:gosec // versions are small and positive
	o.name("actor")
	actor := newObject(o.b)
	actor.string("type", string(m.Actor.Type))
	actor.string("id", m.Actor.ID)
	o.b = actor.end()
	if m.Client != (Client{}) {
		o.name("client")
		client := newObject(o.b)
		client.optional("ip_address", m.Client.IPAddress)
		client.optional("user_agent", m.Client.UserAgent)
		o.b = client.end()
	}
	o.optional("traceparent", m.Traceparent)
	o.optional("tracestate", m.Tracestate)
	o.string("producer", m.Producer)
	return o.end()
}

// DecodeMetadata reads the metadata of an event. The error is ErrMalformed.
func DecodeMetadata(b []byte) (Metadata, error) {
	var m Metadata
	if err := json.Unmarshal(b, &m); err != nil || m.Schema < 1 {
		return Metadata{}, ErrMalformed // the cause may quote the data
	}
	if m.OccurredAt = m.OccurredAt.UTC(); !writable(m.OccurredAt) {
		return Metadata{}, ErrMalformed
	}
	return m, nil
}
