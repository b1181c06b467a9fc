package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/logoutd/logoutd/eventstore"
)

// appendEvent writes an event as one JSON object without a line break (H9).
func appendEvent(b []byte, e *eventstore.Recorded) []byte {
	b = append(b, `{"position":"`...)
	b = strconv.AppendUint(b, uint64(e.Position), 10)
	b = append(b, `","stream":`...)
	b = appendString(b, e.Stream)
	b = append(b, `,"revision":`...)
	b = strconv.AppendUint(b, e.Revision, 10)
	b = append(b, `,"type":`...)
	b = appendString(b, e.Type)
	b = append(b, `,"id":"`...)
	b = e.ID.AppendText(b)
	b = append(b, `","recorded_at":"`...)
	b = e.RecordedAt.UTC().AppendFormat(b, timeLayout)
	b = append(b, '"')
	b = appendStored(b, "data", e.Data, e.ContentType == eventstore.JSON)
	b = appendStored(b, "metadata", e.Metadata, true)
	return append(b, '}')
}

// appendStored embeds stored bytes: as they are when they are JSON on one line.
func appendStored(b []byte, name string, stored []byte, isJSON bool) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	switch {
	case len(stored) == 0:
		return append(b, `":null`...)
	case !isJSON || !json.Valid(stored):
		b = append(b, `_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, stored)
		return append(b, '"')
	}
	b = append(b, `":`...)
	if bytes.ContainsAny(stored, "\r\n") {
		var line bytes.Buffer
		if json.Compact(&line, stored) == nil { // it is valid
			stored = line.Bytes()
		}
	}
	return append(b, stored...)
}

// appendString writes a JSON string; a name of plain ASCII, the usual one, is copied.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
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
