package esdb_test

import (
	"context"

	gossip "github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// gossiper is what a node says of the cluster. Its handler is called Read, as that of the streams is.
type gossiper struct {
	gossip.UnimplementedGossipServer

	*server
}

func (g gossiper) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	if m := g.members.Load(); m != nil {
		return &gossip.ClusterInfo{Members: *m}, nil
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{g.member(gossip.MemberInfo_Leader)}}, nil
}

func (s *server) member(state gossip.MemberInfo_VNodeState) *gossip.MemberInfo {
	return &gossip.MemberInfo{State: state, IsAlive: true, HttpEndPoint: &gossip.EndPoint{Address: "127.0.0.1", Port: s.port()}}
}
