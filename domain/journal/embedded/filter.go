package embedded

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// filter says which events of $all are wanted.
type filter struct {
	byType   bool // else by stream name
	pattern  *regexp.Regexp
	prefixes []string
	interval uint64 // a checkpoint after so many events considered
}

const maxFilter = 4096 // bytes of expressions; regexp is linear in the text, but not free to compile

// window of a filter that names none: EventStoreDB's page.
const defaultWindow = 32

func parseFilter(o *streams.ReadReq_Options_FilterOptions) (*filter, error) {
	f := &filter{}
	var expression *streams.ReadReq_Options_FilterOptions_Expression
	switch v := o.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_EventType:
		f.byType, expression = true, v.EventType
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expression = v.StreamIdentifier
	default:
		return nil, statusInvalid("a filter is by stream or by event type")
	}
	size := len(expression.GetRegex())
	for _, p := range expression.GetPrefix() {
		size += len(p)
	}
	switch {
	case size > maxFilter:
		return nil, statusInvalid("the filter is too long")
	case expression.GetRegex() != "":
		pattern, err := regexp.Compile(expression.GetRegex())
		if err != nil {
			return nil, statusInvalid("the filter's expression: " + err.Error())
		}
		f.pattern = pattern
	case len(expression.GetPrefix()) > 0:
		f.prefixes = expression.GetPrefix()
	default:
		return nil, statusInvalid("a filter has a regular expression or prefixes")
	}
	window := uint64(defaultWindow)
	switch v := o.GetWindow().(type) {
	case *streams.ReadReq_Options_FilterOptions_Max:
		if v.Max == 0 {
			return nil, statusInvalid("the search window is at least 1")
		}
		window = uint64(v.Max)
	case *streams.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, statusInvalid("a filter names its search window")
	}
	f.interval = window * uint64(o.GetCheckpointIntervalMultiplier())
	return f, nil
}

// wants is true for every event when there is no filter.
func (f *filter) wants(e *event) bool {
	switch {
	case f == nil:
		return true
	case f.byType && f.pattern != nil:
		return f.pattern.Match(e.kind)
	case f.pattern != nil:
		return f.pattern.MatchString(e.stream)
	}
	for _, p := range f.prefixes {
		if f.byType && bytes.HasPrefix(e.kind, []byte(p)) || !f.byType && strings.HasPrefix(e.stream, p) {
			return true
		}
	}
	return false
}
