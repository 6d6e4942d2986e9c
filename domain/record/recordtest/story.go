// Package recordtest tells the rules of a category as stories: given what was recorded, when somebody gives a command,
// then this is recorded, or it is refused by that rule.
//
// A story is stricter than the real executor about what would stay hidden: a decision may look only at streams its row
// names; every event goes through its stored form and must come back the same; and after each step the state is
// snapshotted, restored and folded on, and must equal the state folded from the first event.
package recordtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Story is one stream under test.
type Story struct {
	t        testing.TB
	k        *record.Category
	rules    any
	stream   string
	others   map[string]any
	events   []record.Event
	live     *record.File // folded event by event, through a snapshot after each
	commands int
	recorded []any // by the last command
	err      error
	told     bool // the last command's outcome was looked at
}

// New starts a story. rules go to decisions as Given.Rules and to events as Event.Rules.
func New(t testing.TB, k *record.Category, rules any) *Story {
	t.Helper()
	stream := record.StreamOf(k.Name, uuid.NewSHA1(uuid.NameSpaceOID, []byte(t.Name())))
	s := &Story{t: t, k: k, rules: rules, stream: stream, others: map[string]any{}, live: record.NewFile(k, stream), told: true}
	t.Cleanup(s.ended)
	return s
}

func (s *Story) ended() {
	if !s.told && !s.t.Failed() {
		s.t.Error("the story ends with a When that nothing looked at")
	}
}

// Time reads a moment of a story: a day, at nine in the morning, or a day and a time.
func Time(t testing.TB, moment string) time.Time {
	t.Helper()
	for _, form := range []string{record.Day + " 15:04", record.Day} {
		if at, err := time.ParseInLocation(form, moment, record.Zone); err == nil {
			if form == record.Day {
				at = at.Add(9 * time.Hour)
			}
			return at
		}
	}
	t.Fatalf("%q is not a moment", moment)
	return time.Time{}
}

// Knowing sets the state of another stream.
func (s *Story) Knowing(stream string, state any) *Story {
	s.others[stream] = state
	return s
}

// Given records facts without asking the rules.
func (s *Story) Given(by record.Actor, moment string, data ...any) *Story {
	s.t.Helper()
	at := Time(s.t, moment)
	s.commands++
	for _, d := range data {
		s.record(by, at, at.Add(time.Hour), "", "", d)
	}
	return s
}

// When gives a command, and records what comes of it.
func (s *Story) When(by record.Actor, moment, command string, input any) *Story {
	s.t.Helper()
	return s.WhenLate("", by, moment, command, input)
}

// WhenLate gives a command entered late, for a reason.
func (s *Story) WhenLate(late record.Late, by record.Actor, moment, command string, input any) *Story {
	s.t.Helper()
	if !s.told {
		s.t.Fatalf("before %s: nothing looked at the outcome of the last command", command)
	}
	s.commands++
	at := Time(s.t, moment)
	s.recorded, s.err, s.told = nil, nil, false
	row := s.row(command, input)
	if !slices.ContainsFunc(row.Grants, func(g record.Grant) bool { return slices.Contains(g.Roles, by.Role) }) {
		s.err = record.Errorf(record.Forbidden, "%s is not granted to %s", command, by.Role)
		return s
	}
	g := s.given(by, at, late)
	needs := row.Needs(input, g)
	g.Other = func(stream string) any {
		if !slices.Contains(needs, stream) {
			s.t.Errorf("%s looks at %s, which its row does not name", command, stream)
		}
		return s.others[stream]
	}
	s.recorded, s.err = row.Decide(s.File(record.At{}).State, input, g)
	for _, d := range s.recorded {
		s.record(by, at, g.Now, late, row.Source, d)
	}
	return s
}

func (s *Story) row(command string, input any) record.CommandRow {
	s.t.Helper()
	for _, r := range s.k.Commands {
		if r.Name == command {
			if got := reflect.TypeOf(input); got != r.Input {
				s.t.Fatalf("%s takes %v, not %v", command, r.Input, got)
			}
			return r
		}
	}
	s.t.Fatalf("there is no command %s", command)
	return record.CommandRow{}
}

func (s *Story) given(by record.Actor, at time.Time, late record.Late) record.Given {
	_, id, _ := record.SplitStream(s.stream)
	return record.Given{
		Now: at.Add(time.Hour), Occurred: at, Late: late, Actor: by, Stream: s.stream, ID: id, Exists: len(s.events) > 0,
		Command: s.Command(s.commands), Rules: s.rules, Serves: func(unit uuid.UUID) bool { return unit != Elsewhere },
		Event: func(id uuid.UUID) (record.Event, bool) {
			i := slices.IndexFunc(s.events, func(e record.Event) bool { return e.ID == id })
			if i < 0 {
				return record.Event{}, false
			}
			return s.events[i], true
		},
		Voided:   func(id uuid.UUID) bool { return record.Amendments(s.events, record.At{})[id].VoidedBy != nil },
		Amended:  func(id uuid.UUID) record.Amendment { return record.Amendments(s.events, record.At{})[id] },
		Category: s.k, Proposals: s.File(record.At{}).Proposals(),
	}
}

// Command is the id of the story's n-th Given or When, from 1: what they create is named after it.
func (s *Story) Command(n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(n >> 8), byte(n)})
}

// LastCommand is the id of the newest Given or When.
func (s *Story) LastCommand() uuid.UUID { return s.Command(s.commands) }

