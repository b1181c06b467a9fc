package keyring

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Stream holds the events about the keys of a store.
const Stream = "logoutd"

// Status is where a key is in its life: a closed set. Zero is none.
type Status uint8

// The statuses, in the only order in which a key passes through them.
const (
	Next    Status = iota + 1 // verifies
	Active                    // mints, fingerprints and verifies
	Retired                   // verifies

	minStatus = Next
	maxStatus = Retired
)

// String is the name on the wire and in a key file.
func (s Status) String() string {
	switch s {
	case Next:
		return "next"
	case Active:
		return "active"
	case Retired:
		return "retired"
	}
	return ""
}

// ParseStatus reads the name.
func ParseStatus(s string) (Status, error) {
	for status := minStatus; status <= maxStatus; status++ {
		if status.String() == s {
			return status, nil
		}
	}
	return 0, errors.New("not a status of a key: want next, active or retired")
}

// Key is what may be known of a key.
type Key struct {
	ID     string
	Check  string // a keyed hash of a constant: the same for the same key, and telling nothing else
	Status Status
}

// MaxIDBytes is the longest id of a key.
const MaxIDBytes = 64

// CheckID checks the id of a key: 1 to 64 of A–Z, a–z, 0–9, '.', '_' and '-'.
func CheckID(id string) error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	if id == "" || len(id) > MaxIDBytes || strings.Trim(id, letters) != "" {
		return errors.New("a key id is 1 to 64 letters, digits, dots, underscores and hyphens")
	}
	return nil
}

// Announced is the fact that a key has a status from now on. The key that was active before an
// Announced with [Active] is retired by it (Y4).
type Announced struct{ Key Key }

// State is the keys as their events tell them. The zero value knows none.
type State struct{ keys []Key }

// Apply gives the state after an event.
func (s State) Apply(e Announced) State {
	keys := slices.Clone(s.keys)
	if e.Key.Status == Active {
		for i := range keys {
			if keys[i].Status == Active {
				keys[i].Status = Retired
			}
		}
	}
	if i := index(keys, e.Key.ID); i >= 0 {
		keys[i].Status = e.Key.Status
	} else {
		keys = append(keys, e.Key)
	}
	return State{keys: keys}
}

// Keys are the announced keys, in the order in which they were announced first.
func (s State) Keys() []Key { return slices.Clone(s.keys) }

// Active is the id of the active key, "" when there is none.
func (s State) Active() string {
	for _, k := range s.keys {
		if k.Status == Active {
			return k.ID
		}
	}
	return ""
}

// MissingError is an announced key that somebody lacks.
type MissingError struct{ ID string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("key %s is missing: the event store knows it, and the key file does not hold it; "+
		"copy the key file of a logoutd that has it, or restore it from your backup", e.ID)
}

// OtherKeyError is an id that stands for another key than the announced one (Y2).
type OtherKeyError struct{ ID string }

func (e *OtherKeyError) Error() string {
	return fmt.Sprintf("key %s is not the key that the event store knows by that id: this is the key file of another "+
		"installation, or it was damaged; restore the right one from your backup", e.ID)
}

// Holds tells whether every announced key is among those that somebody has. The error is a
// *MissingError or an *OtherKeyError.
func (s State) Holds(have []Key) error {
	for _, k := range s.keys {
		switch i := index(have, k.ID); {
		case i < 0:
			return &MissingError{ID: k.ID}
		case have[i].Check != k.Check:
			return &OtherKeyError{ID: k.ID}
		}
	}
	return nil
}

// Announce decides what is to be announced of the keys that somebody has: those that are new, and
// each status that is ahead of the announced one (Y3). Its errors are those of Holds.
func (s State) Announce(have []Key) ([]Announced, error) {
	if err := s.Holds(have); err != nil {
		return nil, err
	}
	var events []Announced
	for _, k := range have {
		// The active key is retired by its successor and by nothing else: there is always one (Y4).
		if i := index(s.keys, k.ID); i >= 0 && (k.Status <= s.keys[i].Status || s.keys[i].Status == Active) {
			continue
		}
		events = append(events, Announced{Key: k})
		s = s.Apply(events[len(events)-1])
	}
	return events, nil
}

func index(keys []Key, id string) int {
	return slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
}
