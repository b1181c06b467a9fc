package esdbapi_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/logoutd/logoutd/eventstore/esdbapi"
)

func TestAStreamIsReadFromAnyPlaceInBothDirections(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "s", 1000) // several pages
	r.seed(t, "other", 3)
	back := func(from esdb.StreamPosition) esdb.ReadStreamOptions {
		return esdb.ReadStreamOptions{Direction: esdb.Backwards, From: from}
	}
	tests := []struct {
		name        string
		options     esdb.ReadStreamOptions
		count       uint64
		first, last uint64
		n           int
	}{
		{"all of it", esdb.ReadStreamOptions{From: esdb.Start{}}, math.MaxUint64, 0, 999, 1000},
		{"some", esdb.ReadStreamOptions{From: esdb.Revision(10)}, 5, 10, 14, 5},
		{"the last", esdb.ReadStreamOptions{From: esdb.Revision(999)}, 5, 999, 999, 1},
		{"past the end", esdb.ReadStreamOptions{From: esdb.Revision(1000)}, 5, 0, 0, 0},
		{"far past the end", esdb.ReadStreamOptions{From: esdb.Revision(math.MaxInt64)}, 5, 0, 0, 0},
		{"from the end forwards", esdb.ReadStreamOptions{From: esdb.End{}}, 5, 0, 0, 0},
		{"none", esdb.ReadStreamOptions{From: esdb.Start{}}, 0, 0, 0, 0},
		{"backwards", back(esdb.End{}), math.MaxUint64, 999, 0, 1000},
		{"backwards some", back(esdb.Revision(700)), 300, 700, 401, 300},
		{"backwards from past the end", back(esdb.Revision(5000)), 2, 999, 998, 2},
		{"backwards from the start", back(esdb.Start{}), 2, 0, 0, 1},
		{"backwards none", back(esdb.End{}), 0, 0, 0, 0},
	}
	for _, tt := range tests {
		read, err := c.ReadStream(within(t), "s", tt.options, tt.count)
		events := all(t, read, err)
		if len(events) != tt.n {
			t.Errorf("%s: %d events, want %d", tt.name, len(events), tt.n)
			continue
		}
		if tt.n > 0 && (events[0].Event.EventNumber != tt.first || events[tt.n-1].Event.EventNumber != tt.last) {
			t.Errorf("%s: %d to %d", tt.name, events[0].Event.EventNumber, events[tt.n-1].Event.EventNumber)
		}
	}
	if got, err := revisions(t, c, "never", esdb.ReadStreamOptions{}); grade(err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("a stream that is not there: %v, %v", got, err)
	}
}

func TestAllIsReadFromAnyPlaceInBothDirections(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c := r.client(t)
	r.seed(t, "$persistentsubscription-$all::g-checkpoint", 2) // 1 and 2: hidden
	r.seed(t, "s", 600)
	at := func(p uint64) esdb.Position { return esdb.Position{Commit: p, Prepare: p} }
	back := func(from esdb.AllPosition) esdb.ReadAllOptions {
		return esdb.ReadAllOptions{Direction: esdb.Backwards, From: from}
	}
	tests := []struct {
		name        string
		options     esdb.ReadAllOptions
		count       uint64
		first, last uint64
		n           int
	}{
		{"all of it", esdb.ReadAllOptions{From: esdb.Start{}}, math.MaxUint64, 3, 602, 600},
		{"from a position, that one included", esdb.ReadAllOptions{From: at(10)}, 3, 10, 12, 3},
		{"past the end", esdb.ReadAllOptions{From: at(5000)}, 3, 0, 0, 0},
		{"end", esdb.ReadAllOptions{From: esdb.End{}}, 3, 0, 0, 0},
		{"backwards", back(esdb.End{}), math.MaxUint64, 602, 3, 600},
		{"backwards before a position", back(at(10)), 3, 9, 7, 3},
		{"backwards from the start", back(esdb.Start{}), 3, 0, 0, 0},
		{"none", back(esdb.End{}), 0, 0, 0, 0},
	}
	for _, tt := range tests {
		read, err := c.ReadAll(within(t), tt.options, tt.count)
		events := all(t, read, err)
		if len(events) != tt.n {
			t.Errorf("%s: %d events, want %d", tt.name, len(events), tt.n)
			continue
		}
		if tt.n > 0 && (events[0].Event.Position.Commit != tt.first || events[tt.n-1].Event.Position.Commit != tt.last) {
			t.Errorf("%s: %d to %d", tt.name, events[0].Event.Position.Commit, events[tt.n-1].Event.Position.Commit)
		}
	}
}

