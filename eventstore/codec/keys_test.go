package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// keyGoldens is the folder of the golden files of the events about keys.
const keyGoldens = "testdata/keys"

func TestGoldenFilesOfKeysMeanWhatTheyMeant(t *testing.T) { // C2, C3
	t.Parallel()
	want := keyring.Announced{Key: keyring.Key{ID: keyID, Check: "9f86d081884c7d659a2feaa0c55ad015", Status: keyring.Active}}
	for name, g := range goldensIn(t, keyGoldens) {
		got, err := codec.DecodeAnnounced(g.recorded())
		if err != nil || got != want {
			t.Errorf("%s: decoded %+v, want %+v: %v", name, got, want, err)
		}
		encoded := codec.EncodeAnnounced(got)
		if encoded.Type != g.Type || encoded.Schema != g.Schema || !bytes.Equal(encoded.Data, g.Data) {
			t.Errorf("%s: encoded %+v", name, encoded)
		}
	}
}

func TestAMalformedAnnouncementIsNoKey(t *testing.T) { // C5
	t.Parallel()
	g := goldensIn(t, keyGoldens)["KeyAnnounced.v1"]
	fails := func(r eventstore.Recorded, want error) {
		t.Helper()
		var of *codec.DecodeError
		if got, err := codec.DecodeAnnounced(r); !errors.Is(err, want) || !errors.As(err, &of) || got != (keyring.Announced{}) {
			t.Errorf("%s %s: decoded %+v: %v", r.Type, r.Data, got, err)
		}
	}
	cases := 0
	for _, field := range fields(t, g.Data) {
		for _, wrong := range []string{`{}`, `true`, `-1`, `""`, `null`, `"a value that is none of it"x`, "\"\xff\""} {
			r := g.recorded()
			r.Data = replaced(t, g.Data, field, wrong)
			fails(r, codec.ErrMalformed)
			cases++
		}
	}
	for n := range len(g.Data) {
		r := g.recorded()
		r.Data = g.Data[:n]
		fails(r, codec.ErrMalformed)
		cases++
	}
	if cases < 50 {
		t.Fatalf("tried %d cases", cases)
	}
	r := g.recorded()
	r.Type = "StoreCreated"
	fails(r, codec.ErrUnknownType)
	r = g.recorded()
	r.Metadata = bytes.Replace(g.Metadata, []byte(`"schema":1`), fmt.Appendf(nil, `"schema":%d`, 2), 1)
	fails(r, codec.ErrUnknownSchema)
	r.Metadata = nil
	fails(r, codec.ErrMalformed)
}

func TestFieldsOfANewerAnnouncementAreSteppedOver(t *testing.T) {
	t.Parallel()
	r := goldensIn(t, keyGoldens)["KeyAnnounced.v1"].recorded()
	r.Data = bytes.Replace(r.Data, []byte(`{`), []byte(`{"newer":[1],`), 1)
	if got, err := codec.DecodeAnnounced(r); err != nil || got.Key.ID != keyID {
		t.Errorf("%+v: %v", got, err)
	}
}
