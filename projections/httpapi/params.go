package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logoutd/logoutd/eventstore"
)

// params are the query parameters of a request. The first one that is wrong is kept in
// problem; the getters answer zero from then on.
type params struct {
	values  url.Values
	problem *problem
}

// parse takes the parameters that a route knows; those in many may be repeated.
func parse(r *http.Request, known []string, many ...string) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.problem = newProblem(http.StatusBadRequest, CodeInvalidParameter, "the query string is malformed")
		return p
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // so that the same request gets the same answer
	for _, name := range names {
		switch {
		case slices.Contains(many, name):
		case !slices.Contains(known, name):
			p.fail(name, "unknown parameter; known here: "+strings.Join(slices.Concat(known, many), ", "))
		case len(values[name]) > 1:
			p.fail(name, "give it once")
		}
		if slices.Contains(values[name], "") { // it would silently select everything
			p.fail(name, "must not be empty; leave it out instead")
		}
	}
	return p
}

func (p *params) fail(name, detail string) {
	if p.problem == nil {
		p.problem = invalid(name, detail)
	}
}

// err is for the caller to return; a nil *problem is no nil error.
func (p *params) err() error {
	if p.problem == nil {
		return nil
	}
	return p.problem
}

func (p *params) has(name string) bool { return p.problem == nil && p.values.Has(name) }

func (p *params) string(name string) string {
	if p.problem != nil {
		return ""
	}
	return p.values.Get(name)
}

func (p *params) integer(name string, usual, least, most int) int {
	if !p.has(name) {
		return usual
	}
	n, err := strconv.Atoi(p.values.Get(name))
	if err != nil || n < least || n > most {
		p.fail(name, "a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return usual
	}
	return n
}

func (p *params) bool(name string) bool {
	switch p.string(name) {
	case "true", "1":
		return true
	case "", "false", "0":
		return false
	}
	p.fail(name, "true or false")
	return false
}

func (p *params) position(name string) eventstore.Position {
	if !p.has(name) {
		return 0
	}
	position, err := eventstore.ParsePosition(p.values.Get(name))
	if err != nil {
		p.fail(name, err.Error())
	}
	return position
}

// parsed reads a parameter with the parser of its type; one that is absent or empty is the zero value.
func parsed[T any](p *params, name string, parser func(string) (T, error)) T {
	var zero T
	s := p.string(name)
	if s == "" {
		return zero
	}
	v, err := parser(s)
	if err != nil {
		p.fail(name, err.Error())
		return zero
	}
	return v
}

// wait is how long the request wants to wait for min_position (H2).
func (p *params) wait(r *http.Request, usual, most time.Duration) (wait time.Duration, preferred bool) {
	if p.has("wait_ms") {
		ms := p.integer("wait_ms", 0, 0, int(most/time.Millisecond))
		return time.Duration(ms) * time.Millisecond, false
	}
	for _, header := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if !strings.EqualFold(name, "wait") {
				continue
			}
			// A preference that makes no sense is overlooked (RFC 7240, section 2).
			if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
				return min(time.Duration(seconds)*time.Second, most), true //nolint:gosec // 32 bits
			}
		}
	}
	return usual, false
}
