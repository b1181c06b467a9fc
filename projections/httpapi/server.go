package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServerConfig of a server. Listener and Handler are required; a zero value elsewhere is
// the default.
type ServerConfig struct {
	Listener net.Listener // Run closes it
	Handler  http.Handler // a *Handler, or a mux with one in it
	// Grace is how long Run waits for answers under way before it breaks them off. Default 10 s.
	Grace time.Duration
	// ErrorLog gets what goes wrong with connections. Default: nothing.
	ErrorLog *log.Logger
}

// Server is an HTTP server with limits.
type Server struct {
	config   ServerConfig
	server   *http.Server
	stopping chan struct{}
	cancel   context.CancelFunc // ends the context of every request
	serving  sync.WaitGroup
}

// NewServer checks the configuration. It starts nothing.
func NewServer(config ServerConfig) (*Server, error) {
	if config.Listener == nil || config.Handler == nil || config.Grace < 0 {
		return nil, errors.New("http server: Listener and Handler are required, Grace is not negative")
	}
	if config.Grace == 0 {
		config.Grace = 10 * time.Second
	}
	if config.ErrorLog == nil {
		config.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := &Server{config: config, stopping: make(chan struct{})}
	base, cancel := context.WithCancel(context.WithValue(context.Background(), stoppingKey{}, s.stopping))
	s.cancel = cancel
	s.server = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ErrorLog:          config.ErrorLog,
		BaseContext:       func(net.Listener) context.Context { return base },
		MaxHeaderBytes:    16 << 10,
		ReadHeaderTimeout: 5 * time.Second,
		// Longer than the longest wait for a position. A stream sets limits of its own to write.
		ReadTimeout:  90 * time.Second,
		WriteTimeout: 90 * time.Second,
		IdleTimeout:  2 * time.Minute,
	}
	return s, nil
}

// serve counts the answers under way, so that Run returns when they are over.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.serving.Add(1)
	defer s.serving.Done()
	s.config.Handler.ServeHTTP(w, r)
}

// Run serves until the context ends: then it accepts nothing more, streams end at the next line,
// and other answers get Grace to finish. It answers nil after that, even where it had to
// break some off; any other end is an error. No handler runs any more when it returns, so that
// what they read from may be closed. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.config.Listener) }()
	select {
	case err := <-served:
		s.cancel()
		_ = s.server.Close() //nolint:errcheck // the first error is the one to report
		s.serving.Wait()
		return fmt.Errorf("http server on %s: %w", s.config.Listener.Addr(), err)
	case <-ctx.Done():
	}
	close(s.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Grace)
	defer cancel()
	if err := s.server.Shutdown(grace); err != nil {
		_ = s.server.Close() //nolint:errcheck // whatever it says, it is closed
	}
	s.cancel()
	<-served
	s.serving.Wait()
	return nil
}
