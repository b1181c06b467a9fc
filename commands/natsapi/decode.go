package natsapi

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// Header names of a command. NATS headers are case-sensitive.
const (
	headerTraceparent = "traceparent" // W3C Trace Context
	headerTracestate  = "tracestate"
)

// envelope is the part that every verb has. Absent and null are the same.
type envelope struct {
	CommandID     *string `json:"command_id"`
	CorrelationID *string `json:"correlation_id"`
	Client        *struct {
		IPAddress *string `json:"ip_address"`
		UserAgent *string `json:"user_agent"`
	} `json:"client"`
	Actor *struct {
		Type *string `json:"type"`
		ID   *string `json:"id"`
	} `json:"actor"`
}

// unmarshal reads a command strictly (N1). The error is a *commands.InvalidError.
func unmarshal(data []byte, into any) error {
	if len(data) > MaxCommandBytes {
		return &commands.InvalidError{Problem: fmt.Sprintf("is over %d bytes", MaxCommandBytes)}
	}
	err := json.Unmarshal(data, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	// The library's texts may quote the input: only what kind of error it is and where goes on.
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return &commands.InvalidError{Field: field(semantic.JSONPointer), Problem: "is unknown"}
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return &commands.InvalidError{Field: field(syntactic.JSONPointer), Problem: "is there twice"}
	case errors.As(err, &semantic):
		return &commands.InvalidError{Field: field(semantic.JSONPointer), Problem: "has the wrong type or is out of range: " + kind(semantic.JSONKind)}
	case errors.As(err, &syntactic):
		return &commands.InvalidError{Problem: fmt.Sprintf("is not valid JSON at byte %d", syntactic.ByteOffset)}
	default:
		return &commands.InvalidError{Problem: "is not valid JSON"}
	}
}

// maxFieldBytes bounds how much of a stranger's field name is repeated to him.
const maxFieldBytes = 64

// field turns a JSON pointer into the dotted name that errors use.
func field(pointer jsontext.Pointer) string {
	name := strings.ReplaceAll(strings.TrimPrefix(string(pointer), "/"), "/", ".")
	if len(name) > maxFieldBytes {
		name = name[:maxFieldBytes] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, name)
}

func kind(k jsontext.Kind) string {
	names := map[jsontext.Kind]string{
		'n': "null", 't': "boolean", 'f': "boolean", '"': "string", '0': "number", '{': "object", '[': "array",
	}
	return cmp.Or(names[k], "not the expected one")
}

// read decodes a command, of which e is a part, and finds its id.
func (e *envelope) read(h nats.Header, data []byte, whole any) (uuid.UUID, error) {
	if err := unmarshal(data, whole); err != nil {
		return uuid.Nil, err
	}
	return e.commandID(h)
}

// commandID finds the id of a command: its field, else the header Nats-Msg-Id, else a new one.
// A header that is not a UUID is turned into one, always the same for the same text.
func (e *envelope) commandID(h nats.Header) (uuid.UUID, error) {
	if e.CommandID != nil {
		id, err := uuid.Parse(*e.CommandID)
		if err != nil || len(*e.CommandID) != 36 {
			return uuid.Nil, &commands.InvalidError{Field: "command_id", Problem: "must be a UUID of 36 characters"}
		}
		return id, nil
	}
	if text := h.Get(nats.MsgIdHdr); text != "" {
		if id, err := uuid.Parse(text); err == nil && len(text) == 36 {
			return id, nil
		}
		return uuid.NewSHA1(uuid.NameSpaceURL, []byte("nats-msg-id:"+text)), nil
	}
	return uuid.NewV7()
}

// convert makes the envelope of the use case, under an id that commandID found.
func (e *envelope) convert(id uuid.UUID, h nats.Header) commands.Envelope {
	c := commands.Envelope{CommandID: id, CorrelationID: text(e.CorrelationID)}
	if e.Client != nil {
		c.Client = codec.Client{IPAddress: text(e.Client.IPAddress), UserAgent: text(e.Client.UserAgent)}
	}
	if e.Actor != nil {
		c.Actor = codec.Actor{Type: codec.ActorType(text(e.Actor.Type)), ID: text(e.Actor.ID)}
		if c.Actor == (codec.Actor{}) {
			c.Actor.Type = "missing" // an empty actor is a mistake, not the default
		}
	}
	// A trace context that is not one is dropped, as the standard says, not refused.
	if parent := h.Get(headerTraceparent); validTraceparent(parent) {
		c.Traceparent = parent
		if state := h.Get(headerTracestate); len(state) <= 512 && printable(state) {
			c.Tracestate = state
		}
	}
	return c
}

// validTraceparent checks the form of W3C Trace Context §3.2: version, trace id, parent id, flags.
func validTraceparent(s string) bool {
	const zeroTrace, zeroParent = "00000000000000000000000000000000", "0000000000000000"
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return false
	}
	digits := s[:2] + s[3:35] + s[36:52] + s[53:]
	return strings.Trim(digits, "0123456789abcdef") == "" && s[3:35] != zeroTrace && s[36:52] != zeroParent
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// required answers the text of a field that must be there.
func required(name string, s *string) (string, error) {
	if s == nil {
		return "", &commands.InvalidError{Field: name, Problem: "is missing"}
	}
	return *s, nil
}
