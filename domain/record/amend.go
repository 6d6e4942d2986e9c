package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// This file is how a mistake is put right. The wrong event stays in its stream for ever; a later event of the same stream
// says that it should not have been recorded (a void) or what it should have said (a correction), and why. A fold counts
// the stream as amended; a fold as known at an earlier day counts it as it was believed then.

// Voided says that an earlier event should not have been recorded.
type Voided struct {
	Event  uuid.UUID `json:"event" doc:"id of the event that was wrong"`
	Reason string    `json:"reason" minLength:"4" maxLength:"500" doc:"why it was wrong; shown beside the event for ever"`
}

// Facets name the event, by a uuid.
func (d Voided) Facets() Facets { return Facets{Ref: d.Event.String()} }

// Corrected says what an earlier event should have said. It names the event as it was first recorded, even when it is the
// second correction of it: the newest correction holds.
type Corrected struct {
	Event      uuid.UUID       `json:"event"`
	Form       int             `json:"form"`                // stored form of Values, by the row of the corrected event
	Values     json.RawMessage `json:"values"`              // its whole data, as it should have been
	OccurredAt time.Time       `json:"occurredAt,omitzero"` // when it happened, if that was wrong too
	Fields     []string        `json:"fields"`              // what was wrong
	Reason     string          `json:"reason"`
}

// Facets name the event, by a uuid.
func (d Corrected) Facets() Facets { return Facets{Ref: d.Event.String()} }

// Stored names of the amendments.
const (
	VoidedType    = "record.voided"
	CorrectedType = "record.corrected"
)

// Amends tells whether events of a type change how earlier ones count.
func Amends(event string) bool { return event == VoidedType || event == CorrectedType }

// ErrRefold says that an event changes how earlier ones count, so that the stream must be folded from its start.
var ErrRefold = errors.New("an earlier event was amended: fold the stream again")

// VoidedRow is the row that every category includes.
func VoidedRow() EventRow {
	return On(VoidedType, T("作废记录", "entry voided"), func(any, Voided, Event) {},
		func(v Voided) Text {
			return T("作废一条记录，理由："+v.Reason, "Voided an entry; reason: "+v.Reason)
		})
}

// CorrectedRow is the row of a category whose events can be corrected.
func CorrectedRow() EventRow {
	return On(CorrectedType, T("更正记录", "entry corrected"), func(any, Corrected, Event) {},
		func(v Corrected) Text {
			fields := strings.Join(v.Fields, ", ")
			return T("更正一条记录（"+fields+"），理由："+v.Reason, "Corrected an entry ("+fields+"); reason: "+v.Reason)
		})
}

// Amendment is what later events say about one event.
type Amendment struct {
	VoidedBy    *Event
	Corrections []Event // those that were not voided themselves, oldest first: the last one holds
}

// CorrectedBy is the correction that holds, nil when there is none.
func (a Amendment) CorrectedBy() *Event {
	if len(a.Corrections) == 0 {
		return nil
	}
	return &a.Corrections[len(a.Corrections)-1]
}

// Effective gives an event as it was corrected.
func (a Amendment) Effective(k *Category, e Event) (Event, error) {
	by := a.CorrectedBy()
	if by == nil || e.Erased {
		return e, nil
	}
	row, ok := k.Event(e.Type)
	if !ok {
		return e, fmt.Errorf("stream %s: event type %q is not in the catalog of %s", e.Stream, e.Type, k.Name)
	}
	c := by.Data.(Corrected)
	data, err := row.Decode(c.Form, c.Values, false)
	if err != nil {
		return e, fmt.Errorf("correction %s: %w", by.ID, err)
	}
	e.Data = data
	if !c.OccurredAt.IsZero() {
		e.Meta.OccurredAt = c.OccurredAt
	}
	return e, nil
}

