package codec

import (
	"encoding/json"
	"strconv"
	"time"
)

// timeLayout is RFC 3339 with all nine digits of the nanoseconds, so that times compare as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// object writes one JSON object field by field.
type object struct {
	b     []byte
	empty bool
}

func newObject(dst []byte) object { return object{b: append(dst, '{'), empty: true} }

func (o *object) name(name string) {
	if !o.empty {
		o.b = append(o.b, ',')
	}
	o.empty = false
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) string(name, value string) {
	o.name(name)
	o.b = appendString(o.b, value)
}

// optional leaves an empty string out.
func (o *object) optional(name, value string) {
	if value != "" {
		o.string(name, value)
	}
}

func (o *object) number(name string, value uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, value, 10)
}

func (o *object) time(name string, value time.Time) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = value.UTC().AppendFormat(o.b, timeLayout)
	o.b = append(o.b, '"')
}

func (o *object) end() []byte { return append(o.b, '}') }

// appendString writes a JSON string. Plain ASCII, which is nearly everything here, is
// copied; the rest is left to the standard library.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // unreachable: a string always marshals
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
