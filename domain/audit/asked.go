package audit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// This file compares what was recorded under an approval with what the approval was for. A second person who consents to
// the closing of a case has not consented to another closing, nor to anything beside it.

// asked checks an event that follows an approval against the proposal: it is of a type that the proposal said would be
// recorded, it happened when the proposal says, and what it says is what was asked for. Where it says the same and reads
// otherwise, the file had moved on in between; that is noted.
func (w *walk) asked(s journal.Stored, e record.Event) {
	a := w.approval
	if a == nil || a.proposal == nil || a.proposal.event.Erased || e.Erased || e.Type == record.ApprovedType || w.blind {
		return
	}
	row, ok := w.k.Event(e.Type)
	if !ok {
		return
	}
	p, line := &a.proposal.data, row.Line(e)
	worded := slices.Contains(p.Would, line)
	typed := worded // the first form of a proposal has sentences only
	if len(p.Types) > 0 {
		var i int
		if i = slices.Index(a.left, e.Type); i >= 0 {
			a.left = slices.Delete(a.left, i, i+1)
		}
		typed = i >= 0
	}
	if !typed {
		w.alone(s, "记录了所批准的提请之外的事项", fmt.Sprintf("it was not asked for: the proposal approved with it is to record %s", strings.Join(said(p), "; ")))
		return
	}
	if !e.Meta.OccurredAt.Equal(p.OccurredAt) || e.Meta.Late != p.Late {
		w.alone(s, "发生时间与所批准的提请不符", fmt.Sprintf("the proposal approved with it says that it happened at %s", p.OccurredAt.Format(time.RFC3339)))
	}
	if field := w.differs(p, e, row); field != "" {
		w.alone(s, "内容与所批准的提请不符："+field, "it says something else than the proposal approved with it: "+field)
		return
	}
	if !worded {
		w.find(at(s, Note, Second, record.T("表述与提请时不同："+line.Zh, "it does not read as it was proposed: "+line.En),
			record.T("核对提请后档案是否另有变化", "look whether the file had changed since it was proposed")))
	}
}

func said(p *record.Proposed) (lines []string) {
	for _, t := range p.Would {
		lines = append(lines, t.En)
	}
	return lines
}

// differs names the first field in which an event differs from the command that was proposed. What a decision takes from
// its input it stores under the same name; what else an event says follows from the file.
func (w *walk) differs(p *record.Proposed, e record.Event, row *record.EventRow) string {
	if c, ok := e.Data.(record.Corrected); ok {
		return w.differsCorrection(p, c)
	}
	var input map[string]any
	if json.Unmarshal(p.Input, &input) != nil {
		return "input"
	}
	data, err := plain(e.Data)
	if err != nil {
		return "data"
	}
	names := fields(row.Type)
	for _, name := range sorted(input) {
		if names[name] && !same(input[name], data[name]) {
			return name
		}
	}
	return ""
}

// differsCorrection works out again what a correction was to say: the entry as it stood, with the values that were proposed
// laid over it.
func (w *walk) differsCorrection(p *record.Proposed, c record.Corrected) string {
	var in record.CorrectEvent
	if json.Unmarshal(p.Input, &in) != nil {
		return "input"
	}
	entry := in.Event
	if e, ok := w.earlier(entry); ok {
		if first, ok := e.Data.(record.Corrected); ok {
			entry = first.Event
		}
	}
	e, ok := w.earlier(entry)
	row, known := w.k.Event(e.Type)
	switch {
	case !ok || !known || c.Event != entry:
		return "event"
	case c.Reason != in.Reason:
		return "reason"
	}
	present, err := record.Amendments(w.history, record.At{})[entry].Effective(w.k, e)
	if err != nil {
		return "values"
	}
	want, err := plain(present.Data)
	if err != nil {
		return "values"
	}
	for name, v := range in.Values {
		if want[name] = v; v == nil {
			delete(want, name)
		}
	}
	raw, err := json.Marshal(want)
	if err == nil {
		want, err = stored(row, row.Form(), raw)
	}
	got, failed := stored(row, c.Form, c.Values)
	if err != nil || failed != nil {
		return "values"
	}
	for _, name := range slices.Concat(sorted(want), sorted(got)) {
		if !same(want[name], got[name]) {
			return "values." + name
		}
	}
	happened := present.Meta.OccurredAt
	if !in.HappenedAt.IsZero() {
		happened = in.HappenedAt.UTC().Truncate(time.Millisecond)
	}
	says := e.Meta.OccurredAt
	if !c.OccurredAt.IsZero() {
		says = c.OccurredAt
	}
	if !says.Equal(happened) {
		return "happenedAt"
	}
	return ""
}

// plain is a value as its JSON object says it.
func plain(data any) (out map[string]any, err error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(raw, &out)
}

// stored is what a stored form says, as the present form says it.
func stored(row *record.EventRow, form int, raw []byte) (map[string]any, error) {
	data, err := row.Decode(form, raw, true)
	if err != nil {
		return nil, err
	}
	return plain(data)
}

// same compares two JSON values; one that is empty counts as one that was left out.
func same(a, b any) bool { return empty(a) && empty(b) || reflect.DeepEqual(a, b) }

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case string:
		return v == "" || v == "00000000-0000-0000-0000-000000000000" || v == "0001-01-01T00:00:00Z"
	}
	return v == false || v == 0.0
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fields are the names under which a struct's fields are stored.
func fields(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && name != "" && name != "-" {
			names[name] = true
		}
	}
	return names
}
