package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/logoutd/logoutd/projections/activetokens"
)

type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

type readiness struct {
	Status   string  `json:"status"` // ready or not_ready
	Checks   []check `json:"checks"`
	Head     string  `json:"head"`     // of the store, as last seen
	Position string  `json:"position"` // of the read model
	Lag      uint64  `json:"lag"`      // positions: events, where positions have no gaps
	LagMS    int64   `json:"lag_ms"`
}

func (h *Handler) healthz(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r, nil).err(); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]string{"status": "alive"})
	return nil
}

// readyz answers 503 with the same body when a check fails (H12).
func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r, nil).err(); err != nil {
		return err
	}
	var head string
	probes := append([]Check{
		{Name: "event_store", Probe: func(ctx context.Context) (string, error) {
			at, err := h.config.Events.Head(ctx)
			head = at.String()
			return "head " + head, err //nolint:wrapcheck // shown as it is
		}},
		{Name: "projection", Probe: h.probeProjection},
	}, h.config.Checks...)
	body := readiness{Status: "ready", Checks: probeAll(r.Context(), probes, h.config.ProbeTimeout)}
	status := http.StatusOK
	if slices.ContainsFunc(body.Checks, func(c check) bool { return !c.OK }) {
		status, body.Status = http.StatusServiceUnavailable, "not_ready"
	}
	s := h.config.Progress.Status()
	body.Head, body.Position, body.Lag, body.LagMS = s.Head.String(), s.Position.String(), s.Lag, s.LagTime.Milliseconds()
	if body.Checks[0].OK {
		body.Head = head
	}
	writeJSON(w, status, "application/json", body)
	return nil
}

func (h *Handler) probeProjection(ctx context.Context) (string, error) {
	s := h.config.Progress.Status()
	detail := fmt.Sprintf("%s@%d at %s of %s, %d positions and %s behind", s.Projection.Name, s.Projection.Version,
		s.Position, s.Head, s.Lag, s.LagTime.Round(time.Millisecond))
	if s.Standby {
		detail += ", standing by"
	}
	switch {
	case s.Unusable != nil:
		return "", fmt.Errorf("%s: %w", detail, s.Unusable)
	case s.Err != nil && !s.Healthy:
		return "", fmt.Errorf("%s: %w", detail, s.Err)
	case !s.Healthy:
		return "", fmt.Errorf("%s, last moved %s", detail, s.LastMoved.UTC().Format(time.RFC3339))
	case s.Err != nil:
		detail += ", in trouble: " + s.Err.Error()
	}
	damage, err := h.config.Tokens.Damage(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: cannot be read: %w", detail, err)
	}
	return detail + describe(damage), nil
}

// describe names what could not be read, for people.
func describe(d activetokens.Damage) string {
	var text string
	if d.Families > 0 {
		text = fmt.Sprintf(", %d sessions have unreadable events, and are parked unless they were revoked before:", d.Families)
		for _, id := range d.First {
			text += " " + id.String()
		}
		if d.Families > len(d.First) {
			text += " …"
		}
	}
	if d.Skipped > 0 {
		text += fmt.Sprintf(", %d other unreadable events were skipped", d.Skipped)
	}
	return text
}

// probeAll runs the probes side by side, so that together they take no longer than the slowest.
func probeAll(ctx context.Context, probes []Check, timeout time.Duration) []check {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	checks := make([]check, len(probes))
	var group sync.WaitGroup
	for i, probe := range probes {
		group.Go(func() {
			detail, err := probe.Probe(ctx)
			checks[i] = check{Name: probe.Name, OK: err == nil, Detail: detail}
			if err != nil {
				checks[i].Detail = err.Error()
			}
		})
	}
	group.Wait()
	return checks
}
