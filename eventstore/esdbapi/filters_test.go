package esdbapi_test

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type expression = streams.ReadReq_Options_FilterOptions_Expression

func regex(r string) *expression            { return &expression{Regex: r} }
func prefixes(prefix ...string) *expression { return &expression{Prefix: prefix} }
func byStream(o *streams.ReadReq_Options_FilterOptions, e *expression) {
	o.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: e}
}

func byType(o *streams.ReadReq_Options_FilterOptions, e *expression) {
	o.Filter = &streams.ReadReq_Options_FilterOptions_EventType{EventType: e}
}

// filterBy chooses events, with a checkpoint after 32.
func filterBy(what func(*streams.ReadReq_Options_FilterOptions, *expression), e *expression) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) {
		f := &streams.ReadReq_Options_FilterOptions{
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: 32},
			CheckpointIntervalMultiplier: 1,
		}
		what(f, e)
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: f}
	}
}

// Ensure that reads of all in both directions, and subscriptions, get what their filter chooses and nothing else.
func TestFilters(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for _, e := range []struct{ stream, typ string }{
		{"cart-1", "Added"}, {"user-1", "Named"}, {"cart-2", "Added"}, {"cart-1", "Removed"}, {"$stats", "$stat"},
		{"$persistentsubscription-$all::g-parked", "$>"}, {"Cart-3", "ReAdded"},
	} {
		r.put(t, e.stream, e.typ, "{}")
	}
	tests := map[string]struct {
		filter    func(*streams.ReadReq_Options)
		want, top string // top: the last two, backwards
	}{
		"a stream prefix":        {filterBy(byStream, prefixes("cart-")), "1 3 4", "4 3"},
		"stream prefixes":        {filterBy(byStream, prefixes("user-", "Cart-")), "2 7", "7 2"},
		"a stream regex":         {filterBy(byStream, regex("-1$")), "1 2 4", "4 2"},
		"no system streams":      {filterBy(byStream, regex(`^[^\$].*`)), "1 2 3 4 7", "7 4"},
		"a type prefix":          {filterBy(byType, prefixes("Add", "$")), "1 3 5", "5 3"},
		"a type regex":           {filterBy(byType, regex("Added")), "1 3 7", "7 3"},
		"a regex beats prefixes": {filterBy(byType, &expression{Regex: "^Named", Prefix: []string{"A"}}), "2", "2"},
		"no prefix":              {filterBy(byType, prefixes()), "", ""},
		"the empty prefix":       {filterBy(byStream, prefixes("")), "1 2 3 4 5 7", "7 5"},
		"a prefix of no name":    {filterBy(byStream, prefixes(strings.Repeat("c", 600))), "", ""},
		"nothing":                {filterBy(byStream, regex("nowhere")), "", ""},
		"what is hidden":         {filterBy(byStream, prefixes("$persistent")), "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			messages, _, err := r.readRaw(t, readReq("", ofAll, tt.filter))
			if got := said(messages, true); err != nil || got != tt.want {
				t.Errorf("forwards %q, %v, want %q", got, err, tt.want)
			}
			messages, _, err = r.readRaw(t, readReq("", ofAll, backwards, fromTheEnd, upTo(2), tt.filter))
			if got := said(messages, true); err != nil || got != tt.top {
				t.Errorf("backwards %q, %v, want %q", got, err, tt.top)
			}
			followed := r.untilCaughtUp(t, readReq("", ofAll, subscribing, tt.filter))
			var events []*streams.ReadResp
			for _, m := range followed {
				if m.GetEvent() != nil {
					events = append(events, m)
				}
			}
			if got := said(events, true); got != tt.want {
				t.Errorf("followed %q, want %q", got, tt.want)
			}
		})
	}
}

// Ensure that an expression which would cost too much for every event is refused, though it is short.
func TestAFilterThatCostsTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for _, e := range []string{strings.Repeat(`\pL{1000}`, 100), "(x{50}){50}", "(((x{9}){9}){9}){9}"} {
		for _, kind := range []options{{ofAll}, {ofAll, subscribing}} {
			_, _, err := r.readRaw(t, readReq("", append(kind, filterBy(byStream, regex(e)))...))
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("%s: %v", e, err)
			}
		}
	}
}

// Ensure that a filter by window count, and a multiplier of zero, are taken.
func TestEveryWindowIsTaken(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 3)
	counting := func(o *streams.ReadReq_Options) {
		o.GetFilter().Window = &streams.ReadReq_Options_FilterOptions_Count{Count: &shared.Empty{}}
		o.GetFilter().CheckpointIntervalMultiplier = 0
	}
	for _, o := range []options{{counting}, {func(o *streams.ReadReq_Options) {
		o.GetFilter().Window = &streams.ReadReq_Options_FilterOptions_Max{Max: 0}
	}}} {
		messages, _, err := r.readRaw(t, readReq("", append(options{ofAll, filterBy(byStream, prefixes("s"))}, o...)...))
		if got := said(messages, true); err != nil || got != "1 2 3" {
			t.Errorf("said %q, %v", got, err)
		}
		followed := r.untilCaughtUp(t, readReq("", append(options{ofAll, subscribing, filterBy(byStream, prefixes("s"))}, o...)...))
		if last := followed[len(followed)-1]; last.GetCheckpoint().GetCommitPosition() != 3 {
			t.Errorf("before caught_up came %v, want a checkpoint", last)
		}
	}
}
