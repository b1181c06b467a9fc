package esdbapi

import (
	"context"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// advertisedVersion is the node that clients find here. They decide by it what they may ask for.
const advertisedVersion = "24.10.14"

// featuresService tells clients what they can use.
type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
	*Server
}

// GetSupportedMethods lists what is served. Anybody may ask.
func (s *featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: advertisedVersion, Methods: supportedMethods()}, nil
}

func supportedMethods() []*serverfeatures.SupportedMethod {
	methods := []*serverfeatures.SupportedMethod{
		supported(streams.Streams_Read_FullMethodName, "position", "events"),
		supported(streams.Streams_Append_FullMethodName),
		supported(streams.Streams_Delete_FullMethodName),
		supported(streams.Streams_Tombstone_FullMethodName),
		supported(streams.Streams_BatchAppend_FullMethodName, "deadline_duration"),
		supported(gossip.Gossip_Read_FullMethodName),
		supported(serverfeatures.ServerFeatures_GetSupportedMethods_FullMethodName),
	}
	for _, m := range persistent.PersistentSubscriptions_ServiceDesc.Methods {
		methods = append(methods, supported("/"+persistent.PersistentSubscriptions_ServiceDesc.ServiceName+"/"+m.MethodName, "stream", "all"))
	}
	return append(methods, supported(persistent.PersistentSubscriptions_Read_FullMethodName, "stream", "all"))
}

// supported names a method as clients look for it: in lower case.
func supported(fullMethod string, features ...string) *serverfeatures.SupportedMethod {
	service, method, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(fullMethod), "/"), "/")
	return &serverfeatures.SupportedMethod{MethodName: method, ServiceName: service, Features: features}
}
