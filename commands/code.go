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
	CodeUnavailable                    // 503: nothing was done; come again
	CodeOutcomeUnknown                 // 504: repeat with the same command_id

	minCode = CodeInvalidCommand
	maxCode = CodeOutcomeUnknown
)

// String is the stable name in reply bodies.
func (c Code) String() string {
	switch c {
	case CodeInvalidCommand:
		return "invalid_command"
	case CodeNotFound:
		return "not_found"
	case CodeConflict:
		return "conflict"
	case CodeInternal:
		return "internal"
	case CodeUnavailable:
		return "unavailable"
	case CodeOutcomeUnknown:
		return "outcome_unknown"
	}
	return ""
}

// Status is the HTTP-like number.
func (c Code) Status() int {
	switch c {
	case CodeInvalidCommand:
		return 400
	case CodeNotFound:
		return 404
	case CodeConflict:
		return 409
	case CodeInternal:
		return 500
	case CodeUnavailable:
		return 503
	case CodeOutcomeUnknown:
		return 504
	}
	return 0
}

// Codes lists the closed set.
func Codes() []Code {
	var all []Code
	for c := minCode; c <= maxCode; c++ {
		all = append(all, c)
	}
	return all
}

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
	switch CodeOf(err) {
	case CodeInvalidCommand:
		return "command is too large to be recorded" // the text of the store names the stream
	case CodeConflict:
		return "what the command would create exists"
	case CodeNotFound:
		return "no such session or user"
	case CodeUnavailable:
		return "nothing was done; try again"
	case CodeOutcomeUnknown:
		return "the outcome is not known; repeat with the same command_id"
	case CodeInternal:
		return "internal error; the log of logoutd has the cause under this command_id"
	}
	return ""
}
