package refreshtoken

import "errors"

// Reason says why a family was revoked: a closed set. Zero is no reason.
type Reason uint8

// The reasons of TokenRevoked.
const (
	ReasonLogout Reason = iota + 1
	ReasonSessionRevoked
	ReasonLogoutEverywhere
	ReasonPasswordChanged
	ReasonReuseDetected
	ReasonAdmin
	ReasonIncident

	minReason = ReasonLogout
	maxReason = ReasonIncident
)

// String is the name on the wire.
func (r Reason) String() string {
	switch r {
	case ReasonLogout:
		return "logout"
	case ReasonSessionRevoked:
		return "session_revoked"
	case ReasonLogoutEverywhere:
		return "logout_everywhere"
	case ReasonPasswordChanged:
		return "password_changed"
	case ReasonReuseDetected:
		return "reuse_detected"
	case ReasonAdmin:
		return "admin"
	case ReasonIncident:
		return "incident"
	}
	return ""
}

// ParseReason reads the name on the wire.
func ParseReason(s string) (Reason, error) {
	for r := minReason; r <= maxReason; r++ {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, errors.New("not a reason of revocation")
}

// Refusal says why a logout was refused: a closed set, kept verbatim from the system
// that logoutd replaces. Zero is no refusal.
type Refusal uint8

// The reasons of UserLogoutFailed, in the order of the checks (R6).
const (
	TokenNotFound Refusal = iota + 1
	TokenUserMismatch
	TokenAlreadyRevoked

	minRefusal = TokenNotFound
	maxRefusal = TokenAlreadyRevoked
)

// String is the name on the wire.
func (r Refusal) String() string {
	switch r {
	case TokenNotFound:
		return "token_not_found"
	case TokenUserMismatch:
		return "token_user_mismatch"
	case TokenAlreadyRevoked:
		return "token_already_revoked"
	}
	return ""
}

// ParseRefusal reads the name on the wire.
func ParseRefusal(s string) (Refusal, error) {
	for r := minRefusal; r <= maxRefusal; r++ {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, errors.New("not a reason of a refused logout")
}

// Kind says who minted the tokens of a family: a closed set. Zero is no kind.
type Kind uint8

// The kinds of token.
const (
	Native     Kind = iota + 1 // minted by logoutd
	Registered                 // minted by another login service, known here by its fingerprint

	minKind = Native
	maxKind = Registered
)

// String is the name on the wire.
func (k Kind) String() string {
	switch k {
	case Native:
		return "native"
	case Registered:
		return "registered"
	}
	return ""
}

func (k Kind) valid() bool { return minKind <= k && k <= maxKind }

// ParseKind reads the name on the wire.
func ParseKind(s string) (Kind, error) {
	for k := minKind; k <= maxKind; k++ {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, errors.New("not a kind of token")
}
