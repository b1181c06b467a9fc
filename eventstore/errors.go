package eventstore

import (
	"errors"
	"fmt"
)

// The errors of every store. Adapters wrap them; callers ask with errors.Is.
var (
	// ErrConflict: the stream is not where the append expected it. See ConflictError.
	ErrConflict = errors.New("stream is not at the expected revision")
	// ErrIDReused: an event id is already stored elsewhere. See IDReusedError.
	ErrIDReused = errors.New("event id is already stored")
	// ErrStreamNotFound: nothing was ever appended to the stream.
	ErrStreamNotFound = errors.New("stream not found")
	// ErrUnavailable: the store cannot be used now and nothing was stored. Try again later.
	ErrUnavailable = errors.New("event store unavailable")
	// ErrOutcomeUnknown: the append was sent, and whether it was stored is not known.
	ErrOutcomeUnknown = errors.New("append outcome unknown")
	// ErrInvalid: the call breaks a rule of the contract and never succeeds.
	ErrInvalid = errors.New("invalid event store call")
	// ErrTooLarge: the append is over a limit and never succeeds.
	ErrTooLarge = errors.New("append too large")
	// ErrCorrupt: what the store holds cannot be trusted. Stop and restore.
	ErrCorrupt = errors.New("event store corrupt")
)

// ConflictError is an append whose expectation did not hold. It is ErrConflict.
type ConflictError struct {
	Stream   string
	Expected Expected
	Actual   Expected // NoStream or the last revision
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s: expected %s, actual %s", e.Stream, e.Expected, e.Actual)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// IDReusedError is an append whose first id is stored in another stream, or together
// with other events. First is the append that stored it. It is ErrIDReused.
type IDReusedError struct {
	ID     EventID
	Stream string // where the id is stored
	First  Result
}

func (e *IDReusedError) Error() string {
	return fmt.Sprintf("event id %s is already stored in stream %s at position %s", e.ID, e.Stream, e.First.Position)
}

// Is makes errors.Is(err, ErrIDReused) true.
func (e *IDReusedError) Is(target error) bool { return target == ErrIDReused }
