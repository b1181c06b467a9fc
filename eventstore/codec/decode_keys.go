package codec

import (
	"github.com/go-json-experiment/json"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/eventstore"
)

// DecodeAnnounced reads a stored event about a key. The error is a *DecodeError.
func DecodeAnnounced(r eventstore.Recorded) (keyring.Announced, error) {
	e, err := decodeAnnounced(r)
	if err != nil {
		return keyring.Announced{}, &DecodeError{Stream: r.Stream, Revision: r.Revision, Type: r.Type, Err: err}
	}
	return e, nil
}

func decodeAnnounced(r eventstore.Recorded) (keyring.Announced, error) {
	if r.Type != KeyAnnounced {
		return keyring.Announced{}, ErrUnknownType
	}
	meta, err := DecodeMetadata(r.Metadata)
	if err != nil {
		return keyring.Announced{}, err
	}
	if meta.Schema != 1 {
		return keyring.Announced{}, ErrUnknownSchema
	}
	var w struct {
		KeyID string `json:"key_id"`
		Check string `json:"check"`
		State string `json:"state"`
	}
	if json.Unmarshal(r.Data, &w) != nil || w.Check == "" || keyring.CheckID(w.KeyID) != nil {
		return keyring.Announced{}, ErrMalformed // the cause may quote the data
	}
	status, err := malformed(keyring.ParseStatus(w.State))
	return keyring.Announced{Key: keyring.Key{ID: w.KeyID, Check: w.Check, Status: status}}, err
}