// Amendments maps each amended event to what was said about it, as far as it was recorded by at.KnownAt. It is nil when
// nothing was amended.
func Amendments(events []Event, at At) map[uuid.UUID]Amendment {
	var all map[uuid.UUID]Amendment
	for i := range events {
		e := &events[i]
		if v, ok := e.Data.(Voided); ok && at.knows(*e) {
			if all == nil {
				all = map[uuid.UUID]Amendment{}
			}
			a := all[v.Event]
			a.VoidedBy = e
			all[v.Event] = a
		}
	}
	for i := range events {
		e := &events[i]
		c, ok := e.Data.(Corrected)
		if !ok || !at.knows(*e) || all[e.ID].VoidedBy != nil {
			continue
		}
		if all == nil {
			all = map[uuid.UUID]Amendment{}
		}
		a := all[c.Event]
		a.Corrections = append(a.Corrections, *e)
		all[c.Event] = a
	}
	return all
}

// VoidedIn maps each voided event to the event that voids it, among those recorded by at.KnownAt.
func VoidedIn(events []Event, at At) map[uuid.UUID]Event {
	voided := map[uuid.UUID]Event{}
	for id, a := range Amendments(events, at) {
		if a.VoidedBy != nil {
			voided[id] = *a.VoidedBy
		}
	}
	return voided
}

// VoidEvent is the command for a void.
type VoidEvent struct {
	Event  uuid.UUID `json:"event" doc:"id of the event that was wrong"`
	Reason string    `json:"reason" minLength:"4" maxLength:"500" doc:"why; shown beside the event for ever"`
}

// CorrectEvent is the command for a correction.
type CorrectEvent struct {
	Event      uuid.UUID      `json:"event" doc:"id of the event that was wrong, or of its latest correction"`
	Values     map[string]any `json:"values,omitempty" doc:"the fields of the event's data that were wrong, with the right values; null empties a field"`
	HappenedAt time.Time      `json:"happenedAt,omitzero" doc:"when it really happened, if that was wrong"`
	Reason     string         `json:"reason" minLength:"4" maxLength:"500" doc:"what was wrong and why; shown beside the event for ever"`
}

// Refusals of amendments.
var (
	ErrNoEntry    = &Problem{Kind: Invalid, Field: "event", Message: "there is no such entry in this file", Zh: "本档没有这条记录", Remedy: "take the id from the timeline"}
	ErrVoidFirst  = &Problem{Kind: Refused, Field: "event", Message: "the opening of a file cannot be voided", Zh: "立案记录不能作废", Remedy: "close a case as opened in error; merge a person's file into the right one"}
	ErrVoidOther  = &Problem{Kind: Forbidden, Field: "event", Message: "an entry is voided or corrected by the officer who made it, or by the township office", Zh: "只能由原记录人或镇综治（禁毒）办作废、更正", Remedy: "ask one of them"}
	ErrReserved   = &Problem{Kind: Forbidden, Field: "event", Rule: "S-1; S-2", Message: "the township office does not amend what its own post could not have recorded", Zh: "镇综治（禁毒）办不得作废、更正本岗位无权记录的事项", Remedy: "ask the officer who made the entry, or another officer of that post"}
	ErrVoidTwice  = &Problem{Kind: Refused, Field: "event", Message: "the entry is already void, or is itself a void", Zh: "该记录已作废，或本身是作废记录", Remedy: "read the timeline"}
	ErrNotAmended = &Problem{Kind: Refused, Field: "event", Rule: "two-person rule", Message: "a proposal, an answer to one, and the record of an erasure are never amended", Zh: "提请、审批和销毁记录不得更改", Remedy: "withdraw the proposal, or make a new one"}
	ErrReference  = &Problem{Kind: Refused, Rule: "nothing is overwritten", Message: "a field that other entries or files hang on cannot be corrected", Zh: "其他记录所依据的字段不能更正", Remedy: "void the entry and record it anew"}
	ErrNoSuchPart = &Problem{Kind: Invalid, Message: "the entry has no such field, or the value does not fit it", Zh: "该记录没有此字段，或值不符合要求", Remedy: "read the entry's data in the timeline"}
)

// Checked is data that a command would refuse for more than the limits in its tags say. Given.Occurred is when it happened.
type Checked interface {
	Check(state any, g Given) error
}

// Derived is data of which some fields follow from others, or from the day it happened. In a correction they are worked out
// anew, by the rules of the time of the entry, and never taken from whoever corrects: they are tagged `correct:"no"`.
type Derived interface {
	Derive(state any, g Given) any
}

