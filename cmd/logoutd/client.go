package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/logoutd/logoutd/cmd/logoutd/internal/config"
	"github.com/logoutd/logoutd/commands/natsapi"
)

// defaultNATSURL is where serve's embedded server listens by default.
const defaultNATSURL = "nats://127.0.0.1:4222"

// ask sends one command and reads its reply.
func ask(ctx context.Context, n *config.NATS, timeout time.Duration, verb string, fields, reply any) error {
	if err := n.Check(); err != nil {
		return usageError{err}
	}
	conn, err := n.Connect("logoutd command line", zerolog.Nop())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return natsapi.Client{Conn: conn, SubjectPrefix: n.SubjectPrefix}.Request(ctx, verb, fields, reply)
}

// get opens a resource of the read side. The caller closes the body. An error reply is
// turned into its own words.
func get(ctx context.Context, address, path string, query url.Values) (io.ReadCloser, error) {
	target := url.URL{Scheme: "http", Host: address, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, usageError{fmt.Errorf("--http %s: want host:port", address)}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no logoutd answers on http://%s: %w; start one with: logoutd serve", address, errors.Unwrap(err))
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close() //nolint:errcheck // read to the end below
	var problem struct{ Title, Detail, Code string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16)) //nolint:errcheck // an unreadable body has no more to tell
	if json.Unmarshal(body, &problem) != nil || problem.Title+problem.Detail == "" {
		return nil, fmt.Errorf("http://%s%s: %s", address, path, response.Status)
	}
	if problem.Detail == "" {
		problem.Detail = problem.Title
	}
	return nil, fmt.Errorf("%s: %s", problem.Code, problem.Detail)
}

// getJSON reads one JSON document from the read side.
func getJSON(ctx context.Context, address, path string, query url.Values, into any) error {
	body, err := get(ctx, address, path, query)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // decoded below
	return json.NewDecoder(body).Decode(into)
}

// readSecret takes a secret from the first line of a file, or of standard input where none is named: an
// argument would show in the list of processes. what and flag are for people.
func readSecret(what, file, flag string) (string, error) {
	source := os.Stdin
	if file != "" {
		f, err := os.Open(file) //nolint:gosec // the caller names the file
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // only read
		source = f
	}
	if info, err := source.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "%s: ", what) //nolint:errcheck // a prompt
	}
	line, err := bufio.NewReader(io.LimitReader(source, natsapi.MaxCommandBytes)).ReadString('\n')
	if secret := strings.TrimRight(line, "\r\n"); secret != "" {
		return secret, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return "", usageError{fmt.Errorf("give the %s on standard input, or its file with %s", what, flag)}
}
