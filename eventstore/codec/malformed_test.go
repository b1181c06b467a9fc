package codec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// mustFail demands the error, and its whole text: so nothing of the data can be in it (C5).
func mustFail(t *testing.T, what string, r eventstore.Recorded, want error) {
	t.Helper()
	decoded, err := codec.Decode(r)
	var detail *codec.DecodeError
	if !errors.As(err, &detail) || !errors.Is(err, want) || decoded != (codec.Decoded{}) {
		t.Errorf("%s: decoded %+v with error %v, want nothing and %v", what, decoded, err, want)
		return
	}
	if text := fmt.Sprintf("stream refreshToken-x revision 7 type %s: %v", r.Type, want); err.Error() != text {
		t.Errorf("%s: error %q, want %q", what, err, text)
	}
}

// forGoldens plays a test on every golden file.
func forGoldens(t *testing.T, test func(t *testing.T, g golden)) {
	t.Helper()
	for name, g := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, g)
		})
	}
}

func TestTruncatedEventsAreMalformed(t *testing.T) {
	t.Parallel()
	forGoldens(t, func(t *testing.T, g golden) {
		for n := range len(g.Data) {
			r := g.recorded()
			r.Data = r.Data[:n]
			mustFail(t, fmt.Sprintf("data cut to %d bytes", n), r, codec.ErrMalformed)
		}
		for n := range len(g.Metadata) {
			r := g.recorded()
			r.Metadata = r.Metadata[:n]
			mustFail(t, fmt.Sprintf("metadata cut to %d bytes", n), r, codec.ErrMalformed)
		}
	})
}

// optional are the fields that an event of each type may go without.
func optional(typeName, field string) bool {
	switch field {
	case "client_id", "key_id", "fingerprint", "cause_id":
		return true
	case "session_id":
		return typeName == codec.UserLogoutFailed
	}
	return false
}

func TestEveryFieldIsChecked(t *testing.T) {
	t.Parallel()
	forGoldens(t, func(t *testing.T, g golden) {
		seen := 0
		for _, field := range fields(t, g.Data) {
			seen++
			// with puts a value in the place of the field; none takes the field out.
			with := func(value string) eventstore.Recorded {
				r := g.recorded()
				r.Data = replaced(t, g.Data, field, value)
				return r
			}
			for _, wrong := range []string{`{}`, `[]`, `true`, `-1`, `0.5`, `4294967296`, `"secret"x`, "\"\xff\"", `"\ud800"`} {
				mustFail(t, field+" as "+wrong, with(wrong), codec.ErrMalformed)
			}
			for _, absent := range []string{none, `null`} {
				if !optional(g.Type, field) {
					mustFail(t, field+" absent as "+absent, with(absent), codec.ErrMalformed)
				} else if _, err := codec.Decode(with(absent)); err != nil {
					t.Errorf("without the optional %s: %v", field, err)
				}
			}
			r := g.recorded()
			r.Data = []byte(strings.Replace(string(r.Data), `"`+field+`"`, `"`+field+`":"first","`+field+`"`, 1))
			mustFail(t, field+" twice", r, codec.ErrMalformed)
			if !optional(g.Type, field) {
				r.Data = []byte(strings.Replace(string(g.Data), `"`+field+`"`, `"`+strings.ToUpper(field)+`"`, 1))
				mustFail(t, field+" in upper case", r, codec.ErrMalformed)
			}
		}
		if seen == 0 {
			t.Error("the golden file has no field")
		}
	})
}

