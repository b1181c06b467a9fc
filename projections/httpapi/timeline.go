package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
)

type timelinePage struct {
	SessionID  string            `json:"session_id"`
	Events     []json.RawMessage `json:"events"`
	NextCursor string            `json:"next_cursor,omitempty"`
	Position   string            `json:"position"` // of the read model
}

// timeline answers H5: two sequences, each in the global order, merged.
func (h *Handler) timeline(w http.ResponseWriter, r *http.Request) error {
	p := parse(r, []string{"limit", "cursor", minPosition, waitMS})
	id := sessionIn(r, p)
	limit := p.integer("limit", 1000, 1, 1000)
	place := parsed(p, "cursor", parseTimelineCursor)
	if err := h.caughtUp(w, r, p); err != nil {
		return err
	}
	_, at, err := h.config.Tokens.Session(r.Context(), id)
	if err != nil {
		return unreadable(err)
	}
	// One more than asked for tells whether there is a next page.
	own, err := h.ownEvents(r.Context(), id, place, at, limit+1)
	if err != nil {
		return err
	}
	refused, err := h.refusedEvents(r.Context(), id, place, at, limit+1)
	if err != nil {
		return err
	}
	page := timelinePage{SessionID: id.String(), Events: []json.RawMessage{}, Position: at.String()}
	for len(own) > 0 || len(refused) > 0 {
		if len(page.Events) == limit {
			page.NextCursor = place.String()
			break
		}
		next := &refused
		if len(refused) == 0 || len(own) > 0 && own[0].Position < refused[0].Position {
			next = &own
			place.revision = own[0].Revision + 1
		}
		e := &(*next)[0]
		place.after = e.Position
		page.Events = append(page.Events, appendEvent(nil, e))
		*next = (*next)[1:]
	}
	writeAt(w, at, page)
	return nil
}

// ownEvents are those of the family after a place and not after a position.
func (h *Handler) ownEvents(ctx context.Context, id refreshtoken.SessionID, place timelinePlace, last eventstore.Position, limit int,
) (events []eventstore.Recorded, err error) {
	for e, err := range h.config.Events.ReadStream(ctx, id.Stream(), place.revision, eventstore.Forward) {
		if err != nil {
			return nil, err //nolint:wrapcheck // asProblem knows them
		}
		if e.Position > last || len(events) == limit {
			break
		}
		events = append(events, e)
	}
	return events, nil
}

// refusedEvents are those of the refused logouts that named a session. The index names the last
// event of each; the stream has the others too.
func (h *Handler) refusedEvents(ctx context.Context, id refreshtoken.SessionID, place timelinePlace, last eventstore.Position, limit int,
) (events []eventstore.Recorded, err error) {
	refused, err := h.config.Tokens.Refused(ctx, id, place.after, limit)
	if err != nil {
		return nil, unreadable(err)
	}
	for _, attempt := range refused {
		if attempt.Position > last || len(events) >= limit {
			break
		}
		for e, err := range h.config.Events.ReadStream(ctx, attempt.Stream, 0, eventstore.Forward) {
			if errors.Is(err, eventstore.ErrStreamNotFound) {
				return nil, newProblem(http.StatusInternalServerError, CodeInternal, "the read model names a stream that the store does not have")
			}
			if err != nil {
				return nil, err //nolint:wrapcheck // asProblem knows them
			}
			if e.Position > place.after && e.Position <= attempt.Position {
				events = append(events, e)
			}
		}
	}
	return events, nil
}
