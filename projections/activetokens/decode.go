package activetokens

import (
	"bytes"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// decode reads the data of an event. Of the metadata it needs the schema version only.
func decode(e *eventstore.Recorded) (refreshtoken.Event, error) {
	schema, ok := quickSchema(e.Metadata)
	if !ok {
		metadata, err := codec.DecodeMetadata(e.Metadata)
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller only needs to know that it cannot be read
		}
		schema = metadata.Schema
	}
	return codec.DecodeData(e.Type, schema, e.Data) //nolint:wrapcheck // as above
}

// quickSchema finds the schema version without parsing all of the metadata, which is larger
// than the data. A comma directly before a quote cannot be inside a JSON string, so what
// follows it is a name; without a second brace, bracket or backslash before it, the name is one of the
// outermost object. Anything unusual is left to the parser.
func quickSchema(metadata []byte) (int, bool) {
	const name = `,"schema":`
	at := bytes.Index(metadata, []byte(name))
	if at < 1 || metadata[0] != '{' || bytes.ContainsAny(metadata[1:at], `{[\`) {
		return 0, false
	}
	version, rest := 0, metadata[at+len(name):]
	for i, c := range rest {
		switch {
		case c >= '0' && c <= '9' && i < 6:
			version = 10*version + int(c-'0')
		case (c == ',' || c == '}') && version > 0:
			return version, true
		default:
			return 0, false
		}
	}
	return 0, false
}
