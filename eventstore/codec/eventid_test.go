package codec_test

import (
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/logoutd/logoutd/eventstore"
	"github.com/logoutd/logoutd/eventstore/codec"
)

func TestAnEventIDIsTheUUIDv5OfCommandAndIndex(t *testing.T) {
	t.Parallel()
	for range 100 {
		command := uuid.New()
		for _, index := range []int{0, 1, 2, 10, 999} {
			want := eventstore.EventID(uuid.NewSHA1(command, []byte(strconv.Itoa(index))))
			if got := codec.EventID(command, index); got != want {
				t.Fatalf("%s %d: %s, want %s", command, index, got, want)
			}
		}
	}
}
