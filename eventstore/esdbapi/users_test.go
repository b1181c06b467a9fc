package esdbapi_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

const goodPassword = "correct horse battery"

// cheapHash is a bcrypt hash of goodPassword, as other tools make it.
func cheapHash(t testing.TB) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func usersFile(t testing.TB, mode os.FileMode, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Ensure that what is wrong with a file of users is named with its line, and that no line is shown.
func TestUsersFileIsStrict(t *testing.T) {
	t.Parallel()
	hash := cheapHash(t)
	const argon = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
	for name, c := range map[string]struct {
		mode  os.FileMode
		lines []string
		says  string // "" when it is right
	}{
		"bcrypt and Argon2id":       {0o600, []string{"# users", "", "audit:auditor:" + hash, " w-1.x@y:writer:" + argon}, ""},
		"the group may read":        {0o640, []string{"audit:auditor:" + hash}, ""},
		"others may read":           {0o644, []string{"audit:auditor:" + hash}, "chmod 640"},
		"nobody in it":              {0o600, []string{"# nobody"}, "no user"},
		"no role":                   {0o600, []string{"audit:" + hash}, "line 1: want NAME:ROLE:HASH"},
		"an unknown role":           {0o600, []string{"", "audit:admin:" + hash}, "line 2: unknown role"},
		"one word":                  {0o600, []string{"audit"}, "line 1: want NAME:ROLE:HASH"},
		"a name with a space":       {0o600, []string{"au dit:auditor:" + hash}, "line 1: a name"},
		"no name":                   {0o600, []string{":auditor:" + hash}, "line 1: a name"},
		"the same name twice":       {0o600, []string{"a:auditor:" + hash, "a:writer:" + hash}, "line 2: this user"},
		"a password in the clear":   {0o600, []string{"audit:auditor:hunter2hunter2"}, "line 1: want a bcrypt or an Argon2id"},
		"bcrypt cut off":            {0o600, []string{"audit:auditor:" + hash[:50]}, "line 1: not a bcrypt"},
		"bcrypt of a low cost":      {0o600, []string{"audit:auditor:" + strings.Replace(hash, "$10$", "$04$", 1)}, "line 1: bcrypt cost 4"},
		"bcrypt that takes minutes": {0o600, []string{"audit:auditor:" + strings.Replace(hash, "$10$", "$31$", 1)}, "line 1: bcrypt cost 31"},
		"Argon2i":                   {0o600, []string{"audit:auditor:" + strings.Replace(argon, "argon2id", "argon2i", 1)}, "line 1: want a bcrypt"},
		"an old Argon2id":           {0o600, []string{"audit:auditor:" + strings.Replace(argon, "v=19", "v=16", 1)}, "line 1: not an Argon2id"},
		"Argon2id that takes 4 GiB": {0o600, []string{"audit:auditor:" + strings.Replace(argon, "65536", "4194304", 1)}, "line 1: not an Argon2id"},
		"Argon2id of no time":       {0o600, []string{"audit:auditor:" + strings.Replace(argon, "t=3", "t=0", 1)}, "line 1: not an Argon2id"},
		"Argon2id with more":        {0o600, []string{"audit:auditor:" + strings.Replace(argon, "p=4", "p=4,x=1", 1)}, "line 1: not an Argon2id"},
		"Argon2id with a short key": {0o600, []string{"audit:auditor:" + argon[:len(argon)-30]}, "line 1: not an Argon2id"},
		"a line without an end":     {0o600, []string{"audit:auditor:" + strings.Repeat("x", 1<<17)}, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := esdbapi.LoadUsers(usersFile(t, c.mode, c.lines...))
			switch {
			case c.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("error %v, want %q", err, c.says)
			case err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "$2a$")):
				t.Error("the error shows a hash or a password")
			}
		})
	}
	if _, err := esdbapi.LoadUsers(t.TempDir()); err == nil {
		t.Error("a folder was taken for a file")
	}
}

// Ensure that the line of a new user works, and that bad names and short passwords get none.
func TestUserLine(t *testing.T) {
	t.Parallel()
	line, err := esdbapi.UserLine("audit", "auditor", goodPassword)
	if err != nil || !strings.HasPrefix(line, "audit:auditor:$argon2id$") || strings.Contains(line, goodPassword) {
		t.Fatalf("a line of %d bytes, %v", len(line), err)
	}
	if _, err := esdbapi.LoadUsers(usersFile(t, 0o600, line)); err != nil {
		t.Errorf("its own line is refused: %v", err)
	}
	if again, _ := esdbapi.UserLine("audit", "auditor", goodPassword); again == line {
		t.Error("two hashes of one password are equal: there is no salt")
	}
	for _, c := range [][3]string{
		{"au:dit", "auditor", goodPassword}, {"audit", "root", goodPassword}, {"audit", "auditor", "short"},
		{"audit", "auditor", strings.Repeat("x", 1025)}, {"", "auditor", goodPassword},
	} {
		if _, err := esdbapi.UserLine(c[0], c[1], c[2]); err == nil || strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s, %s, a password of %d bytes: %v", c[0], c[1], len(c[2]), err)
		}
	}
}