func TestMetadataLimitsWhatCanBeRead(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	tests := []struct {
		metadata string
		first, n uint64
	}{
		{`{"$maxCount":3}`, 7, 3},
		{`{"$maxCount":30}`, 0, 10},
		{`{"$tb":4}`, 4, 6},
		{`{"$tb":4,"$maxCount":2}`, 8, 2},
		{`{"$tb":10}`, 0, 0},
		{`{"$maxAge":3600}`, 0, 10},
		{`{"$maxCount":"many"}`, 0, 10},
		{`{"$maxCount":-1}`, 0, 10},
		{`{"$maxAge":99999999999999}`, 0, 10},
		{`not JSON`, 0, 10},
		{`null`, 0, 10},
	}
	for i, tt := range tests {
		stream := fmt.Sprintf("s%d", i)
		r.seed(t, stream, 10)
		for _, m := range []string{`{"$maxCount":1}`, tt.metadata} { // the newest counts
			if _, err := c.AppendToStream(ctx, "$$"+stream, esdb.AppendToStreamOptions{}, event("$metadata", m)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := revisions(t, c, stream, esdb.ReadStreamOptions{})
		if err != nil || uint64(len(got)) != tt.n || tt.n > 0 && got[0] != tt.first {
			t.Errorf("%s: read %v, %v", tt.metadata, got, err)
		}
		back, err := revisions(t, c, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}})
		slices.Reverse(back)
		if err != nil || !slices.Equal(got, back) {
			t.Errorf("%s: read %v forwards, %v backwards, %v", tt.metadata, got, back, err)
		}
		if got, err := revisions(t, c, "$$"+stream, esdb.ReadStreamOptions{}); err != nil || !slices.Equal(got, []uint64{1}) {
			t.Errorf("%s: metastream %v, %v", tt.metadata, got, err)
		}
	}
}

func TestEventsOlderThanMaxAgeAreNotRead(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *esdbapi.Config) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	c := r.client(t)
	r.seed(t, "s", 10)
	if _, err := c.AppendToStream(within(t), "$$s", esdb.AppendToStreamOptions{}, event("$metadata", `{"$maxAge":60}`)); err != nil {
		t.Fatal(err)
	}
	for _, o := range []esdb.ReadStreamOptions{{}, {Direction: esdb.Backwards, From: esdb.End{}}} {
		if got, err := revisions(t, c, "s", o); err != nil || len(got) != 0 {
			t.Errorf("read %v, %v", got, err)
		}
	}
}

func TestLinksAreResolved(t *testing.T) {
	t.Parallel()
	r := serve(t)
	c, ctx := r.client(t), within(t)
	r.seed(t, "s", 5)
	r.seed(t, "gone", 1)
	if _, err := c.DeleteStream(ctx, "gone", esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetStreamMetadata(ctx, "s", esdb.AppendToStreamOptions{}, maxCount(2)); err != nil {
		t.Fatal(err)
	}
	targets := []string{"4@s", "0@s", "0@gone", "0@never", "9@s", "junk", "-1@s", "1@"}
	for _, target := range targets {
		if _, err := c.AppendToStream(ctx, "links", esdb.AppendToStreamOptions{}, event("$>", target)); err != nil {
			t.Fatal(err)
		}
	}
	read, err := c.ReadStream(ctx, "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, 100)
	check := func(where string, events []*esdb.ResolvedEvent) {
		for i, e := range events {
			if e.Link == nil || e.Link.StreamID != "links" {
				t.Errorf("%s: %s has no link", where, targets[i])
			}
			if resolved := e.Event != nil; resolved != (i == 0) {
				t.Errorf("%s: %s resolved: %v", where, targets[i], resolved)
			}
		}
		if len(events) != len(targets) {
			t.Errorf("%s: %d events", where, len(events))
		}
	}
	check("read", all(t, read, err))
	sub, err := c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
		From: esdb.Start{}, ResolveLinkTos: true, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"links"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	var followed []*esdb.ResolvedEvent
	for e := sub.Recv(); e.CaughtUp == nil; e = sub.Recv() {
		if e.SubscriptionDropped != nil {
			t.Fatal(e.SubscriptionDropped.Error)
		}
		if e.EventAppeared != nil {
			followed = append(followed, e.EventAppeared)
		}
	}
	check("subscription", followed)
}

func maxCount(n uint64) (m esdb.StreamMetadata) {
	m.SetMaxCount(n)
	return m
}

// rawRead takes everything that a read answers.
func rawRead(t *testing.T, r *rig, req *streams.ReadReq) ([]*streams.ReadResp, error) {
	t.Helper()
	c, err := streams.NewStreamsClient(r.dial(t)).Read(within(t), req)
	if err != nil {
		t.Fatal(err)
	}
	var got []*streams.ReadResp
	for {
		m, err := c.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, m)
	}
}

func ofStream(name string) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) {
		o.StreamOption = &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: named(name),
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}}
		o.CountOption = &streams.ReadReq_Options_Count{Count: 10}
	}
}

