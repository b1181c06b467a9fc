package credential

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/blake2b"

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
)

// ErrNotAToken is a string that cannot be a token of anybody: wrong length, alphabet or tag.
var ErrNotAToken = errors.New("not a refresh token")

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

// PointerPrefix is the category of the pointer streams. What follows it stays out of logs.
const PointerPrefix = "tokenFingerprint-"

// Stream is the name of the pointer stream.
func (f Fingerprint) Stream() string { return PointerPrefix + string(f) }

// Presented is a token that can be one: either native, and then genuine, or registered.
type Presented struct {
	Kind         refreshtoken.Kind
	SessionID    refreshtoken.SessionID // native
	Generation   uint32                 // native
	Fingerprints []Fingerprint          // registered: one for each key, the newest first
}

// Ring mints and recognises tokens. It is immutable and safe for concurrent use.
type Ring struct {
	keys []key // the newest first, never empty
}

type key struct {
	id     string
	secret []byte
}

// Mint makes the native token of one generation of a session. The same arguments give the
// same token, as long as the newest key stays.
func (r *Ring) Mint(session refreshtoken.SessionID, generation uint32) Secret {
	b := make([]byte, 0, tokenBytes)
	uuid := session.Bytes()
	b = append(b, uuid[:]...)
	b = binary.BigEndian.AppendUint32(b, generation)
	b = r.keys[0].mac(b, nativeDomain, b)
	return NewSecret(NativePrefix + base64.RawURLEncoding.EncodeToString(b))
}

// Recognise tells what a presented string is. ErrNotAToken covers wrong length, wrong alphabet
// and a tag that none of the keys made; it never says which.
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
	p := Presented{Kind: refreshtoken.Registered, Fingerprints: make([]Fingerprint, len(r.keys))}
	for i := range r.keys {
		sum := r.keys[i].mac(nil, fingerprintDomain, []byte(text))
		p.Fingerprints[i] = Fingerprint(hex.EncodeToString(sum))
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
		return Presented{}, ErrNotAToken
	}
	return Presented{
		Kind:       refreshtoken.Native,
		SessionID:  refreshtoken.SessionIDFrom([16]byte(payload[:16])),
		Generation: binary.BigEndian.Uint32(payload[16:]),
	}, nil
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