func TestClosedSetsAndFormatsAreChecked(t *testing.T) {
	t.Parallel()
	tests := []struct{ file, field, value string }{
		{"RefreshTokenIssued.v1", "session_id", `"01890a5d"`},
		{"RefreshTokenIssued.v1", "user_id", `""`},
		{"RefreshTokenIssued.v1", "user_id", `"a\u0000"`},
		{"RefreshTokenIssued.v1", "user_id", `"` + strings.Repeat("x", 257) + `"`},
		{"RefreshTokenIssued.v1", "client_id", `"a\nb"`},
		{"RefreshTokenIssued.v1", "generation", `1`},
		{"RefreshTokenIssued.v1", "generation", `"0"`},
		{"RefreshTokenIssued.v1", "token_kind", `"jwt"`},
		{"RefreshTokenIssued.v1", "token_kind", `""`},
		{"RefreshTokenIssued.v1", "issued_at", `"2026-03-01"`},
		{"RefreshTokenIssued.v1", "issued_at", `"2026-03-01 12:30:00Z"`},
		{"RefreshTokenIssued.v1", "expires_at", `"2026-02-30T12:30:00Z"`},
		{"RefreshTokenIssued.v1", "absolute_expires_at", `"9999-12-31T23:59:59-10:00"`},
		{"RefreshTokenRotated.v1", "expires_at", `"0000-01-01T00:00:00+10:00"`},
		{"TokenRevoked.v1", "reason", `"token_not_found"`},
		{"TokenRevoked.v1", "reason", `"Logout"`},
		{"UserLogoutFailed.v1", "reason", `"logout"`},
		{"UserLogoutFailed.v1", "session_id", `"x"`},
		{"UserLogoutAttempted.v1", "user_id", `"\u0085"`},
	}
	files := goldens(t)
	for _, tt := range tests {
		t.Run(tt.file+" "+tt.field+" "+tt.value, func(t *testing.T) {
			t.Parallel()
			r := files[tt.file].recorded()
			r.Data = replaced(t, r.Data, tt.field, tt.value)
			mustFail(t, tt.field, r, codec.ErrMalformed)
		})
	}
}

func TestWhatIsAroundAnEventIsChecked(t *testing.T) {
	t.Parallel()
	forGoldens(t, func(t *testing.T, g golden) {
		for _, data := range []string{"null", "[]", `"secret"`, "1", "{}", string(g.Data) + "{}", string(g.Data) + "secret", "\xff"} {
			r := g.recorded()
			r.Data = []byte(data)
			mustFail(t, "data "+data, r, codec.ErrMalformed)
			r = g.recorded()
			r.Metadata = []byte(strings.Replace(data, string(g.Data), string(g.Metadata), 1))
			mustFail(t, "metadata "+string(r.Metadata), r, codec.ErrMalformed)
		}
		newer := g.recorded()
		newer.Metadata = replaced(t, g.Metadata, "schema", "2")
		mustFail(t, "a newer schema", newer, codec.ErrUnknownSchema)
		for field, wrong := range map[string]string{
			"schema": "0", "occurred_at": `"9999-12-31T23:59:59-10:00"`, "actor": `"secret"`, "command_id": "7",
		} {
			r := g.recorded()
			r.Metadata = replaced(t, g.Metadata, field, wrong)
			mustFail(t, "metadata with "+field+" "+wrong, r, codec.ErrMalformed)
		}
	})
}

// A foreign event is unknown whatever else it holds, so that a reader of the whole log can
// step over it. A type name is compared byte by byte.
func TestForeignEventsAreUnknown(t *testing.T) {
	t.Parallel()
	forGoldens(t, func(t *testing.T, g golden) {
		for _, name := range []string{"", "$metadata", "OrderPlaced", g.Type + " ", strings.ToLower(g.Type)} {
			r := g.recorded()
			r.Type = name
			mustFail(t, "type "+name, r, codec.ErrUnknownType)
			r.Metadata = nil
			mustFail(t, "type "+name+" without metadata", r, codec.ErrUnknownType)
		}
	})
}

func TestFieldsOfANewerProducerAreSteppedOver(t *testing.T) {
	t.Parallel()
	forGoldens(t, func(t *testing.T, g golden) {
		want, err := codec.Decode(g.recorded())
		if err != nil {
			t.Fatal(err)
		}
		r := g.recorded()
		const more = `{"added_later":{"deep":[1,"x"]},`
		r.Data, r.Metadata = []byte(more+string(r.Data[1:])), []byte(more+string(r.Metadata[1:]))
		if got, err := codec.Decode(r); err != nil || got != want {
			t.Errorf("decoded %+v (%v), want %+v", got, err, want)
		}
	})
}

const none = "no field"

func fields(t *testing.T, object []byte) []string {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	return names
}

// replaced is the object with another value for one field that it has.
func replaced(t *testing.T, object []byte, field, value string) []byte {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil || all[field] == nil {
		t.Fatalf("no field %s in %s: %v", field, object, err)
	}
	var b strings.Builder
	for name, old := range all {
		if name == field {
			if value == none {
				continue
			}
			old = json.RawMessage(value)
		}
		fmt.Fprintf(&b, ",%q:%s", name, old)
	}
	return []byte("{" + strings.TrimPrefix(b.String(), ",") + "}")
}
