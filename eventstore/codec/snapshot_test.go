package codec_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// anyState draws a family as decisions and events can make it.
func anyState() *rapid.Generator[refreshtoken.State] {
	return rapid.Custom(func(t *rapid.T) refreshtoken.State {
		id := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session"))
		id[6] |= 0x70 // a version, as every UUID has one: never the zero id
		client, err := refreshtoken.ParseClientID(rapid.StringMatching(`[a-zé ]{0,20}`).Draw(t, "client"))
		if err != nil {
			t.Fatal(err)
		}
		s := refreshtoken.State{
			Status: refreshtoken.Live, SessionID: refreshtoken.SessionIDFrom(id), ClientID: client,
			UserID: user(rapid.StringMatching(`[a-z王"<]{1,80}`).Draw(t, "user")),
			Kind:   rapid.SampledFrom([]refreshtoken.Kind{refreshtoken.Native, refreshtoken.Registered}).Draw(t, "kind"),

			Generation: rapid.Uint32().Draw(t, "generation"),
			IssuedAt:   anyTime().Draw(t, "issued"), ExpiresAt: anyTime().Draw(t, "expires"),
			AbsoluteExpiresAt: anyTime().Draw(t, "absolute"),
		}
		if s.Kind == refreshtoken.Registered {
			s.Fingerprint = rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "fingerprint")
		}
		if rapid.Bool().Draw(t, "ended") {
			s.Status, s.EndReason = refreshtoken.Ended, refreshtoken.Reason(rapid.ByteRange(1, 7).Draw(t, "reason"))
		}
		return s
	})
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		const year0, year9999 = -62167219200, 253402300799
		return time.Unix(rapid.Int64Range(year0, year9999).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	})
}

func TestSnapshotReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := anyState().Draw(t, "state")
		if got, ok := codec.DecodeSnapshot(codec.EncodeSnapshot(want)); !ok || got != want {
			t.Fatalf("decoded\n%+v (%v), want\n%+v", got, ok, want)
		}
	})
}

// A processor goes on from the state it decided on, with times of any zone; a snapshot gives
// the same instants.
func TestSnapshotTimesAreInUTC(t *testing.T) {
	t.Parallel()
	want := ended()
	local := want
	local.IssuedAt = want.IssuedAt.In(time.FixedZone("east", 3600))
	if got, ok := codec.DecodeSnapshot(codec.EncodeSnapshot(local)); !ok || got != want {
		t.Errorf("decoded\n%+v (%v), want\n%+v", got, ok, want)
	}
}

func ended() refreshtoken.State {
	return refreshtoken.Fold(
		refreshtoken.Issued{
			SessionID: session, UserID: alice, Kind: refreshtoken.Native,
			IssuedAt: date(3, 1, 1), ExpiresAt: date(3, 1, 9), AbsoluteExpiresAt: date(3, 3, 3),
		},
		refreshtoken.Rotated{SessionID: session, UserID: alice, Generation: 1, ExpiresAt: date(3, 2, 2)},
		refreshtoken.Revoked{SessionID: session, UserID: alice, Generation: 1, Reason: refreshtoken.ReasonLogout},
	)
}

// The layout is pinned: a change of it without a new version would misread what is stored.
func TestSnapshotLayoutOfVersion2(t *testing.T) {
	t.Parallel()
	want := []byte("\x02\x02\x01\x01" + "\x00\x00\x00\x01" +
		"\x01\x89\x0a\x5d\xac\x96\x77\x4b\xbc\xce\xb3\x02\x09\x9a\x80\x57" +
		"\x00\x00\x00\x00\x69\xa4\x31\x48\x00\x00\x00\x01" +
		"\x00\x00\x00\x00\x69\xa5\x82\xc8\x00\x00\x00\x02" +
		"\x00\x00\x00\x00\x69\xa6\xd4\x48\x00\x00\x00\x03" +
		"\x05alice" + "\x00" + "\x00")
	if got := codec.EncodeSnapshot(ended()); !bytes.Equal(got, want) {
		t.Errorf("snapshot\n%q\nwant\n%q", got, want)
	}
}

func TestSnapshotOfAnotherVersionIsNone(t *testing.T) { // C6
	t.Parallel()
	b := codec.EncodeSnapshot(ended())
	own := b[0]
	for version := range 256 {
		b[0] = byte(version)
		if s, ok := codec.DecodeSnapshot(b); ok != (b[0] == own) || !ok && s != (refreshtoken.State{}) {
			t.Errorf("version %d gives %+v (%v)", version, s, ok)
		}
	}
}

func TestSnapshotOfAnotherLengthIsNone(t *testing.T) {
	t.Parallel()
	whole := codec.EncodeSnapshot(ended())
	for n := range len(whole) {
		if s, ok := codec.DecodeSnapshot(whole[:n:n]); ok || s != (refreshtoken.State{}) {
			t.Errorf("cut to %d bytes it gives %+v (%v)", n, s, ok)
		}
	}
	if s, ok := codec.DecodeSnapshot(append(bytes.Clone(whole), 0)); ok {
		t.Errorf("with a byte more it gives %+v", s)
	}
}

// No single damaged byte brings an ended family back (R2), or makes a family of nothing.
func TestADamagedSnapshotEndsNoRevocation(t *testing.T) {
	t.Parallel()
	whole := codec.EncodeSnapshot(ended())
	refused := 0
	for i := range whole {
		for flip := 1; flip < 256; flip++ {
			b := bytes.Clone(whole)
			b[i] ^= byte(flip)
			s, ok := codec.DecodeSnapshot(b)
			if ok && s.Status != refreshtoken.Ended {
				t.Fatalf("byte %d changed by %#x gives %+v", i, flip, s)
			}
			if !ok {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed at all")
	}
}

func TestASnapshotOfNoFamilyIsNone(t *testing.T) {
	t.Parallel()
	impossible := func(change func(*refreshtoken.State)) refreshtoken.State {
		s := ended()
		change(&s)
		return s
	}
	for name, s := range map[string]refreshtoken.State{
		"nothing":              {},
		"a family without id":  impossible(func(s *refreshtoken.State) { s.SessionID = refreshtoken.SessionID{} }),
		"a family of no kind":  impossible(func(s *refreshtoken.State) { s.Kind = 0 }),
		"an end for no reason": impossible(func(s *refreshtoken.State) { s.EndReason = 0 }),
		"an end by a new one":  impossible(func(s *refreshtoken.State) { s.EndReason = 200 }),
		"a live ended family":  impossible(func(s *refreshtoken.State) { s.Status = refreshtoken.Live }),
		"an unknown status":    impossible(func(s *refreshtoken.State) { s.Status = refreshtoken.Ended + 1 }),
		"a family of nobody":   impossible(func(s *refreshtoken.State) { s.UserID = refreshtoken.UserID{} }),
	} {
		if got, ok := codec.DecodeSnapshot(codec.EncodeSnapshot(s)); ok {
			t.Errorf("%s reads as %+v", name, got)
		}
	}
}
