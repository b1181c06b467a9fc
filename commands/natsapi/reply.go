package natsapi

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/logoutd/logoutd/commands"
)

// retryAfter is how long the caller should wait before a retry.
const retryAfter = time.Second

// logoutReply is written by hand: it is sent for every command, and always of one shape.
func logoutReply(r commands.LogoutReceipt) []byte {
	b := make([]byte, 0, 128)
	b = append(b, `{"command_id":"`...)
	b = append(b, r.CommandID.String()...)
	b = append(b, `","message":"`+commands.LogoutMessage+`","position":"`...)
	b = strconv.AppendUint(b, uint64(r.Position), 10)
	return append(b, `"}`...)
}

type tokenReply struct {
	CommandID    string `json:"command_id"`
	SessionID    string `json:"session_id"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Generation   uint32 `json:"generation"`
	ExpiresAt    string `json:"expires_at"`
	Position     string `json:"position"`
}

func issueReply(r commands.IssueReceipt) []byte {
	return marshal(tokenReply{
		CommandID: r.CommandID.String(), SessionID: r.SessionID.String(), RefreshToken: r.RefreshToken.Reveal(),
		Generation: r.Generation, ExpiresAt: r.ExpiresAt.UTC().Format(time.RFC3339Nano), Position: r.Position.String(),
	})
}

func registerReply(r commands.RegisterReceipt) []byte {
	return marshal(tokenReply{
		CommandID: r.CommandID.String(), SessionID: r.SessionID.String(),
		Generation: r.Generation, ExpiresAt: r.ExpiresAt.UTC().Format(time.RFC3339Nano), Position: r.Position.String(),
	})
}

// ErrorReply is the body of an error reply.
type ErrorReply struct {
	CommandID    string `json:"command_id,omitempty"` // where it could be read
	Code         string `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"`  // of an invalid_command
	Reason       string `json:"reason,omitempty"` // of a conflict
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
}

// errorReply makes the message of an error (N4).
func errorReply(subject string, id uuid.UUID, err error) *nats.Msg {
	code := commands.CodeOf(err)
	body := ErrorReply{Code: code.String(), Message: commands.PublicMessage(err)}
	if id != uuid.Nil {
		body.CommandID = id.String()
	}
	var invalid *commands.InvalidError
	var conflict *commands.ConflictError
	switch {
	case errors.As(err, &invalid):
		body.Field = invalid.Field
	case errors.As(err, &conflict):
		body.Reason = conflict.Reason
	case code == commands.CodeUnavailable:
		body.RetryAfterMS = retryAfter.Milliseconds()
	}
	return &nats.Msg{
		Subject: subject,
		Data:    marshal(body),
		Header: nats.Header{
			micro.ErrorHeader:     []string{body.Message},
			micro.ErrorCodeHeader: []string{strconv.Itoa(code.Status())},
		},
	}
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("unreachable: strings and numbers always marshal")
	}
	return b
}
