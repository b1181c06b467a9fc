package codec_test

import (
	"testing"

	"github.com/logoutd/logoutd/aggregates/refreshtoken"
	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

// BenchmarkLogout is what the codec does in every logout that succeeds.
func BenchmarkLogout(b *testing.B) {
	s := ended()
	s.Status, s.EndReason = refreshtoken.Live, 0
	story, err := s.LogOut(refreshtoken.LogOut{UserID: alice, By: "alice"})
	if err != nil {
		b.Fatal(err)
	}
	m, snapshot := full(codec.ActorUser, "alice"), codec.EncodeSnapshot(s)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := codec.DecodeSnapshot(snapshot); !ok {
			b.Fatal("the snapshot does not decode")
		}
		for _, e := range story {
			codec.Encode(e)
			codec.EncodeMetadata(m)
		}
		codec.EncodeSnapshot(s)
	}
}

func BenchmarkDecode(b *testing.B) {
	var all []eventstore.Recorded
	for _, g := range goldens(b) {
		all = append(all, g.recorded())
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := codec.Decode(all[i%len(all)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
