package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// The codes of problem documents (H10). They do not change.
const (
	CodeInvalidParameter = "invalid_parameter"
	CodeNotFound         = "not_found"
	CodeMethod           = "method_not_allowed"
	CodeNotCaughtUp      = "not_caught_up"
	CodeStopped          = "projection_stopped"
	CodeUnavailable      = "unavailable"
	CodeInternal         = "internal"
)

// problem is an error as the client sees it (RFC 9457).
type problem struct {
	Type        string `json:"type"`
	Title       string `json:"title"`
	Status      int    `json:"status"`
	Code        string `json:"code"`
	Detail      string `json:"detail,omitempty"`
	Parameter   string `json:"parameter,omitempty"`    // invalid_parameter
	Position    string `json:"position,omitempty"`     // not_caught_up: of the read model
	MinPosition string `json:"min_position,omitempty"` // not_caught_up: what was asked for
	retryAfter  int    // seconds
}

func (p *problem) Error() string { return p.Code + ": " + p.Detail }

var (
	errNoRoute = newProblem(http.StatusNotFound, CodeNotFound, "no such route; see /v1/tokens and /v1/events")
	errMethod  = newProblem(http.StatusMethodNotAllowed, CodeMethod, "everything here is read only: use GET or HEAD")
)

func newProblem(status int, code, detail string) *problem {
	return &problem{
		Type: "urn:logoutd:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail,
	}
}

// invalid names a parameter and what it should be.
func invalid(parameter, detail string) *problem {
	p := newProblem(http.StatusBadRequest, CodeInvalidParameter, parameter+": "+detail)
	p.Parameter = parameter
	return p
}

func retryLater(code, detail string) *problem {
	p := newProblem(http.StatusServiceUnavailable, code, detail)
	p.retryAfter = 1
	return p
}

// asProblem decides what a client may know of an error: of one that nobody foresaw,
// nothing but that it happened.
func asProblem(r *http.Request, err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, activetokens.ErrNotFound):
		return newProblem(http.StatusNotFound, CodeNotFound,
			"no such session in the read model; if it is new, wait for it with min_position")
	case errors.Is(err, eventstore.ErrStreamNotFound):
		return newProblem(http.StatusNotFound, CodeNotFound, "no such stream")
	case errors.Is(err, projections.ErrStopped):
		return newProblem(http.StatusServiceUnavailable, CodeStopped,
			"the read model has stopped and needs an operator; see /readyz")
	case errors.Is(err, eventstore.ErrUnavailable), r.Context().Err() != nil:
		return retryLater(CodeUnavailable, "not available now; try again")
	default:
		return newProblem(http.StatusInternalServerError, CodeInternal, fmt.Sprintf("%s could not be answered; see the log", r.URL.Path))
	}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON writes a whole body. Writing fails only when the client has left.
func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	b, err := json.Marshal(body)
	if err != nil { // unreachable: every body is made of strings, numbers and stored JSON that was checked
		status, contentType, b = http.StatusInternalServerError, "application/problem+json", []byte(`{"code":"internal"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) //nolint:errcheck // see above
}
