package esdbapi

import (
	"context"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Facts of the protocol's transport. Official clients ping every 10 s, also without calls; gRPC's own
// defaults would break their connection for it.
const (
	maxMessageBytes = 16<<20 - 10_000
	maxHeaderBytes  = 16 << 10
	pingInterval    = 10 * time.Second
	pingTimeout     = 10 * time.Second
	minPingInterval = 5 * time.Second
	handshakeTime   = 10 * time.Second
)

func (s *Server) transport() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxConcurrentStreams(s.config.MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.WaitForHandlers(true),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.streaming),
	}
	if s.config.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.config.TLS.Clone())))
	}
	return options
}

// unary is around every call with one message each way.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if err = s.recovered(recover(), info.FullMethod, err); err != nil {
			f := asFailure(err)
			grpc.SetTrailer(ctx, f.trailer) //nolint:errcheck // it fails only where no call is
			resp, err = nil, f.GRPCStatus().Err()
		}
	}()
	if err := s.authorize(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// streaming is around every other call.
func (s *Server) streaming(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() {
		if err = s.recovered(recover(), info.FullMethod, err); err != nil {
			f := asFailure(err)
			stream.SetTrailer(f.trailer)
			err = f.GRPCStatus().Err()
		}
	}()
	if err := s.authorize(stream.Context(), info.FullMethod); err != nil {
		if info.IsClientStream && !info.IsServerStream {
			s.drain(stream)
		}
		return err
	}
	return next(srv, stream)
}

// drain lets a client finish, so that it sees why it was refused.
func (s *Server) drain(stream grpc.ServerStream) {
	ctx, cancel := context.WithTimeoutCause(stream.Context(), s.config.ReceiveTimeout, tooSlow())
	defer cancel()
	drain(ctx, receive(ctx, &s.workers, func() (struct{}, error) {
		return struct{}{}, stream.RecvMsg(&emptypb.Empty{})
	}))
}

// recovered turns a panic into an answer. The log gets the place, and not the value, which may hold data.
func (s *Server) recovered(value any, method string, err error) error {
	if value == nil {
		return err
	}
	s.config.Log.Error().Str("method", method).Bytes("stack", debug.Stack()).Msg("a call has panicked")
	return failed(codes.Internal, "internal error")
}
