package projections

import (
	"errors"
	"fmt"

	"github.com/logoutd/logoutd/eventstore"
)

// The errors that trying the same again does not cure. Adapters wrap them; callers ask with errors.Is.
var (
	// ErrGap: the event store brought events that do not follow each other.
	ErrGap = errors.New("events out of order")
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

// MovedError is a read model found elsewhere than where an Apply began. It is ErrMoved.
type MovedError struct {
	Expected, Actual eventstore.Position
}

func (e *MovedError) Error() string {
	return fmt.Sprintf("read model: expected position %s, actual %s", e.Expected, e.Actual)
}

// Is makes errors.Is(err, ErrMoved) true.
func (e *MovedError) Is(target error) bool { return target == ErrMoved }

// curedByRebuild reports whether a read model that is made anew would not have this error (P12).
func curedByRebuild(err error) bool {
	return errors.Is(err, ErrForeign) || errors.Is(err, ErrVersion) || errors.Is(err, ErrCorrupt)
}

// Permanent reports whether trying the same again cannot help (P8).
func Permanent(err error) bool {
	for _, sentinel := range [...]error{
		ErrGap, ErrMoved, ErrFenced, ErrForeign, ErrVersion, ErrCorrupt, ErrStopped,
		eventstore.ErrCorrupt, eventstore.ErrInvalid,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}
