package views

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// This file answers: what became known of a file between two moments?

// ChangeKind says how an entry differs.
type ChangeKind string

const (
	Recorded  ChangeKind = "recorded"  // it was not there
	Voided    ChangeKind = "voided"    // it was there, and was voided since
	Corrected ChangeKind = "corrected" // it was there, and another correction holds since
)

// Change is one thing that became known.
type Change struct {
	Kind ChangeKind
	Line Line // the entry as it stands at the later moment
}

// Difference compares what a timeline showed at one moment with what it shows at a later one. The changes are in the order
// in which the entries were recorded; an amendment shows as what it did.
func Difference(earlier, later []Line) (changes []Change) {
	was := make(map[uuid.UUID]Line, len(earlier))
	for _, l := range earlier {
		was[l.Event.ID] = l
	}
	for _, l := range later {
		before, had := was[l.Event.ID]
		switch {
		case record.Amends(l.Event.Type):
		case !had:
			changes = append(changes, Change{Recorded, l})
		case l.VoidedBy != nil && before.VoidedBy == nil:
			changes = append(changes, Change{Voided, l})
		case l.CorrectedBy != nil && (before.CorrectedBy == nil || before.CorrectedBy.ID != l.CorrectedBy.ID):
			changes = append(changes, Change{Corrected, l})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Line.Event.Position, b.Line.Event.Position) })
	return changes
}

// Text is the change as a sentence.
func (c Change) Text() record.Text {
	l := c.Line
	t, m := l.Text(), l.Event.Meta
	if c.Kind == Recorded {
		happened, known := m.OccurredAt.In(record.Zone).Format(record.Day), m.RecordedAt.In(record.Zone).Format(record.Day)
		return record.T(happened+"："+t.Zh+"（"+known+"录入）", happened+": "+t.En+" (recorded "+known+")")
	}
	out := record.T("更正："+t.Zh, "corrected: "+t.En)
	if c.Kind == Voided {
		out = record.T("作废："+t.Zh, "voided: "+t.En)
	}
	if l.VoidedBy != nil {
		if d, ok := l.VoidedBy.Data.(record.Voided); ok {
			out.Zh, out.En = out.Zh+"（理由："+d.Reason+"）", out.En+" (reason: "+d.Reason+")"
		}
		return out
	}
	d, ok := l.CorrectedBy.Data.(record.Corrected)
	if !ok {
		return out
	}
	if e, err := l.Corrected(); err == nil {
		if row, ok := l.File.Category.Event(e.Type); ok {
			now := row.Line(e)
			out.Zh, out.En = out.Zh+" → "+now.Zh, out.En+" → "+now.En
		}
	}
	out.Zh, out.En = out.Zh+"（理由："+d.Reason+"）", out.En+" (reason: "+d.Reason+")"
	return out
}