func filtered(expression *streams.ReadReq_Options_FilterOptions_Expression) *streams.ReadReq_Options_Filter {
	return &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: expression},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32},
	}}
}

func TestAReadThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	r := serve(t)
	type options = streams.ReadReq_Options
	position := func(commit, prepare uint64) func(*options) {
		return func(o *options) {
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
				AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: prepare}},
			}}
		}
	}
	regex := func(s string) func(*options) {
		return func(o *options) {
			o.FilterOption = filtered(&streams.ReadReq_Options_FilterOptions_Expression{Regex: s})
		}
	}
	tests := map[string]func(*options){
		"no stream":         func(o *options) { o.StreamOption = nil },
		"no count":          func(o *options) { o.CountOption = nil },
		"no filter option":  func(o *options) { o.FilterOption = nil },
		"no uuid option":    func(o *options) { o.UuidOption = nil },
		"empty uuid option": func(o *options) { o.UuidOption = &streams.ReadReq_Options_UUIDOption{} },
		"direction":         func(o *options) { o.ReadDirection = 7 },
		"backwards for ever": func(o *options) {
			o.ReadDirection = streams.ReadReq_Options_Backwards
		},
		"filter of a stream": func(o *options) {
			ofStream("s")(o)
			regex("x")(o)
		},
		"$all as a stream":      ofStream("$all"),
		"empty name":            ofStream(""),
		"no start of stream":    func(o *options) { ofStream("s")(o); o.GetStream().RevisionOption = nil },
		"no start of all":       func(o *options) { o.GetAll().AllOption = nil },
		"prepare after commit":  position(1, 2),
		"position out of range": position(math.MaxInt64+1, 1),
		"revision out of range": func(o *options) {
			ofStream("s")(o)
			o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: math.MaxInt64 + 1}
		},
		"regex":                  regex("("),
		"regex of another kind":  regex("(?!x)"),
		"regex too long":         regex(strings.Repeat("x", 1025)),
		"regex with large count": regex("((x{1000}){1000}){1000}"),
		"no window": func(o *options) {
			regex("x")(o)
			o.GetFilter().Window = nil
		},
		"no expression": func(o *options) {
			regex("x")(o)
			o.GetFilter().Filter = nil
		},
		"too many prefixes": func(o *options) {
			o.FilterOption = filtered(&streams.ReadReq_Options_FilterOptions_Expression{Prefix: make([]string, 1001)})
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := rawRead(t, r, follow(change)); status.Code(err) != codes.InvalidArgument {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := rawRead(t, r, &streams.ReadReq{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no options: %v", err)
	}
}

func TestAnExponentialExpressionTakesNoTime(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, strings.Repeat("a", 500), 500)
	got, err := rawRead(t, r, follow(func(o *streams.ReadReq_Options) {
		o.CountOption = &streams.ReadReq_Options_Count{Count: 10}
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
		o.FilterOption = filtered(&streams.ReadReq_Options_FilterOptions_Expression{Regex: "^(a+)+$|^(a|aa)*b$"})
	}))
	if err != nil || len(got) != 10 {
		t.Errorf("%d messages, %v", len(got), err)
	}
}

func TestUUIDsAndPositionsAsTheClientWantsThem(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.seed(t, "s", 100)
	if _, err := r.client(t).SetStreamMetadata(within(t), "s", esdb.AppendToStreamOptions{}, maxCount(10)); err != nil {
		t.Fatal(err)
	}
	change := func(o *streams.ReadReq_Options) {
		ofStream("s")(o)
		o.GetUuidOption().Content = &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}
		o.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
	}
	got, err := rawRead(t, r, follow(change))
	if err != nil || len(got) != 12 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	if got[0].GetFirstStreamPosition() != 90 || got[11].GetLastStreamPosition() != 99 {
		t.Errorf("first %v, last %v", got[0], got[11])
	}
	if id := got[1].GetEvent().GetEvent().GetId().GetString_(); len(id) != 36 {
		t.Errorf("id %q", id)
	}
}
