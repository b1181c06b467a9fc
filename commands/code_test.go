package commands_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/commands"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// codes lists the closed set.
func codes() []commands.Code {
	var all []commands.Code
	for c := range commands.Code(255) {
		if c.String() != "" {
			all = append(all, c)
		}
	}
	return all
}

func TestEveryCodeHasANameAndAStatusOfItsOwn(t *testing.T) {
	t.Parallel()
	want := map[string]int{
		"invalid_command": 400, "not_found": 404, "conflict": 409, "internal": 500, "unavailable": 503, "outcome_unknown": 504,
	}
	codes := codes()
	for _, c := range codes {
		if want[c.String()] != c.Status() || c.Status() == 0 {
			t.Errorf("code %d: %q %d", c, c.String(), c.Status())
		}
		delete(want, c.String())
	}
	if len(want) != 0 || len(codes) != 6 {
		t.Errorf("%d codes, without %v", len(codes), want)
	}
	for _, c := range []commands.Code{0, commands.Code(len(codes) + 1), 255} {
		if c.String() != "" || c.Status() != 0 {
			t.Errorf("code %d is none, and is %q %d", c, c.String(), c.Status())
		}
	}
}

// canary stands in the text of every error below that a caller must not see.
const canary = "canary-in-the-cause"

func TestEveryErrorHasACodeAndTellsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return fmt.Errorf("stream %s: %w", canary, err) }
	seen := map[commands.Code]bool{}
	for _, c := range []struct {
		err  error
		want commands.Code
		text string // in the public message
	}{
		{&commands.InvalidError{Field: "user_id", Problem: "is missing"}, commands.CodeInvalidCommand, "field user_id is missing"},
		{&commands.InvalidError{Problem: "is not valid JSON"}, commands.CodeInvalidCommand, "command is not valid JSON"},
		{wrap(&commands.InvalidError{Field: "user_id", Problem: "is missing"}), commands.CodeInvalidCommand, "field user_id is missing"},
		{wrap(eventstore.ErrTooLarge), commands.CodeInvalidCommand, "too large"},
		{wrap(&commands.ConflictError{Reason: "taken", Text: "it is taken"}), commands.CodeConflict, "it is taken"},
		{wrap(eventstore.ErrUnavailable), commands.CodeUnavailable, "try again"},
		{wrap(commands.ErrBusy), commands.CodeUnavailable, "try again"},
		{wrap(commands.ErrShuttingDown), commands.CodeUnavailable, "try again"},
		{wrap(context.Canceled), commands.CodeUnavailable, "try again"},
		{wrap(context.DeadlineExceeded), commands.CodeUnavailable, "try again"},
		{wrap(eventstore.ErrOutcomeUnknown), commands.CodeOutcomeUnknown, "same command_id"},
		// What is unknown stays unknown, whatever the cause of it is.
		{errors.Join(context.Canceled, eventstore.ErrUnavailable, wrap(eventstore.ErrOutcomeUnknown)), commands.CodeOutcomeUnknown, "same command_id"},
		{wrap(eventstore.ErrConflict), commands.CodeInternal, "internal error"},
		{wrap(eventstore.ErrIDReused), commands.CodeInternal, "internal error"},
		{wrap(eventstore.ErrStreamNotFound), commands.CodeInternal, "internal error"},
		{wrap(eventstore.ErrInvalid), commands.CodeInternal, "internal error"},
		{wrap(eventstore.ErrCorrupt), commands.CodeInternal, "internal error"},
		{wrap(codec.ErrMalformed), commands.CodeInternal, "internal error"},
		{wrap(codec.ErrUnknownSchema), commands.CodeInternal, "internal error"},
		{errors.New(canary), commands.CodeInternal, "internal error"},
	} {
		wantCode(t, c.err, c.want)
		if text := commands.PublicMessage(c.err); !strings.Contains(text, c.text) || strings.Contains(text, canary) {
			t.Errorf("%v is told as %q", c.err, text)
		}
		seen[c.want] = true
	}
	for _, code := range codes() {
		if !seen[code] && code != commands.CodeNotFound { // which no verb answers yet
			t.Errorf("no error has the code %s", code)
		}
	}
	if commands.CodeOf(nil) != 0 || commands.PublicMessage(errors.New("x")) == "" {
		t.Error("no error has a code")
	}
}
