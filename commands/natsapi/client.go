package natsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// ReplyError is an error reply, as a client sees it.
type ReplyError struct {
	Status string // the header Nats-Service-Error-Code
	ErrorReply
}

func (e *ReplyError) Error() string { return e.Status + " " + e.Code + ": " + e.Message }

// Client asks a logoutd over NATS. It is what the command line uses.
type Client struct {
	Conn          *nats.Conn
	SubjectPrefix string // "" is DefaultSubjectPrefix
}

// Request sends a command, marshalled from fields, and reads the reply into reply. An error
// reply is a *ReplyError; where nobody listens the error says so.
func (c Client) Request(ctx context.Context, verb string, fields, reply any) error {
	data, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	prefix := c.SubjectPrefix
	if prefix == "" {
		prefix = DefaultSubjectPrefix
	}
	subject := Subject(prefix, verb)
	m, err := c.Conn.RequestWithContext(ctx, subject, data)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("no logoutd listens on %s at %s; start one with: logoutd serve", subject, c.Conn.ConnectedUrlRedacted())
	case err != nil:
		return fmt.Errorf("request %s: %w; repeat it with the same command_id", subject, err)
	}
	// The header first: the body of an error is none of the verb's.
	if status := m.Header.Get(micro.ErrorCodeHeader); status != "" {
		e := &ReplyError{Status: status}
		if json.Unmarshal(m.Data, &e.ErrorReply) != nil {
			e.Message = m.Header.Get(micro.ErrorHeader)
		}
		return e
	}
	if err := json.Unmarshal(m.Data, reply); err != nil {
		return fmt.Errorf("request %s: unreadable reply: %w", subject, err)
	}
	return nil
}
