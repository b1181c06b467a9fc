package codec

import (
	"encoding/binary"
	"time"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
)

// snapshotVersion changes whenever the layout or the meaning of a field does (C6).
const snapshotVersion = 2

// EncodeSnapshot writes the folded state of a family in a compact binary form:
// version, status, kind, reason, generation, session, three times, user, client, fingerprint.
func EncodeSnapshot(s refreshtoken.State) []byte {
	user, client, session := s.UserID.String(), s.ClientID.String(), s.SessionID.Bytes()
	b := make([]byte, 0, 64+len(user)+len(client)+len(s.Fingerprint))
	b = append(b, snapshotVersion, byte(s.Status), byte(s.Kind), byte(s.EndReason))
	b = binary.BigEndian.AppendUint32(b, s.Generation)
	b = append(b, session[:]...)
	for _, t := range [...]time.Time{s.IssuedAt, s.ExpiresAt, s.AbsoluteExpiresAt} {
		b = binary.BigEndian.AppendUint64(b, uint64(t.Unix())) //nolint:gosec // read back the same way
		b = binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
	}
	for _, text := range [...]string{user, client, s.Fingerprint} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

// DecodeSnapshot reads what EncodeSnapshot wrote; false when it is of another version or
// damaged, and then the caller replays the events.
func DecodeSnapshot(b []byte) (refreshtoken.State, bool) {
	const fixed = 4 + 4 + 16 + 3*12
	if len(b) < fixed || b[0] != snapshotVersion {
		return refreshtoken.State{}, false
	}
	s := refreshtoken.State{
		Status: refreshtoken.Status(b[1]), Kind: refreshtoken.Kind(b[2]), EndReason: refreshtoken.Reason(b[3]),
		Generation: binary.BigEndian.Uint32(b[4:8]),
		SessionID:  refreshtoken.SessionIDFrom([16]byte(b[8:24])),
	}
	for i, t := range [...]*time.Time{&s.IssuedAt, &s.ExpiresAt, &s.AbsoluteExpiresAt} {
		at := b[24+12*i:]
		*t = time.Unix(int64(binary.BigEndian.Uint64(at)), int64(binary.BigEndian.Uint32(at[8:]))).UTC() //nolint:gosec // written above
	}
	user, rest, ok := cutString(b[fixed:])
	if !ok {
		return refreshtoken.State{}, false
	}
	client, rest, ok := cutString(rest)
	if !ok {
		return refreshtoken.State{}, false
	}
	fingerprint, rest, ok := cutString(rest)
	if !ok || len(rest) != 0 {
		return refreshtoken.State{}, false
	}
	s.Fingerprint = fingerprint
	var err1, err2 error
	s.UserID, err1 = refreshtoken.ParseUserID(user)
	s.ClientID, err2 = refreshtoken.ParseClientID(client)
	if err1 != nil || err2 != nil || !plausible(s) {
		return refreshtoken.State{}, false
	}
	return s, true
}

// plausible keeps a damaged byte from inventing a family, or from bringing an ended one back:
// status and reason are two bytes that must agree, as kind and fingerprint are.
func plausible(s refreshtoken.State) bool {
	if s.SessionID.IsZero() || s.Kind.String() == "" || (s.Kind == refreshtoken.Registered) != (s.Fingerprint != "") {
		return false
	}
	switch s.Status {
	case refreshtoken.Live:
		return s.EndReason == 0
	case refreshtoken.Ended:
		return s.EndReason.String() != ""
	case refreshtoken.Absent:
	}
	return false
}

func cutString(b []byte) (string, []byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	return string(b[size : size+int(n)]), b[size+int(n):], true //nolint:gosec // bounded by len(b)
}