// AmendCommands are the rows by which entries of a file are voided and corrected; grants say who may at all, MayAmend who
// may amend an entry.
func AmendCommands(grants ...Grant) []CommandRow {
	const source = "architecture: nothing is overwritten; PIPL 46"
	return []CommandRow{
		Do("record.void_event", T("作废记录", "Void an entry"), source, voidEvent, grants...).Timeless().Looking(),
		Do("record.correct_event", T("更正记录", "Correct an entry"), source, correctEvent, grants...).Timeless().Looking(),
	}
}

func voidEvent(_ any, in VoidEvent, g Given) ([]any, error) {
	e, err := amendable(in.Event, g)
	if err != nil {
		return nil, err
	}
	if e.Revision == 0 {
		return nil, ErrVoidFirst
	}
	return []any{Voided(in)}, nil
}

// amendable finds an entry that the actor may amend.
func amendable(id uuid.UUID, g Given) (Event, error) {
	e, ok := g.Event(id)
	switch {
	case !ok:
		return e, ErrNoEntry
	case e.Type == VoidedType || g.Voided(id):
		return e, ErrVoidTwice
	case approvals(e.Type) || e.Type == ErasedType:
		return e, ErrNotAmended
	}
	return e, g.Category.MayAmend(e, g.Actor.Officer, g.Actor.Role, g.Event)
}

// MayAmend tells whether an officer may amend an entry in a role: whoever made it may; the township office may when its own
// post could have made it; what is reserved for another post (S-1, S-2) a colleague in that post amends, and that takes two
// people. find finds the entry that a correction corrects: to amend the correction is to amend the entry.
func (k *Category) MayAmend(e Event, officer uuid.UUID, role Role, find func(uuid.UUID) (Event, bool)) error {
	if c, ok := e.Data.(Corrected); ok && e.Meta.Actor != officer {
		if t, ok := find(c.Event); ok && t.Type != CorrectedType {
			return k.MayAmend(t, officer, role, find)
		}
		return ErrNoEntry
	}
	switch {
	case e.Meta.Actor == officer:
		return nil
	case role == TownshipOffice && k.reserved(e):
		return ErrReserved
	case role == TownshipOffice || role == e.Meta.Role && k.reserved(e):
		return nil
	}
	return ErrVoidOther
}

// reserved tells that the township office could not have recorded an entry: not by the command whose source it names. When
// several have that source, each of them that the recorder's own post allows must be the office's too.
func (k *Category) reserved(e Event) bool {
	if e.Meta.Role == TownshipOffice {
		return false
	}
	grants := func(r *CommandRow, role Role) bool {
		return slices.ContainsFunc(r.Grants, func(g Grant) bool { return slices.Contains(g.Roles, role) })
	}
	found := false
	for i := range k.Commands {
		if r := &k.Commands[i]; r.Source == e.Meta.Basis && r.Approves == nil && grants(r, e.Meta.Role) {
			if !grants(r, TownshipOffice) {
				return true
			}
			found = true
		}
	}
	return !found
}

func correctEvent(state any, in CorrectEvent, g Given) ([]any, error) {
	e, err := amendable(in.Event, g)
	if err != nil {
		return nil, err
	}
	if c, ok := e.Data.(Corrected); ok { // the correction was wrong too: what counts is the entry itself
		if e, err = amendable(c.Event, g); err != nil {
			return nil, err
		}
	}
	if in.HappenedAt.After(g.Now) {
		return nil, &Problem{Kind: Invalid, Field: "happenedAt", Rule: "two clocks", Message: "is in the future", Zh: "不能晚于当前时间", Remedy: "record it when it has happened"}
	}
	row, ok := g.Category.Event(e.Type)
	if !ok {
		return nil, ErrNoEntry
	}
	present, err := g.Amended(e.ID).Effective(g.Category, e)
	if err != nil {
		return nil, err
	}
	data, err := correctedData(present.Data, in.Values)
	if err != nil {
		return nil, err
	}
	if e.Rules != nil {
		g.Rules = e.Rules // a correction does not bring later rules with it
	}
	if g.Occurred = present.Meta.OccurredAt; !in.HappenedAt.IsZero() {
		g.Occurred = in.HappenedAt
	}
	if d, ok := data.(Derived); ok {
		data = d.Derive(state, g)
	}
	if err := fits(g, state, row, data); err != nil {
		return nil, err
	}
	fields, err := differing(present.Data, data)
	if err != nil {
		return nil, err
	}
	out := Corrected{Event: e.ID, Form: row.Form(), Fields: fields, Reason: in.Reason}
	if !in.HappenedAt.IsZero() && !in.HappenedAt.Equal(present.Meta.OccurredAt) {
		out.OccurredAt, out.Fields = in.HappenedAt.UTC().Truncate(time.Millisecond), append(out.Fields, "occurredAt")
	} else if !present.Meta.OccurredAt.Equal(e.Meta.OccurredAt) {
		out.OccurredAt = present.Meta.OccurredAt // an earlier correction of the time goes on to hold
	}
	if len(out.Fields) == 0 {
		return nil, nil
	}
	out.Values, err = json.Marshal(data)
	return []any{out}, err
}

