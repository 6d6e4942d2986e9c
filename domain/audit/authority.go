package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// This file proves again that whoever recorded something was entitled to: commands/authority.go, with the past in the place
// of the present.

// authority checks the actor of an event.
func (w *walk) authority(s journal.Stored, e record.Event) {
	denied := func(moment time.Time) *record.Text { return w.readingDenied(e, moment) }
	if e.Type != access.ReadType {
		rows := w.rows(e)
		if len(rows) == 0 {
			w.find(at(s, Failure, Authority, record.T(fmt.Sprintf("该类别没有依据为 %q 且能记录此事项的命令", e.Meta.Basis),
				fmt.Sprintf("no command of %s has the basis %q and records this", w.k.Name, e.Meta.Basis)), ask))
			return
		}
		place := w.where(e)
		denied = func(moment time.Time) *record.Text { return w.denied(e, rows, place, moment) }
	}
	var doubt *record.Text
	for i, moment := range w.around(e.Meta.RecordedAt) {
		why := denied(moment)
		switch {
		case why == nil && i < beyondDoubt:
			w.count(func(sum *Summary) { sum.Authorised++ })
			return
		case why == nil:
			w.find(at(s, Note, Authority, record.T("仅在前后一分钟内有权："+doubt.Zh, "it was allowed only within "+w.Leeway.String()+" of then: "+doubt.En),
				record.T("若服务器时钟有差或同时变更了岗位，属正常", "this is so when servers' clocks differ, or a post changed at that moment")))
			return
		case doubt == nil:
			doubt = why
		}
	}
	w.find(at(s, Failure, Authority, *doubt, ask))
}

// rows are the commands that may have recorded an event.
func (w *walk) rows(e record.Event) []*record.CommandRow {
	named := func(names ...string) (rows []*record.CommandRow) {
		for _, name := range names {
			if row, ok := w.Catalog.Command(w.k.Name, name); ok && row.Source == e.Meta.Basis {
				rows = append(rows, row)
			}
		}
		return rows
	}
	if e.Type == record.ApprovedType {
		return w.matching(func(r *record.CommandRow) bool { return r.Approves != nil && r.Source == e.Meta.Basis })
	}
	if w.approval != nil && w.approval.proposal != nil && !w.approval.proposal.event.Erased {
		return named(w.approval.proposal.data.Command)
	}
	switch d := e.Data.(type) {
	case record.Proposed:
		return named(d.Command)
	case record.Rejected:
		if d.Withdrawn {
			return named("record.withdraw_proposal")
		}
		return named("record.reject_proposal")
	case record.Voided:
		return named("record.void_event")
	case record.Corrected:
		return named("record.correct_event")
	case record.FileErased:
		return named("record.erase_file")
	}
	return w.matching(func(r *record.CommandRow) bool {
		begins := !w.commandBefore() && w.k.Name != policy.Category.Name // nobody begins the policy's stream
		return r.Source == e.Meta.Basis && r.Approves == nil && r.Creates == begins
	})
}

func (w *walk) matching(fits func(*record.CommandRow) bool) (rows []*record.CommandRow) {
	for i := range w.k.Commands {
		if r := &w.k.Commands[i]; fits(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

// where is the place by which the event was judged: that of the file before the append, or, for the append that begins it,
// what the file was begun with.
func (w *walk) where(e record.Event) commands.Place {
	if w.commandBefore() {
		return w.place
	}
	f := record.NewFile(w.file.Category, w.file.Stream)
	first := w.history
	if len(first) == 0 {
		first = []record.Event{e}
	}
	if err := f.Apply(first[0]); err != nil {
		return commands.Place{}
	}
	p := commands.PlaceOf(f, nil)
	p.Handles, p.Account = nil, uuid.Nil
	return p
}

// commandBefore tells whether another command than the present one has recorded in the stream.
func (w *walk) commandBefore() bool {
	return len(w.history) > 0 && w.history[0].Meta.Command != w.command
}

// denied says why the actor of an event was not entitled to it at a moment; nil when he was.
func (w *walk) denied(e record.Event, rows []*record.CommandRow, place commands.Place, moment time.Time) *record.Text {
	m := e.Meta
	if m.Actor == commands.System {
		return systemDenied(m, rows)
	}
	if _, why := w.inPost(m, place.Subject, moment); why != nil {
		return why
	}
	for _, row := range rows {
		for _, g := range row.Grants {
			if slices.Contains(g.Roles, m.Role) && w.within(g.Scope, m, place, moment) {
				return nil
			}
		}
	}
	t := record.T("该岗位当时无权在此操作", fmt.Sprintf("role %s in unit %s did not allow %s here", m.Role, m.Unit, names(rows)))
	return &t
}

// inPost says why an officer was not in the post that the metadata name at a moment, or might not deal with the person; nil
// when he was.
func (w *walk) inPost(m record.Meta, about uuid.UUID, moment time.Time) (o officer, why *record.Text) {
	no := func(zh, en string) (officer, *record.Text) { t := record.T(zh, en); return o, &t }
	o, ok := w.who.officers[m.Actor].at(moment)
	if !ok {
		return no("当时没有此工作人员", fmt.Sprintf("there was no officer %s then", m.Actor))
	}
	post, ok := o.Post(m.Post)
	switch {
	case !ok:
		return no("当时该人员没有此岗位", fmt.Sprintf("officer %s did not have post %s then", m.Actor, m.Post))
	case post.Role != m.Role || post.Unit != m.Unit:
		return no("角色或单位与岗位不符", fmt.Sprintf("the post was that of %s in %s, the event says %s in %s", post.Role, post.Unit, m.Role, m.Unit))
	case !slices.ContainsFunc(o.Active(moment), func(p staff.Post) bool { return p.ID == m.Post }):
		return no("该岗位当时无效", fmt.Sprintf("post %s of officer %s was not in force then", m.Post, m.Actor))
	case about != uuid.Nil && slices.Contains(o.Recused, about):
		return no("该人员已申请回避", fmt.Sprintf("officer %s had declared a recusal for the person", m.Actor))
	}
	return o, nil
}

func systemDenied(m record.Meta, rows []*record.CommandRow) *record.Text {
	allowed := slices.ContainsFunc(rows, func(r *record.CommandRow) bool {
		return slices.ContainsFunc(r.Grants, func(g record.Grant) bool {
			return slices.Contains(g.Roles, record.Administrator) && g.Scope == record.Anywhere
		})
	})
	switch {
	case m.Role != record.Administrator || m.Post != uuid.Nil || m.Unit != uuid.Nil:
		t := record.T("系统操作不应带有岗位", "it was recorded by the system, in a post that the system does not have")
		return &t
	case !allowed:
		t := record.T("系统无权进行此操作", "the system may not do "+names(rows))
		return &t
	}
	return nil
}

// within tells whether a grant's scope reached the place at the moment. Of an erased file, or one that cannot be read, the
// place is not known: the benefit of that doubt goes to the officer.
func (w *walk) within(scope record.Scope, m record.Meta, place commands.Place, moment time.Time) bool {
	if scope == record.Anywhere {
		return true
	}
	if w.gone() || w.blind {
		return true
	}
	switch scope {
	case record.Self:
		return place.Account == m.Actor
	case record.Caseload:
		return place.Handles != nil && place.Handles(m.Actor)
	case record.InUnit:
		return units.Covers(m.Unit, place.Village, w.who.unitAt(moment))
	}
	return false
}

func names(rows []*record.CommandRow) string {
	s := rows[0].Name
	for _, r := range rows[1:] {
		s += ", " + r.Name
	}
	return s
}
