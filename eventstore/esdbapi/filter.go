package esdbapi

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/logoutd/logoutd/eventstore"
)

// Bounds of a filter. Matching takes time in proportion to the text, whatever the expression (RE2).
const (
	maxRegexBytes    = 1024
	maxRegexSteps    = 2000 // instructions, each of which may run once for every character
	maxPrefixes      = 1000
	defaultWindow    = 32
	maxCheckInterval = 1 << 30
)

// filter chooses events of $all.
type filter struct {
	byType   bool // by the type of the event, else by the name of its stream
	regex    *regexp.Regexp
	prefixes []string
	interval uint64 // a checkpoint after so many events, in subscriptions
}

// matches is true for every event where there is no filter.
func (f *filter) matches(stream, eventType string) bool {
	if f == nil {
		return true
	}
	text := stream
	if f.byType {
		text = eventType
	}
	if f.regex != nil {
		return f.regex.MatchString(text)
	}
	return slices.ContainsFunc(f.prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}

// parseFilter reads the filter of a Read.
func parseFilter(o *streams.ReadReq_Options_FilterOptions) (*filter, error) {
	window := uint64(defaultWindow)
	switch w := o.GetWindow().(type) {
	case *streams.ReadReq_Options_FilterOptions_Max:
		window = uint64(w.Max)
	case *streams.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, invalid("a filter needs a window")
	}
	var by bool
	var expression *streams.ReadReq_Options_FilterOptions_Expression
	switch f := o.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expression = f.StreamIdentifier
	case *streams.ReadReq_Options_FilterOptions_EventType:
		by, expression = true, f.EventType
	default:
		return nil, invalid("a filter is by stream_identifier or event_type")
	}
	return newFilter(by, expression.GetRegex(), expression.GetPrefix(), window*uint64(o.GetCheckpointIntervalMultiplier()))
}

// newFilter compiles a filter; a regular expression goes before prefixes.
func newFilter(byType bool, regex string, prefixes []string, interval uint64) (*filter, error) {
	f := &filter{byType: byType, interval: min(max(interval, 1), maxCheckInterval)}
	if regex != "" {
		var err error
		f.regex, err = compile(regex)
		return f, err
	}
	if len(prefixes) > maxPrefixes {
		return nil, invalid("a filter of more than " + strconv.Itoa(maxPrefixes) + " prefixes")
	}
	for _, p := range prefixes {
		if len(p) <= eventstore.MaxNameBytes { // a longer one begins no name
			f.prefixes = append(f.prefixes, p)
		}
	}
	return f, nil
}

func compile(regex string) (*regexp.Regexp, error) {
	if len(regex) > maxRegexBytes {
		return nil, invalid("the regular expression of a filter is over " + strconv.Itoa(maxRegexBytes) + " bytes")
	}
	tree, err := syntax.Parse(regex, syntax.Perl)
	if err != nil {
		return nil, invalid("the filter is not a regular expression of RE2, the kind without look-around and back-references")
	}
	if program, err := syntax.Compile(tree.Simplify()); err != nil || len(program.Inst) > maxRegexSteps {
		return nil, invalid("the regular expression of a filter repeats too much")
	}
	return regexp.Compile(regex)
}

// hidden streams are never seen in $all, as on a real node.
func hidden(stream string) bool {
	if stream == "$epoch-information" {
		return true
	}
	return strings.HasPrefix(stream, "$persistentsubscription-$all::") &&
		(strings.HasSuffix(stream, "-checkpoint") || strings.HasSuffix(stream, "-parked"))
}
