package esdbapi

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/metadata"
)

// permission is what a method needs.
type permission uint8

const (
	writing permission = iota // the zero value: a method that is not listed needs the most
	reading
	nothing
)

// needs says which permission a method needs. What a writer may do is narrowed further by Config.AllowAppend and Config.Protected.
func needs(fullMethod string) permission {
	switch fullMethod {
	case gossip.Gossip_Read_FullMethodName, serverfeatures.ServerFeatures_GetSupportedMethods_FullMethodName:
		return nothing
	case streams.Streams_Read_FullMethodName, persistent.PersistentSubscriptions_Read_FullMethodName,
		persistent.PersistentSubscriptions_GetInfo_FullMethodName, persistent.PersistentSubscriptions_List_FullMethodName:
		return reading
	default:
		return writing
	}
}

// authorize checks the credentials of a call against what its method needs. Without TLS
// they are not looked at: some clients send them, and a password in the clear proves nothing.
func (s *Server) authorize(ctx context.Context, fullMethod string) error {
	need := needs(fullMethod)
	if s.config.Users == nil || need == nothing {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	headers := md.Get("authorization")
	if len(headers) == 0 {
		return accessDenied("name and password are needed")
	}
	name, password, ok := basic(headers[0])
	if !ok || len(headers) > 1 {
		return unauthenticated()
	}
	role, ok, err := s.config.Users.verify(ctx, name, password)
	switch {
	case err != nil:
		return err
	case !ok:
		return unauthenticated()
	case need == writing && role != RoleWriter:
		return accessDenied("this user may only read")
	default:
		return nil
	}
}

// basic reads a header of the Basic scheme.
func basic(header string) (name, password string, ok bool) {
	scheme, value, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "basic") {
		return "", "", false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(plain), ":")
}
