package api

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/projections/views"
)

// Timeline is a page of entries, newest first.
type Timeline struct {
	Lines []Line `json:"lines" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

// TimelinePage is a timeline with the position it shows.
type TimelinePage struct {
	Position uint64 `json:"position"`
	Timeline
}

// Line is one entry of a timeline.
type Line struct {
	ID         uuid.UUID   `json:"id" doc:"of the event"`
	Category   string      `json:"category"`
	File       uuid.UUID   `json:"file" doc:"of the person or case"`
	Type       string      `json:"type"`
	Text       record.Text `json:"text" doc:"one sentence, without who"`
	OccurredAt time.Time   `json:"occurredAt" doc:"what the officer says"`
	RecordedAt time.Time   `json:"recordedAt" doc:"the server's clock"`
	LagSeconds int64       `json:"lagSeconds" doc:"how long after the fact it was recorded"`
	Late       record.Late `json:"late,omitempty" doc:"why it was entered late"`
	Actor      uuid.UUID   `json:"actor"`
	Role       record.Role `json:"role,omitempty"`
	Post       uuid.UUID   `json:"post,omitzero"`
	Unit       uuid.UUID   `json:"unit,omitzero"`
	Basis      string      `json:"basis,omitempty" doc:"plan clause or article of law"`
	Policy     string      `json:"policy,omitempty" doc:"version of the policy in force then"`
	Revision   uint64      `json:"revision"`
	Position   uint64      `json:"position"`
	Command    uuid.UUID   `json:"command"`
	Erased     bool        `json:"erased,omitempty" doc:"the content was destroyed"`
	Data       any         `json:"data,omitempty" doc:"what was recorded"`
	VoidedBy   *Void       `json:"voidedBy,omitempty" doc:"the entry was wrong; it stays for ever"`
	// CorrectedBy is the correction that holds; the entry's own text, time and data stay as they were recorded first.
	CorrectedBy *Correction `json:"correctedBy,omitempty" doc:"what the entry should have said, and counts as"`
}

// Correction is the event that corrects an entry, with the entry as it counts.
type Correction struct {
	Void
	Fields     []string    `json:"fields" doc:"what was wrong"`
	Text       record.Text `json:"text" doc:"the entry as it counts"`
	OccurredAt time.Time   `json:"occurredAt"`
	Data       any         `json:"data,omitempty"`
}

// Void is the event that voids an entry.
type Void struct {
	ID         uuid.UUID `json:"id"`
	Actor      uuid.UUID `json:"actor"`
	RecordedAt time.Time `json:"recordedAt"`
	Reason     string    `json:"reason,omitempty"`
}

type timelineQuery struct {
	Moments
	ID     uuid.UUID `path:"id" doc:"of the person"`
	Case   uuid.UUID `query:"case" doc:"only entries of this case"`
	Type   string    `query:"type" maxLength:"60" doc:"only events of this type, such as casework.visit_recorded"`
	Actor  uuid.UUID `query:"actor" doc:"only entries of this officer"`
	From   string    `query:"from" maxLength:"40" doc:"only what occurred on or after this day or time"`
	To     string    `query:"to" maxLength:"40" doc:"only what occurred on or before this day or time"`
	Voided string    `query:"voided" enum:"with,without,only" default:"with" doc:"entries that were voided"`
	Limit  int       `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor string    `query:"cursor" maxLength:"40" doc:"next of the page before"`
}

func (s *Server) timeline(ctx context.Context, in *timelineQuery) (*shown[TimelinePage], error) {
	at, err := in.moments()
	if err != nil {
		return nil, err
	}
	q := views.LineQuery{Officer: in.Actor, Limit: in.Limit, Cursor: in.Cursor}
	if in.Type != "" {
		q.Types = []string{in.Type}
	}
	if in.Voided != "with" {
		only := in.Voided == "only"
		q.Voided = &only
	}
	if q.From, err = moment("from", in.From); err != nil {
		return nil, err
	}
	if len(in.From) == len(record.Day) { // a day begins when it begins
		q.From = record.DayOf(q.From)
	}
	if q.To, err = moment("to", in.To); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	f, err := s.open(ctx, access.Timeline, in.ID, in.Case, at)
	if err != nil {
		return nil, err
	}
	page, err := f.page(in.Case, q)
	if err != nil {
		return nil, err
	}
	return show(f.Position, TimelinePage{Position: f.Position, Timeline: page}), nil
}

// page makes a page of the entries that the caller may see, of one case or of all.
func (f *opened) page(only uuid.UUID, q views.LineQuery) (out Timeline, err error) {
	lines, next, err := views.Lines(f.seen(only), q)
	if err != nil {
		return out, err
	}
	out = Timeline{Lines: make([]Line, len(lines)), Next: next}
	for i, l := range lines {
		out.Lines[i] = newLine(l)
	}
	return out, nil
}

// seen lists the entries that the caller may see, the latest first, of one case or of all.
func (f *opened) seen(only uuid.UUID) []views.Line {
	all := f.Timeline(func(file *record.File) bool {
		_, ok := f.sightOf(file)
		return ok && (only == uuid.Nil || file.ID == only)
	})
	return slices.DeleteFunc(all, func(l views.Line) bool {
		sight, _ := f.sightOf(l.File)
		return !sight.line(&l, f.actor.Officer)
	})
}

// sightOf is how much of the entries of a file the caller sees; ok is false for a case that he may not read or that is
// sealed.
func (f *opened) sightOf(file *record.File) (sight, bool) {
	if file.Category.Name == person.Category.Name {
		return f.sight, true
	}
	v, ok := f.sights[file.ID]
	return v, ok && !f.hidden[file.ID]
}

func newLine(l views.Line) Line {
	e := l.Event
	out := Line{
		ID: e.ID, Category: l.File.Category.Name, File: l.File.ID, Type: e.Type, Text: l.Text(), OccurredAt: e.Meta.OccurredAt, RecordedAt: e.Meta.RecordedAt,
		LagSeconds: int64(l.Lag().Seconds()), Late: e.Meta.Late, Actor: e.Meta.Actor, Role: e.Meta.Role, Post: e.Meta.Post, Unit: e.Meta.Unit,
		Basis: e.Meta.Basis, Policy: e.Meta.Policy, Revision: e.Revision, Position: e.Position, Command: e.Meta.Command, Erased: e.Erased, Data: e.Data,
	}
	if v := l.VoidedBy; v != nil {
		out.VoidedBy = &Void{ID: v.ID, Actor: v.Meta.Actor, RecordedAt: v.Meta.RecordedAt}
		if d, ok := v.Data.(record.Voided); ok {
			out.VoidedBy.Reason = d.Reason
		}
	}
	if l.CorrectedBy != nil {
		out.CorrectedBy = newCorrection(l)
	}
	return out
}

func newCorrection(l views.Line) *Correction {
	c, d := l.CorrectedBy, l.CorrectedBy.Data.(record.Corrected)
	out := &Correction{Void: Void{ID: c.ID, Actor: c.Meta.Actor, RecordedAt: c.Meta.RecordedAt, Reason: d.Reason}, Fields: d.Fields}
	e, err := l.Corrected()
	if err != nil {
		panic(err) // the file was folded with it
	}
	if row, ok := l.File.Category.Event(e.Type); ok {
		out.Text = row.Line(e)
	}
	out.OccurredAt, out.Data = e.Meta.OccurredAt, e.Data
	return out
}
