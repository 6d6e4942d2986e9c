package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/projections/views"
)

// CaseHead is a case in a list.
type CaseHead struct {
	ID       uuid.UUID `json:"id"`
	Program  string    `json:"program,omitempty"`
	Person   uuid.UUID `json:"person,omitzero"`
	Name     string    `json:"name,omitempty" doc:"of the person"`
	Village  uuid.UUID `json:"village,omitzero"`
	Tier     string    `json:"tier,omitempty"`
	Open     bool      `json:"open"`
	Sealed   bool      `json:"sealed,omitempty" doc:"reads need a basis of their own (S-16); without one, and in lists, nothing else of the case shows"`
	Erased   bool      `json:"erased,omitempty" doc:"the content was destroyed; dates and types remain"`
	Lead     uuid.UUID `json:"lead,omitzero"`
	Opened   time.Time `json:"opened,omitzero"`
	Closed   time.Time `json:"closed,omitzero"`
	LastMet  time.Time `json:"lastMet,omitzero"`
	Revision uint64    `json:"revision,omitempty" doc:"for If-Match"`
}

// Case is a case as its file shows it.
type Case struct {
	CaseHead
	CloseReason string                    `json:"closeReason,omitempty"`
	Responsible []casework.Responsibility `json:"responsible" nullable:"false" doc:"in force, lead first"`
	HandOver    *casework.HandOver        `json:"handOver,omitempty" doc:"awaiting an answer"`
	LastVisit   time.Time                 `json:"lastVisit,omitzero"`
	Visits      int                       `json:"visits"`
	Services    int                       `json:"services"`
	Attachments []casework.Attachment     `json:"attachments,omitempty"`
	Duties      []Duty                    `json:"duties" nullable:"false" doc:"open"`
	State       map[string]any            `json:"state,omitempty" doc:"what the program keeps beside: orders, agreement, tiers, tests, …"`
}

// Duty is an open duty of a case.
type Duty struct {
	ID       uuid.UUID   `json:"id" doc:"for excuse-duty"`
	Code     string      `json:"code"`
	Title    record.Text `json:"title"`
	Source   string      `json:"source,omitempty" doc:"clause or article"`
	Standing string      `json:"standing" enum:"upcoming,due,overdue"`
	Officer  uuid.UUID   `json:"officer,omitzero" doc:"who owes it"`
	From     string      `json:"from"`
	Opens    string      `json:"opens" doc:"day from which it shows as due"`
	Due      string      `json:"due" doc:"last day"`
}

