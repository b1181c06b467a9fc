package postgres

import (
	"testing"
)

// TestEveryClassOfErrorHasACure walks through all classes of SQLSTATE of PostgreSQL 15 to 18.
func TestEveryClassOfErrorHasACure(t *testing.T) {
	t.Parallel()
	special := map[string]cure{
		"28000": admit, "28P01": admit, "42501": admit, "3D000": admit,
		"3F000": rebuild, "42P01": rebuild, "42703": rebuild, "42883": rebuild, "42P10": rebuild, "XX001": rebuild, "XX002": rebuild,
	}
	classes := []string{
		"00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22", "23", "24", "25", "26", "27", "28", "2B", "2D",
		"2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55", "57", "58", "72", "F0", "HV", "P0", "XX",
	}
	for _, class := range classes {
		want := wait
		if class == "28" {
			want = admit
		}
		if got := cureOf(class + "999"); got != want {
			t.Errorf("class %s: %d, want %d", class, got, want)
		}
	}
	for code, want := range special {
		if got := cureOf(code); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	for _, passes := range []string{"53100", "53300", "57P01", "57P03", "08006", "40001", "40P01", "25006", "58030", "", "x"} {
		if got := cureOf(passes); got != wait {
			t.Errorf("%s: %d, want wait", passes, got)
		}
	}
}