// record stores data the way the journal would, and folds it into the live state.
func (s *Story) record(by record.Actor, at, now time.Time, late record.Late, basis string, data any) {
	s.t.Helper()
	row, ok := s.k.EventFor(data)
	if !ok {
		s.t.Fatalf("%T is of no event of %s", data, s.k.Name)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		s.t.Fatalf("%s: %v", row.Name, err)
	}
	stored, err := row.Decode(row.Form(), raw, true)
	if err != nil {
		s.t.Fatalf("stored form: %v", err)
	}
	if again, _ := json.Marshal(stored); string(again) != string(raw) || unstored(stored) != unstored(data) {
		s.t.Fatalf("%s does not survive its stored form:\n before %s %s\n after  %s %s", row.Name, raw, unstored(data), again, unstored(stored))
	}
	n := uint64(len(s.events))
	e := record.Event{
		ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte{byte(n >> 8), byte(n)}), Stream: s.stream, Revision: n, Position: n, Type: row.Name, Data: stored, Rules: s.rules,
		Meta: record.Meta{Form: row.Form(), Actor: by.Officer, Post: by.Post, Role: by.Role, Unit: by.Unit, OccurredAt: at, RecordedAt: now, Late: late, Basis: basis, Command: s.Command(s.commands)},
	}
	s.events = append(s.events, e)
	s.follow(e)
}

// unstored prints the fields that JSON leaves out: they must be empty, before as after.
func unstored(data any) string {
	v := reflect.ValueOf(data)
	if v.Kind() != reflect.Struct {
		return ""
	}
	out := ""
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
			out += fmt.Sprintf("%s=%+v ", f.Name, v.Field(i))
		}
	}
	return out
}

// follow takes an event into the live state, as a projection does, and compares with a fold from the start.
func (s *Story) follow(e record.Event) {
	s.t.Helper()
	err := s.live.Apply(e)
	if errors.Is(err, record.ErrRefold) {
		s.live = s.File(record.At{})
	} else if err != nil {
		s.t.Fatalf("folding %s: %v", e.Type, err)
	}
	snapshot := encode(s.t, s.live.State)
	s.live.State = s.k.New()
	if err := json.Unmarshal(snapshot, s.live.State); err != nil {
		s.t.Fatalf("restoring the snapshot after %s: %v", e.Type, err)
	}
	if whole := encode(s.t, s.File(record.At{}).State); string(whole) != string(encode(s.t, s.live.State)) {
		s.t.Fatalf("after %s the state followed through snapshots differs from the state folded whole:\n followed %s\n whole    %s", e.Type, snapshot, whole)
	}
}

func encode(t testing.TB, state any) []byte {
	t.Helper()
	raw, err := json.Marshal(state)
	if err != nil {
		t.Fatalf("the state does not marshal: %v", err)
	}
	return raw
}

// Then wants exactly these events from the last command, and nothing when there are none.
func (s *Story) Then(data ...any) *Story {
	s.t.Helper()
	s.accepted()
	want, got := encode(s.t, data), encode(s.t, s.recorded)
	if len(data)+len(s.recorded) > 0 && string(want) != string(got) {
		s.t.Fatalf("recorded %s\nwant     %s", got, want)
	}
	for i, d := range data {
		if reflect.TypeOf(d) != reflect.TypeOf(s.recorded[i]) {
			s.t.Fatalf("recorded %T, want %T", s.recorded[i], d)
		}
	}
	return s
}

// ThenRecorded wants events of these types from the last command.
func (s *Story) ThenRecorded(names ...string) *Story {
	s.t.Helper()
	s.accepted()
	var got []string
	for _, d := range s.recorded {
		row, _ := s.k.EventFor(d)
		got = append(got, row.Name)
	}
	if !slices.Equal(names, got) {
		s.t.Fatalf("recorded %v, want %v", got, names)
	}
	return s
}

func (s *Story) accepted() {
	s.t.Helper()
	s.told = true
	if s.err != nil {
		s.t.Fatalf("refused: %v", s.err)
	}
}

// ThenRefused wants the last command refused by a rule, whatever field it names.
func (s *Story) ThenRefused(by *record.Problem) *Story {
	s.t.Helper()
	s.told = true
	if !errors.Is(s.err, by) {
		s.t.Fatalf("got %v, want the refusal: %v", s.err, by)
	}
	var p *record.Problem
	if errors.As(s.err, &p) && (p.Zh == "" || p.Remedy == "") {
		s.t.Errorf("the refusal %q has no Chinese text or no remedy", p.Message)
	}
	return s
}

// ThenInvalid wants the last command refused for a field.
func (s *Story) ThenInvalid(field string) *Story {
	s.t.Helper()
	s.told = true
	var p *record.Problem
	if !errors.As(s.err, &p) || p.Kind != record.Invalid || p.Field != field {
		s.t.Fatalf("got %v, want %s to be invalid", s.err, field)
	}
	return s
}

// ThenForbidden wants the last command refused because no grant gives it to the actor's role.
func (s *Story) ThenForbidden() *Story {
	s.t.Helper()
	s.told = true
	if record.KindOf(s.err) != record.Forbidden {
		s.t.Fatalf("got %v, want it forbidden to the role", s.err)
	}
	return s
}

// File folds the story.
func (s *Story) File(at record.At) *record.File {
	s.t.Helper()
	f := record.NewFile(s.k, s.stream)
	if err := f.Fold(s.events, at); err != nil {
		s.t.Fatalf("folding: %v", err)
	}
	return f
}

// Events are the events so far.
func (s *Story) Events() []record.Event { return slices.Clone(s.events) }

// Last is the newest event of a type.
func (s *Story) Last(name string) record.Event {
	s.t.Helper()
	for _, e := range slices.Backward(s.events) {
		if e.Type == name {
			return e
		}
	}
	s.t.Fatalf("no %s was recorded", name)
	return record.Event{}
}

// Elsewhere is a unit whose posts do not reach the village of a story's file; every other unit's do.
var Elsewhere = uuid.MustParse("0e15e000-0000-4000-8000-000000000000")
