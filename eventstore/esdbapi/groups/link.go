package groups

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/logoutd/logoutd/eventstore"
)

// linkType is the type of an event whose data is the place of another: "<revision>@<stream>".
const linkType = "$>"

func linkTo(e *eventstore.Recorded) []byte {
	return append(append(strconv.AppendUint(nil, e.Revision, 10), '@'), e.Stream...)
}

// follow makes a delivery of an event that may be a link. Of a link that leads nowhere only the link is
// delivered. Errors are those of a store that could not be read.
func (g *group) follow(ctx context.Context, e *eventstore.Recorded) (Delivery, error) {
	if e.Type != linkType {
		return Delivery{Event: e}, nil
	}
	revision, stream, found := bytes.Cut(e.Data, []byte{'@'})
	at, err := strconv.ParseUint(string(revision), 10, 64)
	if !found || err != nil || at == eventstore.End || eventstore.ValidName("stream", string(stream)) != nil {
		return Delivery{Link: e}, nil
	}
	for target, err := range g.cfg.Source.ReadStream(ctx, string(stream), at, eventstore.Forward) {
		if errors.Is(err, eventstore.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return Delivery{}, fmt.Errorf("follow a link to event %d of %s: %w", at, stream, err)
		}
		if target.Revision != at { // what the link named is not shown any more
			break
		}
		return Delivery{Event: &target, Link: e}, nil
	}
	return Delivery{Link: e}, nil
}
