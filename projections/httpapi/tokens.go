package httpapi

import (
	"net/http"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// timeLayout is that of the events: RFC 3339, UTC, all nine digits.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// positionHeader names the position of the read model on every answer from it (H1).
const positionHeader = "Logoutd-Position"

// token is a session as clients see it. Only a parked one may lack user, kind and times: those of
// one whose first event cannot be read.
type token struct {
	SessionID         string `json:"session_id"`
	UserID            string `json:"user_id,omitempty"`
	ClientID          string `json:"client_id,omitempty"`
	TokenKind         string `json:"token_kind,omitempty"`
	Generation        uint32 `json:"generation"`
	Status            string `json:"status"`
	IssuedAt          string `json:"issued_at,omitempty"`
	ExpiresAt         string `json:"expires_at,omitempty"`
	AbsoluteExpiresAt string `json:"absolute_expires_at,omitempty"`
	RevokedAt         string `json:"revoked_at,omitempty"`
	RevokedReason     string `json:"revoked_reason,omitempty"`
	RevokedBy         string `json:"revoked_by,omitempty"`
	Position          string `json:"position"` // of its last event
}

func tokenOf(r *activetokens.Row, now time.Time) token {
	t := token{
		SessionID: r.SessionID.String(), UserID: r.UserID.String(), ClientID: r.ClientID.String(),
		TokenKind: r.Kind.String(), Generation: r.Generation, Status: r.Status.String(),
		IssuedAt: formatNanos(r.IssuedAt), ExpiresAt: formatNanos(r.ExpiresAt),
		AbsoluteExpiresAt: formatNanos(r.AbsoluteExpiresAt), Position: r.Position.String(),
	}
	if r.ExpiredAt(now) {
		t.Status = activetokens.OnlyExpired.String()
	}
	if r.Status == activetokens.Revoked {
		t.RevokedAt = formatNanos(r.Revocation.At)
		t.RevokedReason, t.RevokedBy = r.Revocation.Reason.String(), r.Revocation.By
	}
	return t
}

func formatNanos(n activetokens.Nanos) string {
	if n == 0 {
		return ""
	}
	return n.Time().Format(timeLayout)
}

type tokensPage struct {
	Tokens     []token `json:"tokens"`
	NextCursor string  `json:"next_cursor,omitempty"`
	Position   string  `json:"position"` // of the read model
}

func (h *Handler) tokens(w http.ResponseWriter, r *http.Request) error {
	p := parse(r, []string{"user_id", "client_id", "status", "limit", "cursor", minPosition, waitMS})
	q := activetokens.Query{
		UserID:   parsed(p, "user_id", refreshtoken.ParseUserID),
		ClientID: parsed(p, "client_id", refreshtoken.ParseClientID),
		Filter:   parsed(p, "status", activetokens.ParseFilter),
		Before:   parsed(p, "cursor", parseTokensCursor),
		Limit:    p.integer("limit", 100, 1, 1000),
	}
	if err := h.caughtUp(w, r, p); err != nil {
		return err
	}
	q.Now = h.config.Now()
	page, err := h.config.Tokens.List(r.Context(), q)
	if err != nil {
		return unreadable(err)
	}
	reply := tokensPage{
		Tokens: make([]token, len(page.Rows)), NextCursor: encodeTokensCursor(page.Next), Position: page.Position.String(),
	}
	for i := range page.Rows {
		reply.Tokens[i] = tokenOf(&page.Rows[i], q.Now)
	}
	writeAt(w, page.Position, reply)
	return nil
}

func (h *Handler) token(w http.ResponseWriter, r *http.Request) error {
	p := parse(r, []string{minPosition, waitMS})
	id := sessionIn(r, p)
	if err := h.caughtUp(w, r, p); err != nil {
		return err
	}
	row, at, err := h.config.Tokens.Session(r.Context(), id)
	if err != nil {
		return unreadable(err)
	}
	writeAt(w, at, tokenOf(&row, h.config.Now()))
	return nil
}

// sessionIn reads the session id of the path.
func sessionIn(r *http.Request, p *params) refreshtoken.SessionID {
	id, err := refreshtoken.ParseSessionID(r.PathValue("session_id"))
	if err != nil {
		p.fail("session_id", err.Error())
	}
	return id
}

func writeAt(w http.ResponseWriter, at eventstore.Position, body any) {
	w.Header().Set(positionHeader, at.String())
	writeJSON(w, http.StatusOK, "application/json", body)
}