// correctedData lays the right values over data.
func correctedData(data any, values map[string]any) (any, error) {
	whole, err := fieldsOf(data)
	if err != nil {
		return nil, err
	}
	for name, v := range values {
		if whole[name] = v; v == nil {
			delete(whole, name)
		}
	}
	raw, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	fresh := reflect.New(reflect.TypeOf(data))
	if err := strictly(raw, fresh.Interface()); err != nil {
		return nil, ErrNoSuchPart.At("values").Because(err)
	}
	if at := fixedDiffers("values", reflect.ValueOf(data), fresh.Elem()); at != "" {
		return nil, ErrReference.At(at)
	}
	return fresh.Elem().Interface(), nil
}

// differing names the fields that differ between two forms of an entry.
func differing(a, b any) ([]string, error) {
	before, err := fieldsOf(a)
	if err != nil {
		return nil, err
	}
	after, err := fieldsOf(b)
	if err != nil {
		return nil, err
	}
	fields := []string{}
	for name, v := range after {
		if !reflect.DeepEqual(before[name], v) {
			fields = append(fields, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	return fields, nil
}

func fieldsOf(data any) (fields map[string]any, err error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(raw, &fields)
}

// fixedDiffers names the first field that differs and that other entries or files hang on: a uuid, or one tagged
// `correct:"no"`, such as a citizen id that is claimed.
func fixedDiffers(path string, a, b reflect.Value) string {
	if a.Type() == reflect.TypeFor[uuid.UUID]() {
		if a.Interface() != b.Interface() {
			return path
		}
		return ""
	}
	switch a.Kind() {
	case reflect.Pointer:
		if !a.IsNil() && !b.IsNil() {
			return fixedDiffers(path, a.Elem(), b.Elem())
		}
	case reflect.Slice:
		for i := range min(a.Len(), b.Len()) {
			if at := fixedDiffers(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); at != "" {
				return at
			}
		}
	case reflect.Struct:
		for i := range a.NumField() {
			f := a.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			at := strings.TrimSuffix(path+"."+name, ".")
			if f.Tag.Get("correct") == "no" && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				return at
			}
			if at := fixedDiffers(at, a.Field(i), b.Field(i)); at != "" {
				return at
			}
		}
	}
	return ""
}

// fits holds corrected data to the limits that it would have met when it was recorded: those of its own fields, its own
// check, and, when a command's input has the same fields, those of the command.
func fits(g Given, state any, row *EventRow, data any) error {
	if err := Check(data); err != nil {
		return within(err)
	}
	if d, ok := data.(Checked); ok {
		if err := d.Check(state, g); err != nil {
			return within(err)
		}
	}
	for i := range g.Category.Commands {
		c := &g.Category.Commands[i]
		if c.Input.NumField() == 0 || !row.Type.ConvertibleTo(c.Input) {
			continue
		}
		input := reflect.ValueOf(data).Convert(c.Input).Interface()
		if err := Check(input); err != nil {
			return within(err)
		}
		if c.needs != nil || c.History {
			continue // it would look at more than is given here
		}
		// The file has moved on, so a refusal by its present state says nothing; what is malformed always was.
		if _, err := c.Decide(state, input, g); KindOf(err) == Invalid {
			return within(err)
		}
	}
	return nil
}

func within(err error) error {
	var p *Problem
	if errors.As(err, &p) && p.Field != "" {
		return p.At("values." + p.Field)
	}
	return err
}
