package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// healthReply is what the command prints with --json.
type healthReply struct {
	URL    string          `json:"url"`
	Ready  bool            `json:"ready"`
	Detail json.RawMessage `json:"detail,omitempty"` // what /readyz says
}

func (p *program) healthCommand() *cobra.Command {
	var target string
	var timeout time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running logoutd whether it is ready: exit status 0 or 1",
		Long: `Ask a running logoutd whether it is ready. Exit status 0 when it is, 1 when it is not or does not
answer: for the health check of a container, in which there is no other program.`,
		Args: usageArgs(cobra.NoArgs),
	}
	cmd.Flags().StringVar(&target, "url", "http://"+defaultHTTP+"/readyz", "what to ask")
	cmd.Flags().DurationVar(&timeout, "timeout", 4*time.Second, "how long to wait for the answer")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what it says as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if u, err := url.Parse(target); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return usageError{errors.New("--url: want http://HOST:PORT/readyz")}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		ready, body, err := askHealth(ctx, target)
		if err != nil {
			return fmt.Errorf("no logoutd answers on %s: %w", target, err)
		}
		if asJSON {
			reply := healthReply{URL: target, Ready: ready}
			if json.Valid(body) {
				reply.Detail = body
			}
			if err := json.NewEncoder(p.stdout).Encode(reply); err != nil {
				return err
			}
		}
		if !ready {
			return fmt.Errorf("not ready: %.1000s", body)
		}
		if !asJSON {
			_, err = fmt.Fprintln(p.stdout, "ready")
		}
		return err
	}
	return cmd
}

// askHealth reads a health resource. No proxy of the environment comes between.
func askHealth(ctx context.Context, target string) (ready bool, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return false, nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return false, nil, errors.Unwrap(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	body, err = io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return response.StatusCode == http.StatusOK, body, err
}
