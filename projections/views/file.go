package views

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
)

// File is everything recorded of a person, as of a day and as known at a day.
type File struct {
	Person   *person.Person // as it stood; not Registered when nothing was known yet, or when it is erased
	Main     *record.File   // of the person's own stream
	Cases    []*record.File // that existed then, in the order they were opened
	Timeline []Line         // the latest first
	Position uint64         // of the newest event in it
}

// Line is one entry of a timeline.
type Line struct {
	Event    record.Event
	Category string
	Text     record.Text
	VoidedBy *record.Event // the event that voids this one, when it was known
	Lag      time.Duration // from when it happened to when it was recorded
}

// EndOfDay is the last moment of a day in record.Zone: what asOf and knownAt mean when they are given as a day.
func EndOfDay(t time.Time) time.Time { return record.DayOf(t).AddDate(0, 0, 1).Add(-time.Nanosecond) }

// File folds a person's file from the streams themselves: it is never behind the journal. Only which cases the person has
// is taken from the views. It answers NotFound when there is no such person; what a caller may not see of it, Only removes.
func (v *Views) File(ctx context.Context, id uuid.UUID, at record.At) (*File, error) {
	main, err := v.fold(ctx, person.Stream(id), at)
	if err != nil {
		return nil, err
	}
	if len(main.events) == 0 {
		return nil, &record.Problem{Kind: record.NotFound, Message: "there is no such file", Zh: "没有这份档案", Remedy: "search for the person"}
	}
	f := &File{Main: main.file, Person: main.file.State.(*person.Person)}
	entries := main.entries(nil, at)
	cases, err := v.CasesOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, k := range cases {
		one, err := v.fold(ctx, record.StreamOf(k.Program, k.ID), at)
		if err != nil {
			return nil, err
		}
		if entries = one.entries(entries, at); one.file.Exists {
			f.Cases = append(f.Cases, one.file)
		}
	}
	for _, e := range entries {
		f.Position = max(f.Position, e.event.Position)
	}
	f.Timeline = timeline(entries)
	return f, nil
}

// CaseFile folds one case, as File does.
func (v *Views) CaseFile(ctx context.Context, program string, id uuid.UUID, at record.At) (*record.File, []Line, error) {
	one, err := v.fold(ctx, record.StreamOf(program, id), at)
	if err != nil {
		return nil, nil, err
	}
	if len(one.events) == 0 {
		return nil, nil, &record.Problem{Kind: record.NotFound, Message: "there is no such case", Zh: "没有这个案件"}
	}
	return one.file, timeline(one.entries(nil, at)), nil
}

// folded is a stream folded, with the events it was folded from.
type folded struct {
	file   *record.File
	events []record.Event
}

func (v *Views) fold(ctx context.Context, stream string, at record.At) (folded, error) {
	k, ok := v.o.Catalog.Of(stream)
	if !ok {
		return folded{}, record.Errorf(record.NotFound, "no such category: %s", stream)
	}
	events, err := v.histories.read(ctx, stream)
	if err != nil {
		return folded{}, err
	}
	f := record.NewFile(k, stream)
	if err := f.Fold(events, at); err != nil {
		return folded{}, err
	}
	if p, ok := f.State.(casework.Program); ok {
		p.Core().Duties.TakeChanges()
	}
	return folded{f, events}, nil
}

// entry is a line that is not written yet: light, because a timeline is sorted by these.
type entry struct {
	event, voidedBy *record.Event
	category        *record.Category
}

// entries adds the entries of a stream: what had happened and was known.
func (s folded) entries(to []entry, at record.At) []entry {
	voided := record.VoidedIn(s.events, at)
	for i := range s.events {
		e := &s.events[i]
		if !at.KnownAt.IsZero() && e.Meta.RecordedAt.After(at.KnownAt) || !at.AsOf.IsZero() && e.Meta.OccurredAt.After(at.AsOf) {
			continue
		}
		line := entry{event: e, category: s.file.Category}
		if by, ok := voided[e.ID]; ok {
			line.voidedBy = &by
		}
		to = append(to, line)
	}
	return to
}

// timeline writes the lines, the latest first.
func timeline(entries []entry) []Line {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(b.event.Meta.OccurredAt.Compare(a.event.Meta.OccurredAt), cmp.Compare(b.event.Position, a.event.Position))
	})
	lines := make([]Line, len(entries))
	for i, e := range entries {
		lines[i] = Line{Event: *e.event, Category: e.category.Name, VoidedBy: e.voidedBy, Lag: e.event.Meta.Lag()}
		if row, ok := e.category.Event(e.event.Type); ok {
			lines[i].Text = row.Line(*e.event)
		}
	}
	return lines
}

// Only gives the file without the cases that keep refuses, and without their lines.
func (f *File) Only(keep func(*record.File) bool) *File {
	out := &File{Person: f.Person, Main: f.Main, Position: f.Position}
	kept := map[string]bool{f.Main.Stream: true}
	for _, k := range f.Cases {
		if keep(k) {
			out.Cases = append(out.Cases, k)
			kept[k.Stream] = true
		}
	}
	for _, l := range f.Timeline {
		if kept[l.Event.Stream] {
			out.Timeline = append(out.Timeline, l)
		}
	}
	return out
}

// LineQuery chooses lines of a timeline. Zero fields choose all.
type LineQuery struct {
	Category string
	Types    []string // event types
	From, To time.Time
	Officer  uuid.UUID // who recorded it
	Voided   *bool
	Limit    int // 100 by default, 500 at most
	Cursor   string
}

// Lines gives one page of a timeline, and the cursor of the next; empty on the last.
func Lines(timeline []Line, q LineQuery) (page []Line, next string, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 500)
	from := 0
	if q.Cursor != "" {
		i := slices.IndexFunc(timeline, func(l Line) bool { return l.Event.ID.String() == q.Cursor })
		if i < 0 {
			return nil, "", errCursor
		}
		from = i + 1
	}
	for _, l := range timeline[from:] {
		if !q.fits(l) {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].Event.ID.String(), nil
		}
		page = append(page, l)
	}
	return page, "", nil
}

func (q LineQuery) fits(l Line) bool {
	m := l.Event.Meta
	return (q.Category == "" || l.Category == q.Category) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, l.Event.Type)) &&
		(q.From.IsZero() || !m.OccurredAt.Before(q.From)) && (q.To.IsZero() || !m.OccurredAt.After(q.To)) &&
		(q.Officer == uuid.Nil || m.Actor == q.Officer) &&
		(q.Voided == nil || *q.Voided == (l.VoidedBy != nil))
}
