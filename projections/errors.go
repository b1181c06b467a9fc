package projections

import (
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// The errors that end a projection. Adapters wrap them; callers ask with errors.Is.
var (
	// ErrGap: an event is missing or repeated in a stream. See GapError.
	ErrGap = errors.New("gap in a stream")
	// ErrMoved: the read model is not at the position it was expected at. See MovedError.
	ErrMoved = errors.New("read model is not at the expected position")
	// ErrFenced: another runner has acquired the read model.
	ErrFenced = errors.New("read model was acquired by another runner")
	// ErrForeign: the read model was filled from another event store.
	ErrForeign = errors.New("read model belongs to another event store")
	// ErrVersion: the read model was made by another version of this program.
	ErrVersion = errors.New("read model of another version")
	// ErrCorrupt: the read model cannot be trusted.
	ErrCorrupt = errors.New("read model corrupt")
	// ErrStopped: the projection has stopped, so nothing more will be applied. See Status.
	ErrStopped = errors.New("projection has stopped")
)

// GapError is an event whose revision does not follow the one applied before it in
// its stream. It is ErrGap.
type GapError struct {
	Stream   string
	Expected uint64 // revision
	Got      uint64 // revision
	Position eventstore.Position
}

func (e *GapError) Error() string {
	return fmt.Sprintf("gap in stream %s at position %s: expected revision %d, got revision %d",
		e.Stream, e.Position, e.Expected, e.Got)
}

// Is makes errors.Is(err, ErrGap) true.
func (e *GapError) Is(target error) bool { return target == ErrGap }

// MovedError is a read model found elsewhere than where an Apply began. It is ErrMoved.
type MovedError struct {
	Expected, Actual eventstore.Position
}

func (e *MovedError) Error() string {
	return fmt.Sprintf("read model: expected position %s, actual %s", e.Expected, e.Actual)
}

// Is makes errors.Is(err, ErrMoved) true.
func (e *MovedError) Is(target error) bool { return target == ErrMoved }

// Permanent reports whether trying again cannot help (P8).
func Permanent(err error) bool {
	for _, sentinel := range [...]error{
		ErrGap, ErrMoved, ErrFenced, ErrForeign, ErrVersion, ErrCorrupt, ErrStopped,
		eventstore.ErrCorrupt, eventstore.ErrInvalid,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	var undecodable *codec.DecodeError
	return errors.As(err, &undecodable)
}
