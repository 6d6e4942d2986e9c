package record_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/record"
)

// counted is a state that shows exactly which events count, with which values and times.
type counted struct{ Values []string }

type said struct {
	Value string    `json:"value"`
	About uuid.UUID `json:"about,omitzero"`
	Fixed string    `json:"fixed,omitempty" correct:"no"`
}

var sayings = record.Category{
	Name: "saying", New: func() any { return &counted{} },
	Events: append(record.ApprovalRows(), record.VoidedRow(),
		record.On("saying.said", record.T("说", "said"), func(c *counted, d said, e record.Event) {
			c.Values = append(c.Values, d.Value+" "+e.Meta.OccurredAt.Format(time.DateOnly))
		}, nil)),
	Commands: record.AmendCommands(record.Everyone),
}

func hour(n int) time.Time { return time.Date(2026, 3, 1, n, 0, 0, 0, time.UTC) }

// Ensure that a fold with amendments, as of any day and as known at any time, agrees with a model that knows nothing of
// folding: for each entry it looks for the newest standing word about it.
func TestAmendmentsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []record.Event
		n := rapid.IntRange(1, 25).Draw(t, "events")
		for i := range n {
			e := record.Event{ID: uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i)}), Stream: "saying-" + uuid.Nil.String(), Revision: uint64(i), Position: uint64(i),
				Meta: record.Meta{Form: 1, OccurredAt: hour(rapid.IntRange(0, 100).Draw(t, "occurred")), RecordedAt: hour(100 + i)}}
			about := func() uuid.UUID { return rapid.SampledFrom(events).Draw(t, "about").ID }
			switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
			case kind == 1 && i > 0:
				e.Type, e.Data = record.VoidedType, record.Voided{Event: about()}
			case kind == 2 && i > 0:
				c := record.Corrected{Event: about(), Form: 1, Values: json.RawMessage(fmt.Sprintf(`{"value":"c%d"}`, i))}
				if rapid.Bool().Draw(t, "time too") {
					c.OccurredAt = hour(rapid.IntRange(0, 100).Draw(t, "right time"))
				}
				e.Type, e.Data = record.CorrectedType, c
			default:
				e.Type, e.Data = "saying.said", said{Value: fmt.Sprint(i)}
			}
			events = append(events, e)
		}
		at := record.At{}
		if rapid.Bool().Draw(t, "known at") {
			at.KnownAt = hour(100 + rapid.IntRange(0, n).Draw(t, "known"))
		}
		if rapid.Bool().Draw(t, "as of") {
			at.AsOf = hour(rapid.IntRange(0, 100).Draw(t, "as of day"))
		}
		f := record.NewFile(&sayings, events[0].Stream)
		if err := f.Fold(events, at); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(f.State.(*counted).Values), fmt.Sprint(model(events, at)); got != want {
			t.Fatalf("folded %s, the model says %s", got, want)
		}
	})
}

func model(events []record.Event, at record.At) []string {
	var known []record.Event
	for _, e := range events {
		if at.KnownAt.IsZero() || !e.Meta.RecordedAt.After(at.KnownAt) {
			known = append(known, e)
		}
	}
	isVoid := func(id uuid.UUID) bool {
		for _, e := range known {
			if v, ok := e.Data.(record.Voided); ok && v.Event == id {
				return true
			}
		}
		return false
	}
	values := []string{}
	for _, e := range known {
		d, ok := e.Data.(said)
		if !ok || isVoid(e.ID) {
			continue
		}
		when := e.Meta.OccurredAt
		for _, later := range known {
			if c, ok := later.Data.(record.Corrected); ok && c.Event == e.ID && !isVoid(later.ID) {
				d = said{}
				if err := json.Unmarshal(c.Values, &d); err != nil {
					panic(err)
				}
				when = e.Meta.OccurredAt
				if !c.OccurredAt.IsZero() {
					when = c.OccurredAt
				}
			}
		}
		if at.AsOf.IsZero() || !when.After(at.AsOf) {
			values = append(values, d.Value+" "+when.Format(time.DateOnly))
		}
	}
	return values
}

// Ensure what a correction takes and what it refuses, naming the field.
func TestCorrectEvent(t *testing.T) {
	other := uuid.New()
	e := record.Event{ID: uuid.New(), Type: "saying.said", Meta: record.Meta{Form: 1, OccurredAt: hour(1)}, Data: said{Value: "错", About: other, Fixed: "x"}}
	row := sayings.Commands[1]
	decide := func(in record.CorrectEvent) ([]any, error) {
		return row.Decide(&counted{}, in, record.Given{
			Now: hour(50), Category: &sayings, Event: func(id uuid.UUID) (record.Event, bool) { return e, id == e.ID },
			Voided: func(uuid.UUID) bool { return false }, Amended: func(uuid.UUID) record.Amendment { return record.Amendment{} },
		})
	}
	got, err := decide(record.CorrectEvent{Event: e.ID, Values: map[string]any{"value": "对"}, HappenedAt: hour(2), Reason: "笔误，应为对"})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	c := got[0].(record.Corrected)
	if string(c.Values) != fmt.Sprintf(`{"value":"对","about":"%s","fixed":"x"}`, other) || fmt.Sprint(c.Fields) != "[value occurredAt]" || !c.OccurredAt.Equal(hour(2)) {
		t.Errorf("%s %v %v", c.Values, c.Fields, c.OccurredAt)
	}
	if got, err := decide(record.CorrectEvent{Event: e.ID, Values: map[string]any{"value": "错"}, Reason: "没有变化"}); err != nil || len(got) != 0 {
		t.Errorf("nothing changed, and yet %v, %v", got, err)
	}
	for name, c := range map[string]struct {
		in    record.CorrectEvent
		field string
	}{
		"reference":     {record.CorrectEvent{Event: e.ID, Values: map[string]any{"about": uuid.New().String()}}, "values.about"},
		"fixed field":   {record.CorrectEvent{Event: e.ID, Values: map[string]any{"fixed": "y"}}, "values.fixed"},
		"unknown field": {record.CorrectEvent{Event: e.ID, Values: map[string]any{"colour": "red"}}, "values"},
		"wrong type":    {record.CorrectEvent{Event: e.ID, Values: map[string]any{"value": 7.0}}, "values"},
		"future":        {record.CorrectEvent{Event: e.ID, HappenedAt: hour(51)}, "happenedAt"},
		"no such event": {record.CorrectEvent{Event: uuid.New()}, "event"},
	} {
		var p *record.Problem
		if _, err := decide(c.in); !errors.As(err, &p) || p.Field != c.field || p.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
