package credential

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// PointerPrefix is the category of the pointer streams. What follows it stays out of logs.
const PointerPrefix = "tokenFingerprint-"

// Stream is the name of the pointer stream.
func (f Fingerprint) Stream() string { return PointerPrefix + string(f) }

// Pointer leads from a fingerprint to a session. Whether the family of that session has this very token is
// for the caller to see: another token may have taken the session meanwhile.
type Pointer struct {
	Session  refreshtoken.SessionID // zero where there is none
	Revision eventstore.Expected    // of the pointer stream
	Events   []eventstore.EventID   // they tell which commands wrote it
}

// Pointer reads the pointer of a fingerprint; the last one written holds.
func (f Fingerprint) Pointer(ctx context.Context, from eventstore.Loader) (Pointer, error) {
	loaded, err := from.Load(ctx, f.Stream())
	p := Pointer{Revision: loaded.Revision}
	for _, recorded := range loaded.Events {
		decoded, broken := codec.Decode(recorded)
		if to, is := decoded.Event.(refreshtoken.FingerprintRegistered); is {
			p.Session = to.SessionID
		}
		p.Events, err = append(p.Events, recorded.ID), errors.Join(err, broken)
	}
	return p, HidePointer(f.Stream(), err)
}

// HidePointer keeps what an error about a pointer stream is and drops its text: the name of the stream is
// the fingerprint of a token, which no log may show. Errors about other streams stay as they are.
func HidePointer(stream string, err error) error {
	if err == nil || !strings.HasPrefix(stream, PointerPrefix) {
		return err
	}
	for _, known := range [...]error{
		eventstore.ErrConflict, eventstore.ErrUnavailable, eventstore.ErrOutcomeUnknown, eventstore.ErrCorrupt,
		codec.ErrMalformed, codec.ErrUnknownSchema, codec.ErrUnknownType, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return fmt.Errorf("pointer stream: %w", known)
		}
	}
	return errors.New("pointer stream: unexpected error of the event store")
}
