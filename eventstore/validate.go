package eventstore

import (
	"fmt"
	"unicode/utf8"
)

// Validate checks the rules of E14 that need no store. Adapters call it first.
func (a Append) Validate() error {
	if err := ValidName("stream", a.Stream); err != nil {
		return err
	}
	if a.Expected < Any {
		return fmt.Errorf("%w: stream %s: expected revision %d", ErrInvalid, a.Stream, int64(a.Expected))
	}
	if len(a.Events) == 0 {
		return fmt.Errorf("%w: stream %s: append without events", ErrInvalid, a.Stream)
	}
	if len(a.Events) > MaxAppendEvents {
		return fmt.Errorf("%w: stream %s: %d events, at most %d", ErrTooLarge, a.Stream, len(a.Events), MaxAppendEvents)
	}
	size := len(a.Snapshot)
	for i := range a.Events {
		e := &a.Events[i]
		if err := ValidName("event type", e.Type); err != nil {
			return err
		}
		if e.ID.IsZero() {
			return fmt.Errorf("%w: stream %s: event %d has no id", ErrInvalid, a.Stream, i)
		}
		size += len(e.Type) + len(e.Data) + len(e.Metadata)
	}
	if size > MaxAppendBytes {
		return fmt.Errorf("%w: stream %s: %d bytes, at most %d", ErrTooLarge, a.Stream, size, MaxAppendBytes)
	}
	return a.distinctIDs()
}

func (a Append) distinctIDs() error {
	const few = 8 // below this, comparing pairs is cheaper than a map
	if len(a.Events) <= few {
		for i := range a.Events {
			for j := range i {
				if a.Events[i].ID == a.Events[j].ID {
					return fmt.Errorf("%w: stream %s: event id %s twice in one append", ErrInvalid, a.Stream, a.Events[i].ID)
				}
			}
		}
		return nil
	}
	seen := make(map[EventID]bool, len(a.Events))
	for i := range a.Events {
		if seen[a.Events[i].ID] {
			return fmt.Errorf("%w: stream %s: event id %s twice in one append", ErrInvalid, a.Stream, a.Events[i].ID)
		}
		seen[a.Events[i].ID] = true
	}
	return nil
}

// ValidName says whether a stream or event type name is one: 1 to MaxNameBytes bytes of
// UTF-8 without control characters. kind is used in the error.
func ValidName(kind, name string) error {
	if name == "" {
		return fmt.Errorf("%w: empty %s name", ErrInvalid, kind)
	}
	if len(name) > MaxNameBytes {
		return fmt.Errorf("%w: %s name of %d bytes, at most %d", ErrInvalid, kind, len(name), MaxNameBytes)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%w: %s name is not UTF-8", ErrInvalid, kind)
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%w: %s name with a control character", ErrInvalid, kind)
		}
	}
	return nil
}
