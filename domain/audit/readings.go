package audit

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/units"
)

// This file proves again that whoever read a file was entitled to: that he was in the post, named a purpose of his or an
// emergency reading that he had opened, and that the post reached the file, or he was responsible in it as the record says.
// The first is worked out from the session's stream and the officers, the second, like an approver's part in other cases,
// from all the person's files at the end.

// readingDenied says why a reading was not allowed at a moment, as far as the session's stream and the officer tell.
func (w *walk) readingDenied(e record.Event, moment time.Time) *record.Text {
	o, why := w.inPost(e.Meta, e.Meta.Person, moment)
	d, ok := e.Data.(access.Read)
	if why != nil || !ok { // of an erased session nothing else is known
		return why
	}
	no := func(zh, en string) *record.Text { t := record.T(zh, en); return &t }
	_, session, _ := record.SplitStream(w.stream.name)
	var refused *record.Problem
	switch {
	case errors.As(d.Check(e.Meta.Role), &refused):
		return no("不得如此查阅："+refused.Zh, "it may not be read so: "+refused.Message)
	case d.Session != session:
		return no("不是本会话的查阅", "it is of another session than the one in whose stream it lies")
	case e.Meta.Person != uuid.Nil && !d.Own && d.Purpose == "":
		return no("查阅本人负责范围以外的档案而未说明目的", "a file outside the reader's own caseload was read without a purpose")
	case d.Glass && !o.BrokeGlass(e.Meta.Person, moment):
		return no("当时没有有效的紧急查阅", "no emergency reading of the file was in force")
	}
	return nil
}

// look is a reading that is to be judged.
type look struct {
	Officer  uuid.UUID   `json:"officer"`
	Unit     uuid.UUID   `json:"unit,omitzero"`
	Role     record.Role `json:"role"`
	Own      bool        `json:"own,omitempty"`
	Glass    bool        `json:"glass,omitempty"` // an emergency reading was in force
	With     []uuid.UUID `json:"with,omitempty"`  // files that were shown as one with it
	Stream   string      `json:"stream"`
	Revision uint64      `json:"revision"`
}

// looks keeps the reading of a file for the judgement.
func (w *walk) looks(s journal.Stored, e record.Event) error {
	d, ok := e.Data.(access.Read)
	if !ok || e.Meta.Person == uuid.Nil || !w.wants(Authority) {
		return nil
	}
	m := e.Meta
	glass := slices.ContainsFunc(w.around(m.RecordedAt), func(moment time.Time) bool {
		o, _ := w.who.officers[m.Actor].at(moment)
		return o.BrokeGlass(m.Person, moment)
	})
	return w.involved.put(m.Person, lookKind, s.Position, m.RecordedAt, s.ID, look{
		Officer: m.Actor, Unit: m.Unit, Role: m.Role, Own: d.Own, Glass: glass, With: d.People, Stream: s.Stream, Revision: s.Revision,
	})
}

// fileReaders are the grants by which files of people are read.
func (a *audit) fileReaders() (grants []record.Grant) {
	for _, k := range a.Catalog.Categories {
		if k.Case || k.Name == person.Category.Name {
			grants = append(grants, k.Readers...)
		}
	}
	return grants
}

// reaches tells whether the reader's post reached a file or a case, as it was, at one of the moments.
func (l *look) reaches(a *audit, p casePart, moments []time.Time) bool {
	return l.Glass || slices.ContainsFunc(a.readers, func(g record.Grant) bool {
		switch {
		case !slices.Contains(g.Roles, l.Role):
			return false
		case g.Scope == record.Anywhere:
			return true
		case g.Scope == record.Caseload:
			return slices.Contains(p.Officers, l.Officer)
		}
		return g.Scope == record.InUnit && slices.ContainsFunc(moments, func(moment time.Time) bool {
			return units.Covers(l.Unit, p.Village, a.who.unitAt(moment))
		})
	})
}

// judgeLook looks at a reading in the light of all the person's files, as they were before it in the journal. What the
// reader saw them by are projections, which may be behind: what had held once and did no more is a note.
func (v *involvement) judgeLook(a *audit, e journal.Stored, l look, who uuid.UUID, files map[uuid.UUID]*held) {
	if slices.ContainsFunc(append(l.With, who), func(p uuid.UUID) bool { return v.illegible[p] }) {
		return // nobody can say any more where the person lived and who was responsible
	}
	moments := a.around(e.Created)
	one := func(f *held) bool { // with the file that was read, or shown as one with it
		return slices.ContainsFunc(append(l.With, who), func(p uuid.UUID) bool {
			return slices.ContainsFunc(moments, func(by time.Time) bool { return v.root(f.person, e.Position, by) == v.root(p, e.Position, by) })
		})
	}
	questions := []struct {
		doubt record.Text
		holds func(casePart) bool
	}{{record.T("该岗位的范围不及此档案", "the post did not reach the file"), func(p casePart) bool { return l.reaches(a, p, moments) }}}
	if l.Own {
		questions = append(questions, questions[0])
		questions[1].doubt = record.T("记为本人负责，但该人员并不由其负责", "it is recorded as the reader's own caseload, and he was not responsible in any case of the person")
		questions[1].holds = func(p casePart) bool { return slices.Contains(p.Officers, l.Officer) }
	}
	for _, q := range questions {
		held, once := false, false
		for _, f := range files {
			if !one(f) {
				continue
			}
			once = once || f.ever(e.Position, q.holds)
			held = held || slices.ContainsFunc(moments, func(by time.Time) bool { return q.holds(f.at(e.Position, by)) })
		}
		s := journal.Stored{Stream: l.Stream, Revision: l.Revision, Position: e.Position, ID: e.ID, Type: access.ReadType}
		switch {
		case held:
		case once:
			a.find(at(s, Note, Authority, record.T("仅此前如此："+q.doubt.Zh, "it was otherwise before then: "+q.doubt.En),
				record.T("若当时视图尚未跟上，属正常", "this is so when the views were behind at that moment")))
		default:
			a.find(at(s, Failure, Authority, q.doubt, ask))
		}
	}
}

// illegible keeps whose file, or case, cannot be read as a whole, so that nobody is accused by what is left of it.
func (w *walk) illegible() {
	_, id, _ := record.SplitStream(w.stream.name)
	var people []uuid.UUID
	switch {
	case !w.blind && !w.gone():
		return
	case w.k.Name == person.Category.Name:
		people = []uuid.UUID{id}
	case w.k.Case:
		for _, s := range w.stream.events { // metadata are legible when the content is not
			var m record.Meta
			if json.Unmarshal(s.Meta, &m) == nil {
				people = append(people, m.Person)
			}
		}
	}
	w.involved.mu.Lock()
	defer w.involved.mu.Unlock()
	for _, p := range people {
		w.involved.illegible[p] = true
	}
}
