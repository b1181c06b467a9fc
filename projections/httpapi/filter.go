package httpapi

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
)

// selection is which events a request wants; a zero field does not restrict.
type selection struct {
	from   eventstore.Position
	stream string // exact
	prefix string
	types  []string
	userID string
	limit  int
}

// parseSelection reads the parameters of /v1/events.
func parseSelection(p *params) selection {
	s := selection{
		from:   p.position("from"),
		userID: parsed(p, "user_id", refreshtoken.ParseUserID).String(),
		limit:  p.integer("limit", 0, 1, 1_000_000_000),
	}
	if p.has("stream") {
		name := p.string("stream")
		if prefix, cut := strings.CutSuffix(name, "*"); cut {
			s.prefix = prefix
		} else if err := eventstore.ValidName("stream", name); err != nil {
			p.fail("stream", err.Error())
		} else {
			s.stream = name
		}
	}
	for _, list := range p.values["type"] {
		for name := range strings.SplitSeq(list, ",") {
			if err := eventstore.ValidName("event type", name); err != nil {
				p.fail("type", err.Error())
			}
			s.types = append(s.types, name)
		}
	}
	return s
}

func (s *selection) wants(e *eventstore.Recorded) bool {
	switch {
	case e.Position <= s.from,
		isSystem(e.Stream) && !isSystem(s.stream+s.prefix),
		s.stream != "" && e.Stream != s.stream,
		!strings.HasPrefix(e.Stream, s.prefix),
		len(s.types) > 0 && !slices.Contains(s.types, e.Type):
		return false
	}
	return s.userID == "" || concerns(e, s.userID)
}

// isSystem knows the streams that a store or a server keeps for itself, as EventStoreDB names them (H6).
func isSystem(stream string) bool { return strings.HasPrefix(stream, "$") }

// concerns reports whether the user_id of an event's data is this one.
func concerns(e *eventstore.Recorded, userID string) bool {
	// Most events are somebody else's: only where the text occurs, or may be hidden by an
	// escape, is it worth parsing.
	if !bytes.Contains(e.Data, []byte(userID)) && !bytes.ContainsRune(e.Data, '\\') {
		return false
	}
	var data struct {
		UserID string `json:"user_id"`
	}
	return json.Unmarshal(e.Data, &data) == nil && data.UserID == userID
}