// Cases is a page of cases.
type Cases struct {
	Position uint64     `json:"position"`
	Cases    []CaseHead `json:"cases" nullable:"false"`
	Next     string     `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

// CaseFile is one case with the position it shows.
type CaseFile struct {
	Position uint64 `json:"position"`
	Case     Case   `json:"case"`
}

type casesQuery struct {
	AtLeast
	Village uuid.UUID `query:"village"`
	Program string    `query:"program" maxLength:"40"`
	Tier    string    `query:"tier" maxLength:"40"`
	Officer uuid.UUID `query:"officer" doc:"only cases that this officer has a part in"`
	Open    bool      `query:"open" doc:"only open cases"`
	Limit   int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor  string    `query:"cursor" maxLength:"400"`
}

type caseQuery struct {
	Moments
	ID uuid.UUID `path:"id" doc:"of the case"`
}

func (s *Server) caseRoutes() {
	who := "\n\nWho may: " + grantText(s.readersOf("")) + "."
	read(s, huma.Operation{OperationID: "cases", Metadata: map[string]any{recorded: true}, Path: "/v1/cases", Tags: []string{"read"}, Summary: "List cases (案件列表)", Description: "Cases the caller may read." + who}, s.cases)
	read(s, huma.Operation{OperationID: "case", Metadata: map[string]any{recorded: true}, Path: "/v1/cases/{id}", Tags: []string{"read"}, Summary: "One case (案件)",
		Description: "A case with its state and open duties; as of a day, as known at a day. The ETag is its revision." + who}, s.oneCase)
}

func (s *Server) cases(ctx context.Context, in *casesQuery) (*shown[Cases], error) {
	if k, ok := s.options.Catalog.Category(in.Program); in.Program != "" && (!ok || !k.Case) {
		return nil, &record.Problem{Kind: record.Invalid, Field: "program", Rule: "API cases", Message: "is not a program", Zh: "不是已有的项目", Remedy: "use " + strings.Join(s.programs(), ", ") + ", or leave it out"}
	}
	r, err := s.reach(ctx, s.readersOf(in.Program))
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	rows, next, position, err := s.options.Views.Cases(ctx, views.CaseQuery{Reach: r.Reach, Village: in.Village, Program: in.Program, Tier: in.Tier, Officer: in.Officer, OpenOnly: in.Open, Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	out := Cases{Position: position, Cases: make([]CaseHead, 0, len(rows)), Next: next}
	narrowed := in.Village != uuid.Nil || in.Program != "" || in.Tier != "" || in.Officer != uuid.Nil
	for _, row := range rows {
		if row.Sealed && narrowed { // to answer would say what is sealed
			continue
		}
		head := caseHead(row)
		r.sight(row.Village, row.Handlers).caseHead(&head)
		out.Cases = append(out.Cases, head)
	}
	if err := s.recordHits(ctx, casesShown(rows, r.actor.Officer), r.actor); err != nil {
		return nil, err
	}
	return show(position, out), nil
}

// casesShown lists whom a list of cases shows outside an officer's own caseload.
func casesShown(rows []views.CaseRow, officer uuid.UUID) (people []uuid.UUID) {
	for _, row := range rows {
		if row.PersonName != "" && !row.Sealed && !slices.Contains(row.Handlers, officer) {
			people = append(people, row.Person)
		}
	}
	return people
}

// caseHead is a row of a list. Of a sealed case no list says more than that there is one.
func caseHead(row views.CaseRow) CaseHead {
	if row.Sealed {
		return CaseHead{ID: row.ID, Sealed: true}
	}
	return CaseHead{ID: row.ID, Program: row.Program, Person: row.Person, Name: row.PersonName, Village: row.Village, Tier: row.Tier, Open: row.Open,
		Erased: row.Erased, Lead: row.Lead, Opened: row.Opened, Closed: row.Closed, LastMet: row.LastMet, Revision: row.Revision}
}

func (s *Server) oneCase(ctx context.Context, in *caseQuery) (*shown[CaseFile], error) {
	at, err := in.moments()
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	row, ok, err := s.options.Views.Case(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unfound("case", "个案件")
	}
	f, err := s.open(ctx, access.File, row.Person, in.ID, at)
	if err != nil {
		return nil, err
	}
	for _, c := range f.cases {
		if c.ID != in.ID {
			continue
		}
		out := show(f.Position, CaseFile{Position: f.Position, Case: s.caseFile(c, f, at.AsOf)})
		if at == (record.At{}) && !f.hidden[c.ID] {
			out.ETag = `"` + utoa(c.Revision) + `"`
		}
		return out, nil
	}
	// Not readable, or not there yet at the moment asked for: the executor words the first.
	k, _ := s.options.Catalog.Category(row.Program)
	if _, err := s.mayRead(ctx, k, placeOf{Village: row.Village, Subject: row.Person}); err != nil {
		return nil, err
	}
	return nil, unfound("case at that time", "个案件（当时）")
}

// caseFile shows a case, as far as the caller may see it.
func (s *Server) caseFile(c *record.File, f *opened, asOf time.Time) Case {
	if f.hidden[c.ID] {
		return Case{CaseHead: CaseHead{ID: c.ID, Sealed: true}, Responsible: []casework.Responsibility{}, Duties: []Duty{}}
	}
	out := Case{CaseHead: CaseHead{ID: c.ID, Program: c.Category.Name, Revision: c.Revision, Sealed: f.sealed[c.ID], Erased: c.Erased}, Responsible: []casework.Responsibility{}, Duties: []Duty{}}
	program, ok := c.State.(casework.Program)
	if !ok || program.Core().ID == uuid.Nil { // erased: nothing of the state is known
		return out
	}
	core := program.Core()
	out.Person, out.Village, out.Open, out.Opened, out.Closed, out.CloseReason = core.Person, core.Village, core.IsOpen(), core.Opened, core.Closed, core.CloseReason
	out.Tier, out.Lead, out.LastMet, out.LastVisit, out.Visits, out.Services = program.Tier(), core.Lead(), core.LastMet, core.LastVisit, core.Visits, core.Services
	out.Responsible = append(out.Responsible, core.Responsible...)
	out.HandOver, out.Attachments = core.HandOver, core.Attachments
	for _, d := range core.Duties.Open {
		out.Duties = append(out.Duties, s.duty(d, core.Holder(d), s.today(asOf)))
	}
	out.State = s.states.of(c.State)
	sight := f.sights[c.ID]
	sight.caseFile(&out, f.actor.Officer)
	return out
}

func (s *Server) duty(d casework.Duty, officer uuid.UUID, today time.Time) Duty {
	out := Duty{ID: d.ID(), Code: d.Code, Standing: d.Standing(today), Officer: officer, From: dayText(d.From), Opens: dayText(d.Opens), Due: dayText(d.Due)}
	out.Title, out.Source = s.dutyTitle(d.Code)
	return out
}

// dutyTitle finds the words for a duty in the policy in force; a rule that is gone keeps its code.
func (s *Server) dutyTitle(code string) (record.Text, string) {
	rules, err := s.options.Executor.Rules(context.Background()) // from memory
	if err == nil {
		if d, ok := rules.Duty(code); ok {
			return d.Title, d.Source
		}
	}
	return record.T(code, code), ""
}
