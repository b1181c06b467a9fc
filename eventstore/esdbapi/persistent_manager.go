package esdbapi

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"github.com/logoutd/logoutd/eventstore/esdbapi/groups"
)

// newGroups makes what runs the groups. It starts nothing.
func (s *Server) newGroups() (*groups.Manager, error) {
	return groups.New(groups.Config{
		Store: s.config.Store, Source: visible{s}, Now: s.config.Now, Match: groupFilter,
		Trouble: func(_ groups.Key, err error) {
			s.config.Log.Warn().Str("status", asFailure(err).code.String()).Msg("a group of consumers waits for the event store")
		},
	})
}

// maxShown is how many bytes of what a client says of itself are shown to others.
const maxShown = 128

// consumerInfo is what is shown of a consumer to those who look at its group.
func (s *Server) consumerInfo(ctx context.Context, o *persistent.ReadReq_Options) groups.ConsumerInfo {
	info := groups.ConsumerInfo{Buffer: int(o.GetBufferSize())}
	if p, ok := peer.FromContext(ctx); ok {
		info.From = p.Addr.String()
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if names := md.Get("connection-name"); len(names) > 0 {
		info.Name = shown(names[0])
	}
	if headers := md.Get("authorization"); len(headers) > 0 && s.config.Users != nil { // checked before
		name, _, _ := basic(headers[0])
		info.Username = shown(name)
	}
	return info
}

// shown is text that cannot break a message: a header may hold any bytes.
func shown(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxShown)], "?")
}
