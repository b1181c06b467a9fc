package postgrestest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Environment names the variable with the URL of a server to use instead, whose user may make schemas.
const Environment = "LOGOUTD_TEST_POSTGRES"

// ErrMissing begins as CI expects of a test that could not run.
var ErrMissing = errors.New("needs PostgreSQL: install it (apt-get install postgresql), or name a server in " + Environment)

// Password of the user "guarded", the only one that needs one.
const Password = "s3cret/@:#?%"

// Server is a running cluster.
type Server struct {
	bin, dir   string
	credential *syscall.Credential // nil for our own
}

// Start makes a cluster and starts it. It is not durable: what a power loss does is not its subject.
func Start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has 107 bytes at most
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start() error {
	if os.Getuid() == 0 {
		if err := s.unprivileged(); err != nil {
			return err
		}
	}
	if err := s.run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D", s.data()); err != nil {
		return err
	}
	access := "local all guarded scram-sha-256\nlocal all all trust\n"
	if err := os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(access), 0o644); err != nil { //nolint:gosec // read by another user
		return err
	}
	return s.Up()
}

// unprivileged gives the folder to a user that PostgreSQL is willing to run as.
func (s *Server) unprivileged() error {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(s.dir, int(uid), int(gid))); err != nil { //nolint:gosec // 32 bits
			return err
		}
		s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return nil
	}
	return errors.New("postgrestest: root may not run PostgreSQL, and there is no user postgres or nobody")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// URL of a database, for a user without a password.
func (s *Server) URL(database string) string {
	return "postgres://postgres@/" + database + "?host=" + s.dir
}

// Up starts the server and waits until it answers.
func (s *Server) Up() error {
	options := "-F -c listen_addresses= -c full_page_writes=off -c max_connections=200 -c shared_buffers=64MB -k " + s.dir
	return s.run("pg_ctl", "-s", "-w", "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-o", options, "start")
}

// Down stops the server at once, as a crash would.
func (s *Server) Down() error {
	return s.run("pg_ctl", "-s", "-w", "-D", s.data(), "-m", "immediate", "stop")
}

// Stop ends the server and deletes the cluster.
func (s *Server) Stop() error {
	_ = s.Down() //nolint:errcheck // it may be down already
	return os.RemoveAll(s.dir)
}

func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...) //nolint:gosec // of the package postgresql
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C"}
	if s.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	}
	var output bytes.Buffer
	if program == "initdb" { // the server would keep the pipe open
		cmd.Stdout, cmd.Stderr = &output, &output
	}
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log")) //nolint:errcheck,gosec // there may be none
		return fmt.Errorf("%s: %w\n%s%s", program, err, output.String(), log)
	}
	return nil
}

// binaries finds the newest PostgreSQL: Debian does not put the server's programs into the PATH.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			return "", ErrMissing
		}
		return filepath.Dir(path), nil
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) //nolint:errcheck // then it is the oldest
	return n
}
