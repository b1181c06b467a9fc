package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
)

// Code classes an error for a caller: a closed set. Zero is no code.
type Code uint8

// The codes, with the HTTP-like number of the reply header.
const (
	CodeInvalidCommand Code = iota + 1 // 400: the command breaks a rule and never succeeds
	CodeNotFound                       // 404: the named session or user is unknown
	CodeConflict                       // 409: what the command would create exists and is another's
	CodeInternal                       // 500: a fault of logoutd; its log has the cause
	CodeUnavailable                    // 503: nothing was done; retry
	CodeOutcomeUnknown                 // 504: repeat with the same command_id
)

// shown is what a caller sees of a code: the stable name in reply bodies, the HTTP-like number, and what to
// do where the error itself says nothing to a caller.
type shown struct {
	name    string
	status  int
	message string
}

func (c Code) shown() shown {
	switch c {
	case CodeInvalidCommand:
		return shown{"invalid_command", 400, "command is too large to be recorded"} // the text of the store names the stream
	case CodeNotFound:
		return shown{"not_found", 404, "no such session or user"}
	case CodeConflict:
		return shown{"conflict", 409, "what the command would create exists"}
	case CodeInternal:
		return shown{"internal", 500, "internal error; the log of logoutd has the cause under this command_id"}
	case CodeUnavailable:
		return shown{"unavailable", 503, "nothing was done; try again"}
	case CodeOutcomeUnknown:
		return shown{"outcome_unknown", 504, "the outcome is not known; repeat with the same command_id"}
	}
	return shown{}
}

// String is the stable name in reply bodies.
func (c Code) String() string { return c.shown().name }

// Status is the HTTP-like number.
func (c Code) Status() int { return c.shown().status }

// The reasons of CodeUnavailable that are made here.
var (
	ErrBusy         = errors.New("too many commands are waiting")
	ErrShare        = fmt.Errorf("%w for one token, user or client", ErrBusy)
	ErrShuttingDown = errors.New("logoutd is shutting down")
	errContended    = errors.New("the session changed under every attempt")
)

// InvalidError names the field of a command that breaks a rule. It never shows the value.
type InvalidError struct {
	Field   string // dotted, as in the JSON; "" for the command as a whole
	Problem string
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return "command " + e.Problem
	}
	return fmt.Sprintf("field %s %s", e.Field, e.Problem)
}

// ConflictError says what exists already. Reason is a stable word for programs.
type ConflictError struct {
	Reason string
	Text   string
}

func (e *ConflictError) Error() string { return e.Text }

// CodeOf is total: every error has a code, and one that is not known is internal.
func CodeOf(err error) Code {
	var invalid *InvalidError
	var conflict *ConflictError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &invalid), errors.Is(err, eventstore.ErrTooLarge):
		return CodeInvalidCommand
	case errors.As(err, &conflict):
		return CodeConflict
	case errors.Is(err, eventstore.ErrOutcomeUnknown):
		return CodeOutcomeUnknown
	case errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, ErrBusy), errors.Is(err, ErrShuttingDown),
		errors.Is(err, errContended), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeUnavailable
	default:
		return CodeInternal
	}
}

// PublicMessage is the text for the caller. Of a fault of logoutd or of its store it tells
// nothing but what to do: the cause is for the log.
func PublicMessage(err error) string {
	var invalid *InvalidError
	var conflict *ConflictError
	switch {
	case errors.As(err, &invalid):
		return invalid.Error()
	case errors.As(err, &conflict):
		return conflict.Error()
	case errors.Is(err, ErrShare):
		return "nothing was done: " + ErrShare.Error() + "; try again"
	}
	return CodeOf(err).shown().message
}
