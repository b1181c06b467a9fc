package codec_test

import (
	"errors"
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// What decodes must encode to something that decodes to the same; what does not must
// fail with a known error.

func FuzzDecode(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.Type, []byte(g.Data), []byte(g.Metadata))
	}
	f.Fuzz(func(t *testing.T, typeName string, data, metadata []byte) {
		r := eventstore.Recorded{Event: eventstore.Event{Type: typeName, Data: data, Metadata: metadata}}
		decoded, err := codec.Decode(r)
		if err != nil {
			known := errors.Is(err, codec.ErrMalformed) || errors.Is(err, codec.ErrUnknownType) ||
				errors.Is(err, codec.ErrUnknownSchema)
			var detail *codec.DecodeError
			if !known || !errors.As(err, &detail) || decoded != (codec.Decoded{}) {
				t.Fatalf("decoded %+v with error %v", decoded, err)
			}
			return
		}
		encoded := codec.Encode(decoded.Event)
		again, err := codec.DecodeData(encoded.Type, encoded.Schema, encoded.Data)
		if err != nil || again != decoded.Event || encoded.Type != typeName {
			t.Fatalf("%+v encodes to %s, which decodes to %+v (%v)", decoded.Event, encoded.Data, again, err)
		}
	})
}

func FuzzDecodeMetadata(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add([]byte(g.Metadata))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := codec.DecodeMetadata(b)
		if err != nil {
			if !errors.Is(err, codec.ErrMalformed) || m != (codec.Metadata{}) {
				t.Fatalf("decoded %+v with error %v", m, err)
			}
			return
		}
		if again, err := codec.DecodeMetadata(codec.EncodeMetadata(m)); err != nil || again != m {
			t.Fatalf("%+v encodes to %s, which decodes to %+v (%v)", m, codec.EncodeMetadata(m), again, err)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	whole := codec.EncodeSnapshot(ended())
	for n := range len(whole) + 1 {
		f.Add(whole[:n])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := codec.DecodeSnapshot(b)
		if !ok {
			return
		}
		if again, ok := codec.DecodeSnapshot(codec.EncodeSnapshot(s)); !ok || again != s {
			t.Fatalf("%+v is written and read as %+v (%v)", s, again, ok)
		}
	})
}
