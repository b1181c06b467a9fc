package esdbapi

import (
	"context"
	"crypto/rand"
	"runtime"
	"sync"

	"golang.org/x/crypto/blake2b"
)

const (
	// maxProven bounds the remembered logins. Whoever is not remembered is asked again.
	maxProven = 4096
	// maxProving is how many logins may wait; more are told to come again.
	maxProving = 64
)

// verifier remembers who has proved who he is: clients send name and password with every call, and a
// slow hash for each would be an attack that everybody makes. It remembers a keyed hash of both,
// under a key that exists in this process only.
type verifier struct {
	key     []byte
	waiting chan struct{} // one place for each who waits for a turn, or has one
	proving chan struct{} // one for each who is being verified: a slow hash takes a processor, and memory

	mu     sync.Mutex
	proven map[[blake2b.Size256]byte]bool
}

func newVerifier() *verifier {
	v := &verifier{
		key:     make([]byte, blake2b.Size256),
		waiting: make(chan struct{}, maxProving),
		proving: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		proven:  map[[blake2b.Size256]byte]bool{},
	}
	rand.Read(v.key) //nolint:errcheck // never fails, by its documentation
	return v
}

// verify tells the role of a user, if that is his password. The error says that nobody knows, because the
// server is busy or ctx has ended. Somebody unknown costs what somebody known does.
func (u *Users) verify(ctx context.Context, name, password string) (Role, bool, error) {
	if len(name) > maxPassword || len(password) > maxPassword {
		return 0, false, nil
	}
	one, known := u.byName[name]
	mark := u.mark(name, password)
	if known && u.remembered(mark) {
		return one.role, true, nil
	}
	hash := u.decoy
	if known {
		hash = one.hash
	}
	matches, err := u.prove(ctx, hash, password)
	if err != nil || !matches || !known {
		return 0, false, err
	}
	u.remember(mark)
	return one.role, true, nil
}

// prove compares, when it is its turn.
func (v *verifier) prove(ctx context.Context, hash passwordHash, password string) (bool, error) {
	select {
	case v.waiting <- struct{}{}:
		defer func() { <-v.waiting }()
	default:
		return false, tooBusy()
	}
	select {
	case v.proving <- struct{}{}:
		defer func() { <-v.proving }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	return hash.matches(password), nil
}

// mark identifies name and password, and neither can be found from it.
func (v *verifier) mark(name, password string) (mark [blake2b.Size256]byte) {
	h, err := blake2b.New256(v.key)
	if err != nil {
		panic("esdbapi: a BLAKE2b key has 32 bytes") // unreachable
	}
	h.Write([]byte(name))     //nolint:errcheck // a hash takes everything
	h.Write([]byte{0})        //nolint:errcheck // no name holds one
	h.Write([]byte(password)) //nolint:errcheck // as above
	h.Sum(mark[:0])
	return mark
}

func (v *verifier) remembered(mark [blake2b.Size256]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.proven[mark]
}

func (v *verifier) remember(mark [blake2b.Size256]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.proven) >= maxProven {
		clear(v.proven) // everybody is asked once more
	}
	v.proven[mark] = true
}
