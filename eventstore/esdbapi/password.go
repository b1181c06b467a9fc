package esdbapi

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// maxPassword is the longest password that is looked at, in bytes.
const maxPassword = 1024

// passwordHash is a stored password.
type passwordHash interface {
	// matches compares in a time that tells nothing of where they differ.
	matches(password string) bool
}

// parseHash reads a stored password. The bounds keep a file from costing more memory or time for each login than
// a server has.
func parseHash(s string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(s, "$2a$"), strings.HasPrefix(s, "$2b$"), strings.HasPrefix(s, "$2y$"):
		return parseBcrypt(s)
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon2(s)
	}
	return nil, errors.New("want a bcrypt or an Argon2id hash; make one with: logoutd esdb-user NAME")
}

type bcryptHash []byte

func parseBcrypt(s string) (passwordHash, error) {
	cost, err := bcrypt.Cost([]byte(s))
	if err != nil || len(s) != 60 {
		return nil, errors.New("not a bcrypt hash")
	}
	if cost < bcrypt.DefaultCost || cost > 16 {
		return nil, fmt.Errorf("bcrypt cost %d: want %d to 16", cost, bcrypt.DefaultCost)
	}
	return bcryptHash(s), nil
}

// bcrypt looks at the first 72 bytes only: a longer password is none that it was made of.
func (h bcryptHash) matches(password string) bool {
	return len(password) <= 72 && bcrypt.CompareHashAndPassword(h, []byte(password)) == nil
}

// argon2Hash is Argon2id, RFC 9106.
type argon2Hash struct {
	memory, time uint32 // KiB, passes
	threads      uint8
	salt, key    []byte
}

func (h *argon2Hash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key))) //nolint:gosec // bounded
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// parseArgon2 reads the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$key.
func parseArgon2(s string) (passwordHash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errors.New("not an Argon2id hash of version 19")
	}
	settings := strings.Split(parts[3]+",,", ",")
	m := setting(settings[0], "m=", 8<<10, 1<<20)
	t := setting(settings[1], "t=", 1, 16)
	p := setting(settings[2], "p=", 1, 16)
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if m*t*p == 0 || len(settings) != 5 || errors.Join(errSalt, errKey) != nil || !within(len(salt), 8, 64) || !within(len(key), 16, 64) {
		return nil, errors.New("not an Argon2id hash with m=8192 to 1048576, t=1 to 16, p=1 to 16, a salt of 8 to 64 bytes and a hash of 16 to 64")
	}
	return &argon2Hash{memory: uint32(m), time: uint32(t), threads: uint8(p), salt: salt, key: key}, nil //nolint:gosec // bounded
}

// setting is the number after a prefix, 0 if it is none within the bounds.
func setting(s, prefix string, least, most int) int {
	digits, found := strings.CutPrefix(s, prefix)
	n, err := strconv.Atoi(digits)
	if !found || err != nil || !within(n, least, most) {
		return 0
	}
	return n
}

func within(n, least, most int) bool { return n >= least && n <= most }

// hashPassword takes about 60 ms and 64 MiB: the second choice of RFC 9106, chapter 4.
func hashPassword(password string) string {
	h := argon2Hash{memory: 64 << 10, time: 3, threads: 4, salt: make([]byte, 16)}
	rand.Read(h.salt) //nolint:errcheck // never fails, by its documentation
	h.key = argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, 32)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}
