package httpapi

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/logoutd/logoutd/eventstore"
)

func (h *Handler) events(w http.ResponseWriter, r *http.Request) error {
	p := parse(r, []string{"from", "stream", "user_id", "limit", "follow"}, "type")
	s := parseSelection(p)
	follow := p.bool("follow")
	if err := p.err(); err != nil {
		return err
	}
	head, err := h.config.Events.Head(r.Context())
	if err != nil {
		return err //nolint:wrapcheck // asProblem knows them
	}
	out := newLines(w, h.config.WriteTimeout)
	if r.Method == http.MethodHead {
		out.start()
		return nil
	}
	done, err := h.history(r.Context(), &s, head, follow, out)
	switch {
	case err == nil && follow && !done:
		s.from = max(s.from, head)
		err = h.follow(r.Context(), &s, out)
	case err == nil:
		err = out.flush()
	}
	if err == nil {
		return nil
	}
	if !out.started {
		return err
	}
	panic(http.ErrAbortHandler) // the only way to end a body as broken (H7)
}

// history writes what was stored when the request came. Live events follow from the same
// position, so that nothing is lost or repeated in between. It answers whether the limit
// has been reached.
func (h *Handler) history(ctx context.Context, s *selection, head eventstore.Position, follow bool, out *lines) (done bool, err error) {
	for e, err := range h.stored(ctx, s) {
		switch {
		case errors.Is(err, eventstore.ErrStreamNotFound) && follow:
			return false, nil // it may begin later
		case err != nil:
			return false, err
		case e.Position > head:
			return false, nil
		case !s.wants(&e):
			continue
		}
		if err := out.write(&e); err != nil {
			return false, err
		}
		if s.limit--; s.limit == 0 {
			return true, out.flush()
		}
	}
	return false, nil
}

// stored reads the stream that was asked for, else everything after the position.
func (h *Handler) stored(ctx context.Context, s *selection) iter.Seq2[eventstore.Recorded, error] {
	if s.stream != "" {
		return h.config.Events.ReadStream(ctx, s.stream, 0, eventstore.Forward)
	}
	return h.config.Events.ReadAll(ctx, s.from, eventstore.Forward)
}
