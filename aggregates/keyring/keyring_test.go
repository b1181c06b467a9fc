package keyring_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/logoutd/logoutd/aggregates/keyring"
)

func key(id string, status keyring.Status) keyring.Key {
	return keyring.Key{ID: id, Check: "check of " + id, Status: status}
}

func fold(keys ...keyring.Key) keyring.State {
	var s keyring.State
	for _, k := range keys {
		s = s.Apply(keyring.Announced{Key: k})
	}
	return s
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given, have, want []keyring.Key
	}{
		"the first key": {have: []keyring.Key{key("a", keyring.Active)}, want: []keyring.Key{key("a", keyring.Active)}},
		"nothing new":   {given: []keyring.Key{key("a", keyring.Active)}, have: []keyring.Key{key("a", keyring.Active)}},
		"a key to come": {
			given: []keyring.Key{key("a", keyring.Active)},
			have:  []keyring.Key{key("a", keyring.Active), key("b", keyring.Next)}, want: []keyring.Key{key("b", keyring.Next)},
		},
		"a promotion retires the active key without a word": {
			given: []keyring.Key{key("a", keyring.Active), key("b", keyring.Next)},
			have:  []keyring.Key{key("a", keyring.Retired), key("b", keyring.Active)}, want: []keyring.Key{key("b", keyring.Active)},
		},
		"Y3: a file that is behind takes nothing back": {
			given: []keyring.Key{key("a", keyring.Active), key("b", keyring.Active)},
			have:  []keyring.Key{key("a", keyring.Active), key("b", keyring.Next)},
		},
		"Y4: the active key is not retired by a file that gave it up": {
			given: []keyring.Key{key("a", keyring.Active), key("b", keyring.Active)},
			have:  []keyring.Key{key("a", keyring.Active), key("b", keyring.Retired)},
		},
		"a key to come that is given up": {
			given: []keyring.Key{key("a", keyring.Active), key("b", keyring.Next)},
			have:  []keyring.Key{key("a", keyring.Active), key("b", keyring.Retired)}, want: []keyring.Key{key("b", keyring.Retired)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, err := fold(c.given...).Announce(c.have)
			var got []keyring.Key
			for _, e := range events {
				got = append(got, e.Key)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("announces %v, want %v: %v", got, c.want, err)
			}
		})
	}
}

func TestAnnouncedKeysAreNeitherLackedNorReplaced(t *testing.T) {
	t.Parallel()
	s := fold(key("a", keyring.Active), key("b", keyring.Retired))
	var missing *keyring.MissingError
	if _, err := s.Announce([]keyring.Key{key("a", keyring.Active)}); !errors.As(err, &missing) || missing.ID != "b" || !strings.Contains(err.Error(), "key b") {
		t.Errorf("Y1: a key that verifies for ever is lacked: %v", err)
	}
	other := key("a", keyring.Active)
	other.Check = "check of another"
	var replaced *keyring.OtherKeyError
	if _, err := s.Announce([]keyring.Key{other, key("b", keyring.Retired)}); !errors.As(err, &replaced) || replaced.ID != "a" {
		t.Errorf("Y2: another key under an announced id: %v", err)
	}
}

// TestKeysKeepTheirInvariants lets processes with files of any age announce in any order.
func TestKeysKeepTheirInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var s keyring.State
		ids := []string{"a", "b", "c"}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			before := s.Keys()
			var have []keyring.Key
			for _, id := range ids {
				have = append(have, key(id, keyring.Status(rapid.IntRange(1, 3).Draw(r, "status of "+id))))
			}
			events, err := s.Announce(have)
			if err != nil {
				r.Fatal(err)
			}
			for _, e := range events {
				s = s.Apply(e)
			}
			active := 0
			for _, k := range s.Keys() {
				if k.Status == keyring.Active {
					active++
				}
			}
			had := slices.ContainsFunc(before, func(k keyring.Key) bool { return k.Status == keyring.Active })
			if active > 1 || had && active == 0 {
				r.Fatalf("Y4: %v", s.Keys())
			}
			for i, k := range before {
				if now := s.Keys()[i]; now.ID != k.ID || now.Check != k.Check || now.Status < k.Status {
					r.Fatalf("Y1, Y3: %v became %v", k, now)
				}
			}
			if more, err := s.Announce(have); err != nil || len(more) != 0 {
				r.Fatalf("announced again: %v %v", more, err)
			}
		}
	})
}

func TestStatusesAreAClosedSet(t *testing.T) {
	t.Parallel()
	seen := 0
	for status := range keyring.Status(255) {
		name := status.String()
		if name == "" {
			continue
		}
		seen++
		if back, err := keyring.ParseStatus(name); err != nil || back != status {
			t.Errorf("%s: %v %v", name, back, err)
		}
	}
	if _, err := keyring.ParseStatus(""); err == nil || seen != 3 {
		t.Errorf("%d statuses; the empty one: %v", seen, err)
	}
}

func TestWhatIsAKeyID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "20261125T001122Z", "A.b_c-9", strings.Repeat("x", 64)} {
		if err := keyring.CheckID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", " ", "a b", "é", "a/b", "a\n", strings.Repeat("x", 65)} {
		if keyring.CheckID(id) == nil {
			t.Errorf("%q was taken", id)
		}
	}
}
