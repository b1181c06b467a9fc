package credential

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"

	"github.com/logoutd/logoutd/aggregates/keyring"
	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// The shapes of a token (K1, K2).
const (
	NativePrefix       = "lt1_"
	MinRegisteredBytes = 16
	MaxRegisteredBytes = 512

	payloadBytes = 16 + 4 // session id and generation
	tokenBytes   = payloadBytes + blake2b.Size256

	nativeDomain      = "logoutd native token v1\x00"
	fingerprintDomain = "logoutd token fingerprint v1\x00"
	digestDomain      = "logoutd command digest v1\x00"
	checkDomain       = "logoutd key check v1\x00"

	// shortBytes is the length of a digest and of a check value. Both are compared with one other value
	// only, so that 128 bits are plenty.
	shortBytes = 16
)

// The errors of Recognise.
var (
	// ErrNotAToken is a string that cannot be a token of anybody: wrong length or alphabet.
	ErrNotAToken = errors.New("not a refresh token")
	// ErrNoKey is a native token that none of the keys at hand made: a forgery, or the work of a
	// key that is not at hand.
	ErrNoKey = errors.New("refresh token of no known key")
)

// Fingerprint stands for a registered token: 64 hexadecimal digits. It is no secret that opens
// anything, but it stays out of logs.
type Fingerprint string

// ParseFingerprint reads 64 lower-case hexadecimal digits.
func ParseFingerprint(s string) (Fingerprint, error) {
	if len(s) != 2*blake2b.Size256 || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("a fingerprint is %d lower-case hexadecimal digits", 2*blake2b.Size256)
	}
	return Fingerprint(s), nil
}

// Presented is a token that can be one: either native, and then genuine, or registered.
type Presented struct {
	Kind         refreshtoken.Kind
	SessionID    refreshtoken.SessionID // native
	Generation   uint32                 // native
	Fingerprints []Fingerprint          // registered: one for each key, that of the active key first
}

// Ring mints and recognises tokens. It is immutable and safe for concurrent use.
type Ring struct {
	keys   []key // in the order of the key file, never empty
	active int
}

type key struct {
	id     string
	status keyring.Status
	secret []byte
}

// Keys are the keys, without their secrets.
func (r *Ring) Keys() []keyring.Key {
	keys := make([]keyring.Key, len(r.keys))
	for i, k := range r.keys {
		keys[i] = keyring.Key{ID: k.id, Check: k.short(checkDomain, nil), Status: k.status}
	}
	return keys
}

// ActiveID is the id of the key that mints and fingerprints.
func (r *Ring) ActiveID() string { return r.keys[r.active].id }

// withActive is the same ring with another active key. An id that is not in it changes nothing.
func (r *Ring) withActive(id string) *Ring {
	i := r.index(id)
	if i < 0 || i == r.active {
		return r
	}
	return &Ring{keys: r.keys, active: i}
}

// index is where the key of an id is, -1 if it is not in the ring.
func (r *Ring) index(id string) int {
	return slices.IndexFunc(r.keys, func(k key) bool { return k.id == id })
}

// Mint makes the native token of one generation of a session with the key of an id. The same
// arguments give the same token for ever. The error is a *keyring.MissingError.
func (r *Ring) Mint(keyID string, session refreshtoken.SessionID, generation uint32) (Secret, error) {
	i := r.index(keyID)
	if i < 0 {
		return Secret{}, &keyring.MissingError{ID: keyID}
	}
	b := make([]byte, 0, tokenBytes)
	uuid := session.Bytes()
	b = append(b, uuid[:]...)
	b = binary.BigEndian.AppendUint32(b, generation)
	b = r.keys[i].mac(b, nativeDomain, b)
	return NewSecret(NativePrefix + base64.RawURLEncoding.EncodeToString(b)), nil
}

// Recognise tells what a presented string is. The error is ErrNotAToken or ErrNoKey.
func (r *Ring) Recognise(token Secret) (Presented, error) {
	text := token.Reveal()
	if encoded, native := strings.CutPrefix(text, NativePrefix); native {
		return r.recogniseNative(encoded)
	}
	if len(text) < MinRegisteredBytes || len(text) > MaxRegisteredBytes {
		return Presented{}, ErrNotAToken
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return Presented{}, ErrNotAToken
		}
	}
	p := Presented{Kind: refreshtoken.Registered, Fingerprints: make([]Fingerprint, 0, len(r.keys))}
	add := func(k key) {
		p.Fingerprints = append(p.Fingerprints, Fingerprint(hex.EncodeToString(k.mac(nil, fingerprintDomain, []byte(text)))))
	}
	add(r.keys[r.active])
	for i := range slices.Backward(r.keys) { // the newest of the others first
		if i != r.active {
			add(r.keys[i])
		}
	}
	return p, nil
}

func (r *Ring) recogniseNative(encoded string) (Presented, error) {
	if len(encoded) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return Presented{}, ErrNotAToken
	}
	// Strict: else the spare bits of the last character give one token several spellings.
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) != tokenBytes { // the decoder skips line ends
		return Presented{}, ErrNotAToken
	}
	payload, tag := b[:payloadBytes], b[payloadBytes:]
	genuine := 0
	for i := range r.keys {
		genuine |= subtle.ConstantTimeCompare(r.keys[i].mac(nil, nativeDomain, payload), tag)
	}
	if genuine != 1 {
		return Presented{}, ErrNoKey
	}
	return Presented{
		Kind:       refreshtoken.Native,
		SessionID:  refreshtoken.SessionIDFrom([16]byte(payload[:16])),
		Generation: binary.BigEndian.Uint32(payload[16:]),
	}, nil
}

// Digest is the keyed hash of a command by the active key: 32 hexadecimal digits.
func (r *Ring) Digest(command Secret) string {
	return r.keys[r.active].short(digestDomain, []byte(command.Reveal()))
}

// IsDigest tells whether one of the keys made a digest of a command (K4).
func (r *Ring) IsDigest(digest string, command Secret) bool {
	same := 0
	for _, k := range r.keys {
		own := k.short(digestDomain, []byte(command.Reveal()))
		same |= subtle.ConstantTimeCompare([]byte(own), []byte(digest))
	}
	return same == 1
}

// short is the beginning of mac, in hexadecimal digits.
func (k key) short(domain string, message []byte) string {
	return hex.EncodeToString(k.mac(nil, domain, message)[:shortBytes])
}

// mac appends the keyed BLAKE2b-256 of domain and message to dst.
func (k key) mac(dst []byte, domain string, message []byte) []byte {
	h, err := blake2b.New256(k.secret)
	if err != nil {
		panic("unreachable: a key of the ring has 32 bytes")
	}
	h.Write([]byte(domain)) //nolint:errcheck // a hash never fails
	h.Write(message)        //nolint:errcheck // a hash never fails
	return h.Sum(dst)
}
