package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/logoutd/logoutd/projections"
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
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	err := h.config.Progress.WaitFor(ctx, position)
	if err == nil || r.Context().Err() != nil || errors.Is(err, projections.ErrStopped) {
		return err //nolint:wrapcheck // asProblem knows them
	}
	reached := h.config.Progress.Status().Position
	late := retryLater(CodeNotCaughtUp,
		fmt.Sprintf("the read model is at position %s and did not reach %s within %s; try again", reached, position, wait))
	late.Position, late.MinPosition = reached.String(), position.String()
	return late
}
