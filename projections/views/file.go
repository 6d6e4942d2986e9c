package views

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
)

// File is everything recorded of a person, as of a day and as known at a day. What it points to is shared by all who read
// the file: change nothing.
type File struct {
	Person   *person.Person // as it stood; not Registered when nothing was known yet, or when it is erased
	Main     *record.File   // of the person's own stream
	Cases    []*record.File // that existed then, in the order they were opened
	Position uint64         // log position up to which nothing of the person is missing; what came later may be in it too

	at      record.At
	streams []folded // of the person, and of every case
}

// Line is one entry of a timeline.
type Line struct {
	Event       *record.Event // as it was recorded first
	VoidedBy    *record.Event // the event that voids this one, when it was known
	CorrectedBy *record.Event // the correction that holds, when it was known
	File        *record.File  // of the person or case
}

// Corrected is the entry as it counts, when a correction holds.
func (l Line) Corrected() (record.Event, error) {
	return record.Amendment{Corrections: []record.Event{*l.CorrectedBy}}.Effective(l.File.Category, *l.Event)
}

// Text is the sentence of an entry. It is made for the lines that are shown: a timeline has hundreds.
func (l Line) Text() record.Text {
	row, ok := l.File.Category.Event(l.Event.Type)
	if !ok {
		return record.Text{}
	}
	return row.Line(*l.Event)
}

// Lag is from when it happened to when it was recorded.
func (l Line) Lag() time.Duration { return l.Event.Meta.Lag() }

// EndOfDay is the last moment of a day in record.Zone: what asOf and knownAt mean when they are given as a day.
func EndOfDay(t time.Time) time.Time { return record.DayOf(t).AddDate(0, 0, 1).Add(-time.Nanosecond) }

// File folds a person's file from the streams themselves: it is never behind the journal. Only which cases the person has
// is taken from the views. It answers NotFound when there is no such person; what a caller may not see of it is left out by
// whoever shows it.
func (v *Views) File(ctx context.Context, id uuid.UUID, at record.At) (*File, error) {
	// The streams are read after the views: so all that the views have seen is in them.
	cases, position, err := v.casesOf(ctx, id)
	if err != nil {
		return nil, err
	}
	main, err := v.stream(ctx, person.Stream(id))
	if err != nil {
		return nil, err
	}
	if !main.now.Exists {
		return nil, &record.Problem{Kind: record.NotFound, Message: "there is no such file", Zh: "没有这份档案", Remedy: "search for the person"}
	}
	f := &File{Position: position, streams: []folded{{main, nil}}}
	for _, k := range cases {
		one, err := v.stream(ctx, record.StreamOf(k.Program, k.ID))
		if err != nil {
			return nil, err
		}
		f.streams = append(f.streams, folded{one, nil})
	}
	return f.At(at)
}

// At is the same file, read at the same moment, as of another day and as known at another.
func (f *File) At(at record.At) (*File, error) {
	out := &File{Position: f.Position, at: at}
	for i, s := range f.streams {
		file, err := s.fold(at)
		if err != nil {
			return nil, err
		}
		out.streams = append(out.streams, folded{s.stream, file})
		if i > 0 && file.Exists && file.Category.Case {
			out.Cases = append(out.Cases, file)
		}
	}
	out.Main = out.streams[0].file
	out.Person = out.Main.State.(*person.Person)
	return out, nil
}

// With is this file with what other files of the same person hold, which were merged into it: their cases and their
// entries. Nothing is copied; who the person is stays this file's word.
func (f *File) With(others ...*File) (*File, error) {
	joined := &File{Position: f.Position, at: f.at, streams: slices.Clone(f.streams)}
	for _, o := range others {
		joined.Position = min(joined.Position, o.Position)
		joined.streams = append(joined.streams, o.streams...)
	}
	return joined.At(f.at)
}

// CaseFile folds one case, as File does.
func (v *Views) CaseFile(ctx context.Context, program string, id uuid.UUID, at record.At) (*record.File, error) {
	one, err := v.stream(ctx, record.StreamOf(program, id))
	if err != nil {
		return nil, err
	}
	if !one.now.Exists {
		return nil, &record.Problem{Kind: record.NotFound, Message: "there is no such case", Zh: "没有这个案件", Remedy: "take the id from a list or from the person's file"}
	}
	return one.fold(at)
}

// stream is what was read of one stream, opened and folded. It never changes, but for what it remembers.
type stream struct {
	events []record.Event
	now    *record.File // folded from all of them
	// past is the day asked for last: who looks at a file as of a day goes on to its timeline, page by page.
	past atomic.Pointer[past]
}

type past struct {
	at   record.At
	file *record.File
}

// folded is a stream with its file as of the day asked for.
type folded struct {
	*stream
	file *record.File
}

func (v *Views) stream(ctx context.Context, name string) (*stream, error) {
	k, ok := v.o.Catalog.Of(name)
	if !ok {
		return nil, record.Errorf(record.NotFound, "no such category: %s", name)
	}
	return v.histories.read(ctx, k, name)
}

func (s *stream) fold(at record.At) (*record.File, error) {
	if at == (record.At{}) {
		return s.now, nil
	}
	if p := s.past.Load(); p != nil && p.at == at {
		return p.file, nil
	}
	file, err := fold(s.now.Category, s.now.Stream, s.events, at)
	if err == nil {
		s.past.Store(&past{at, file})
	}
	return file, err
}

func fold(k *record.Category, name string, events []record.Event, at record.At) (*record.File, error) {
	f := record.NewFile(k, name)
	if p, ok := f.State.(casework.Program); ok {
		p.Core().Duties.Quiet()
	}
	return f, f.Fold(events, at)
}

// lines adds the entries of a stream: what had happened and was known.
func (s folded) lines(to []Line, at record.At) []Line {
	amended := record.Amendments(s.events, at)
	to = slices.Grow(to, len(s.events))
	for i := range s.events {
		e := &s.events[i]
		line := Line{Event: e, File: s.file}
		happened := e.Meta.OccurredAt
		if a, ok := amended[e.ID]; ok {
			line.VoidedBy, line.CorrectedBy = a.VoidedBy, a.CorrectedBy()
			if line.CorrectedBy != nil {
				if t := line.CorrectedBy.Data.(record.Corrected).OccurredAt; !t.IsZero() {
					happened = t
				}
			}
		}
		if !at.KnownAt.IsZero() && e.Meta.RecordedAt.After(at.KnownAt) || !at.AsOf.IsZero() && happened.After(at.AsOf) {
			continue
		}
		to = append(to, line)
	}
	return to
}

// Timeline lists the entries of the person and of the cases, the latest first: those of the files that keep accepts, or
// of all when it is nil.
func (f *File) Timeline(keep func(*record.File) bool) (lines []Line) {
	for _, s := range f.streams {
		if keep == nil || keep(s.file) {
			lines = s.lines(lines, f.at)
		}
	}
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(b.Event.Meta.OccurredAt.Compare(a.Event.Meta.OccurredAt), cmp.Compare(b.Event.Position, a.Event.Position))
	})
	return lines
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
	m := &l.Event.Meta
	return (q.Category == "" || l.File.Category.Name == q.Category) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, l.Event.Type)) &&
		(q.From.IsZero() || !m.OccurredAt.Before(q.From)) && (q.To.IsZero() || !m.OccurredAt.After(q.To)) &&
		(q.Officer == uuid.Nil || m.Actor == q.Officer) &&
		(q.Voided == nil || *q.Voided == (l.VoidedBy != nil))
}
