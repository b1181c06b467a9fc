package esdbapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// Role is what a user may do.
type Role uint8

// The roles. The zero value is none.
const (
	RoleAuditor Role = iota + 1 // reads, subscribes, consumes persistent groups
	RoleWriter                  // also appends and manages groups
)

// String is the role as the file of users spells it.
func (r Role) String() string {
	switch r {
	case RoleAuditor:
		return "auditor"
	case RoleWriter:
		return "writer"
	}
	return "none"
}

func parseRole(s string) (Role, error) {
	for _, r := range [...]Role{RoleAuditor, RoleWriter} {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, errors.New("unknown role: want auditor or writer")
}

// Users are those who may connect. The methods may be called from any number of goroutines.
type Users struct {
	byName map[string]user
	decoy  passwordHash // what the password of somebody unknown is compared with
	*verifier
}

type user struct {
	role Role
	hash passwordHash
}

// maxUsersFileBytes bounds what is read: thousands of users fit.
const maxUsersFileBytes = 1 << 20

// userName is what a user may be called: nothing that a line of the file or the header of a call could mistake.
var userName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// LoadUsers reads a file of users, one NAME:ROLE:HASH a line; lines that start with # are comments. HASH is a
// bcrypt hash ($2a$, $2b$, $2y$) or an Argon2id one in PHC form, as [UserLine] makes it. A file that others than its owner
// and group may read is refused. Errors name the line and never show it.
func LoadUsers(path string) (*Users, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("users file %s: not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("users file %s: mode %04o lets others read it; run: chmod 640 %s", path, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxUsersFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	if len(content) > maxUsersFileBytes {
		return nil, fmt.Errorf("users file %s: over %d bytes", path, maxUsersFileBytes)
	}
	users, err := parseUsers(content)
	if err != nil {
		return nil, fmt.Errorf("users file %s: %w", path, err)
	}
	return users, nil
}

func parseUsers(content []byte) (*Users, error) {
	u := &Users{byName: map[string]user{}, verifier: newVerifier()}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, one, err := parseUser(line)
		if _, twice := u.byName[name]; err == nil && twice {
			err = errors.New("this user has a line already")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		u.byName[name] = one
		if u.decoy == nil {
			u.decoy = one.hash
		}
	}
	if lines.Err() != nil {
		return nil, errors.New("a line is too long")
	}
	if len(u.byName) == 0 {
		return nil, errors.New("no user in it; add one with: logoutd esdb-user NAME")
	}
	return u, nil
}

func parseUser(line string) (name string, u user, err error) {
	parts := strings.SplitN(line, ":", 3)
	if len(parts) != 3 {
		return "", user{}, errors.New("want NAME:ROLE:HASH")
	}
	if !userName.MatchString(parts[0]) {
		return "", user{}, errors.New("a name has 1 to 64 letters, digits, dots, dashes, underscores and @")
	}
	if u.role, err = parseRole(parts[1]); err != nil {
		return "", user{}, err
	}
	u.hash, err = parseHash(parts[2])
	return parts[0], u, err
}

// minPassword is the fewest bytes of a new password.
const minPassword = 12

// UserLine is the line of a user for the file that LoadUsers reads.
func UserLine(name, role, password string) (string, error) {
	if !userName.MatchString(name) {
		return "", errors.New("a name has 1 to 64 letters, digits, dots, dashes, underscores and @")
	}
	r, err := parseRole(role)
	if err != nil {
		return "", err
	}
	if len(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("a password has %d to %d bytes", minPassword, maxPassword)
	}
	return name + ":" + r.String() + ":" + hashPassword(password), nil
}
