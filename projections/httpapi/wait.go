package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/logoutd/logoutd/projections"
	"github.com/logoutd/logoutd/projections/activetokens"
)

// waitParams are known on every route that reads the read model.
const (
	minPosition = "min_position"
	waitMS      = "wait_ms"
)

// caughtUp waits until the read model has reached min_position (H2).
func (h *Handler) caughtUp(w http.ResponseWriter, r *http.Request, p *params) error {
	position := p.position(minPosition)
	wait, preferred := p.wait(r, h.config.Wait, h.config.MaxWait)
	if err := p.err(); err != nil {
		return err
	}
	if preferred {
		w.Header().Set("Preference-Applied", fmt.Sprintf("wait=%d", wait/time.Second))
	}
	if position == 0 {
		return h.usable()
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	err := h.config.Progress.WaitFor(ctx, position)
	if r.Context().Err() != nil || errors.Is(err, projections.ErrStopped) {
		return err //nolint:wrapcheck // asProblem knows them
	}
	if unusable := h.usable(); unusable != nil || err == nil {
		return unusable
	}
	reached := h.config.Progress.Status().Position
	late := retryLater(CodeNotCaughtUp,
		fmt.Sprintf("the read model is at position %s and did not reach %s within %s; try again", reached, position, wait))
	late.Position, late.MinPosition = reached.String(), position.String()
	return late
}

// usable keeps a read model that cannot be used from being read (H13).
func (h *Handler) usable() error {
	if why := h.config.Progress.Status().Unusable; why != nil {
		return retryLater(CodeUnavailable, "the read model cannot be read now: "+why.Error())
	}
	return nil
}

// unreadable is an error of the read model itself (H13), which knows only two: there is no such session, and any other.
func unreadable(err error) error {
	if errors.Is(err, activetokens.ErrNotFound) {
		return err
	}
	return retryLater(CodeUnavailable, "the read model cannot be read now: "+err.Error())
}
