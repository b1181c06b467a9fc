package esdbapi_test

import (
	"math"
	"testing"
)

// Ensure that every kind of read answers what the protocol says. Stream s has the revisions 0 to 4; the
// positions 1 to 3 are of another stream, 4 to 8 of s.
func TestEveryKindOfRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options options
		want    string
	}{
		"forwards":                     {nil, "0 1 2 3 4"},
		"forwards, some":               {options{upTo(2)}, "0 1"},
		"forwards, exactly all":        {options{upTo(5)}, "0 1 2 3 4"},
		"forwards from 3":              {options{fromRevision(3)}, "3 4"},
		"forwards from the last":       {options{fromRevision(4), upTo(1)}, "4"},
		"forwards past the end":        {options{fromRevision(5)}, ""},
		"forwards far past the end":    {options{fromRevision(math.MaxInt64)}, ""},
		"forwards from the end":        {options{fromTheEnd}, ""},
		"forwards from the last of 64": {options{fromRevision(math.MaxUint64)}, ""},
		"nothing":                      {options{upTo(0)}, ""},
		"as many as there can be":      {options{upTo(math.MaxUint64)}, "0 1 2 3 4"},
		"backwards":                    {options{backwards, fromTheEnd}, "4 3 2 1 0"},
		"backwards, some":              {options{backwards, fromTheEnd, upTo(2)}, "4 3"},
		"backwards from the start":     {options{backwards}, "0"},
		"backwards from 2":             {options{backwards, fromRevision(2)}, "2 1 0"},
		"backwards past the end":       {options{backwards, fromRevision(99)}, "4 3 2 1 0"},
		"backwards, nothing":           {options{backwards, fromTheEnd, upTo(0)}, ""},
		"told the last":                {options{compatible}, "0 1 2 3 4 last=4"},
		"told the last, some":          {options{compatible, upTo(1)}, "0 last=4"},
		"told the last, past the end":  {options{compatible, fromRevision(7)}, "last=4"},
		"told the last, backwards":     {options{compatible, backwards, fromTheEnd, upTo(1)}, "4 last=4"},
		"all":                          {options{ofAll}, "1 2 3 4 5 6 7 8"},
		"all, some":                    {options{ofAll, upTo(3)}, "1 2 3"},
		"all, nothing":                 {options{ofAll, upTo(0)}, ""},
		"all from zero":                {options{fromPosition(0, 0)}, "1 2 3 4 5 6 7 8"},
		"all from one":                 {options{fromPosition(1, 1)}, "1 2 3 4 5 6 7 8"},
		"all from 6, that included":    {options{fromPosition(6, 6)}, "6 7 8"},
		"all from within 6":            {options{fromPosition(6, 2)}, "6 7 8"},
		"all past the end":             {options{fromPosition(9, 9)}, ""},
		"all far past the end":         {options{fromPosition(math.MaxInt64, 0)}, ""},
		"all from the end":             {options{ofAll, fromTheEnd}, ""},
		"all from the last of 64":      {options{fromPosition(math.MaxUint64, math.MaxUint64)}, ""},
		"all backwards":                {options{ofAll, backwards, fromTheEnd}, "8 7 6 5 4 3 2 1"},
		"all backwards, some":          {options{ofAll, backwards, fromTheEnd, upTo(2)}, "8 7"},
		"all backwards from start":     {options{ofAll, backwards}, ""},
		"all backwards before 3":       {options{fromPosition(3, 3), backwards}, "2 1"},
		"all backwards before 1":       {options{fromPosition(1, 1), backwards}, ""},
		"all backwards before 0":       {options{fromPosition(0, 0), backwards}, ""},
		"all backwards from beyond":    {options{fromPosition(99, 99), backwards, upTo(1)}, "8"},
		"all, and no positions told":   {options{ofAll, compatible, upTo(1)}, "1"},
	}
	r := serve(t)
	r.seed(t, "other", 3)
	r.seed(t, "s", 5)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := readReq("s", tt.options...)
			messages, _, err := r.readRaw(t, req)
			if got := said(messages, req.GetOptions().GetAll() != nil); err != nil || got != tt.want {
				t.Errorf("said %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// Ensure that a stream which is not there is told by one message, whatever is asked of it.
func TestAStreamThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for name, o := range map[string]options{
		"forwards": nil, "backwards": {backwards, fromTheEnd}, "nothing": {upTo(0)}, "past the end": {fromRevision(9)},
		"from the end": {fromTheEnd}, "told positions": {compatible},
	} {
		messages, _, err := r.readRaw(t, readReq("nobody", o...))
		if got := said(messages, false); err != nil || got != "not-found=nobody" {
			t.Errorf("%s: said %q, %v", name, got, err)
		}
	}
}
