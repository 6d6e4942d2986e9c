package api

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/record"
	"yidang/projections/oversight"
	"yidang/projections/views"
)

// This file answers what inspectors and supervisors ask: what an officer recorded and how late, what was amended and who
// approved it, who read a file, which files were opened in an emergency. Each such question is a reading, and recorded.

// Oversight is what the routes need of projections/oversight, which documents it.
type Oversight interface {
	Entries(ctx context.Context, q oversight.Query) ([]oversight.Entry, oversight.Page, error)
	Reads(ctx context.Context, q oversight.ReadQuery) ([]oversight.Reading, oversight.Page, error)
	Proposals(ctx context.Context, q oversight.ProposalQuery) ([]oversight.Proposal, oversight.Page, error)
	Glasses(ctx context.Context, q oversight.GlassQuery) ([]oversight.Glass, oversight.Page, error)
	Members(ctx context.Context, person uuid.UUID) ([]uuid.UUID, error)
}

// Paging are the parameters of answers that come in pages of the log.
type Paging struct {
	AtLeast
	Newest bool   `query:"newest" doc:"newest first; in the order of the log when left out"`
	After  uint64 `query:"after" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
}

func (q Paging) paging() oversight.Paging {
	return oversight.Paging{Newest: q.Newest, After: q.After, Limit: q.Limit}
}

type entriesQuery struct {
	Paging
	Officer    uuid.UUID `query:"officer" doc:"who recorded it"`
	Unit       uuid.UUID `query:"unit" doc:"of the post in which it was recorded"`
	Person     uuid.UUID `query:"person"`
	Case       uuid.UUID `query:"case"`
	Type       string    `query:"type" maxLength:"60" doc:"only events of this type"`
	From       string    `query:"from" maxLength:"40" doc:"recorded on or after this day or time"`
	To         string    `query:"to" maxLength:"40" doc:"recorded on or before this day, or before this time"`
	Late       bool      `query:"late" doc:"entered late: with a reason for it, or more than lagHours after the fact"`
	LagHours   int       `query:"lagHours" minimum:"0" maximum:"8760" doc:"with late"`
	BackDated  bool      `query:"backDated" doc:"said to have happened more than backDays days before it was recorded"`
	BackDays   int       `query:"backDays" minimum:"0" maximum:"3660"`
	Amended    bool      `query:"amended" doc:"voided or corrected since"`
	Amendments bool      `query:"amendments" doc:"the voids and corrections themselves"`
	Approved   bool      `query:"approved" doc:"recorded with a second person's approval"`
}

// Entries is a page of what was recorded.
type Entries struct {
	oversight.Page
	Entries []EntryItem `json:"entries" nullable:"false"`
}

// EntryItem is one recorded event, without its content.
type EntryItem struct {
	oversight.Entry
	Title      record.Text `json:"title"`
	LagSeconds int64       `json:"lagSeconds"`
}

type readingsQuery struct {
	Paging
	Person  uuid.UUID `query:"person" doc:"whose file was read"`
	Officer uuid.UUID `query:"officer" doc:"who read"`
	Unit    uuid.UUID `query:"unit" doc:"of the reader's post"`
	Purpose string    `query:"purpose" maxLength:"40"`
	From    string    `query:"from" maxLength:"40"`
	To      string    `query:"to" maxLength:"40"`
	Outside bool      `query:"outside" doc:"outside the reader's own caseload"`
	Glass   bool      `query:"emergency" doc:"in an emergency, by somebody who may not read the file otherwise"`
}

// Readings is a page of the access log.
type Readings struct {
	oversight.Page
	Readings []ReadingItem `json:"readings" nullable:"false"`
}

// ReadingItem is one reading. What the reader said of it, and from where, is for inspectors: the person's own answer
// (PIPL 45) says who, when and for what purpose.
type ReadingItem struct {
	oversight.Reading
	Reason string `json:"reason,omitempty" doc:"in the reader's words; for inspectors, as item and from are"`
	Item   string `json:"item,omitempty" doc:"which attachment, or which question"`
	From   string `json:"from,omitempty" doc:"network address"`
}

type fileReadingsQuery struct {
	Paging
	ID uuid.UUID `path:"id" doc:"of the person"`
}

type gapsQuery struct {
	AtLeast
	ID uuid.UUID `path:"id" doc:"of the person"`
}

// Gaps are the duties of a file that no event fulfilled in time.
type Gaps struct {
	Position uint64         `json:"position"`
	Overdue  []WorklistDuty `json:"overdue" nullable:"false" doc:"without an event to this day"`
	Late     []WorklistDuty `json:"late" nullable:"false" doc:"fulfilled after they were due"`
}

var (
	inspectors   = []record.Grant{{Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}}
	errNoIndex   = &record.Problem{Kind: record.Unavailable, Message: "this server keeps no index for inspectors", Zh: "本服务器未启用监督索引", Remedy: "ask another server"}
	errPartLog   = &record.Problem{Kind: record.Forbidden, Rule: "S-13; S-14", Message: "who sees a part of a file does not see who read it", Zh: "仅限按需知悉者不得查看查阅记录", Remedy: "ask the officer who is responsible"}
	inspectTitle = record.T("监督检查查询", "ask an inspector's question")
)

func (s *Server) inspectRoutes() {
	s.emergencyRoutes()
	tags := []string{"inspect"}
	mark := map[string]any{recorded: true}
	who := "\n\nWho may: " + grantText(inspectors) + ". The question is recorded."
	read(s, huma.Operation{OperationID: "entries", Path: "/v1/inspect/entries", Tags: tags, Summary: "What was recorded (录入检查)", Metadata: mark,
		Description: "Entries without their content, in the order of the log: of an officer, a unit, a file; late, back-dated, voided or corrected, approved by whom." + who}, s.entries)
	read(s, huma.Operation{OperationID: "readings", Path: "/v1/inspect/readings", Tags: tags, Summary: "Who read what (查阅检查)", Metadata: mark,
		Description: "The access log, by person, officer, unit, time or purpose." + who}, s.readings)
	files := "\n\nWho may: " + grantText(s.readersOf("")) + "."
	read(s, huma.Operation{OperationID: "file-readings", Path: "/v1/people/{id}/readings", Tags: tags, Summary: "Who read this file (本档查阅记录)", Metadata: mark,
		Description: "Who opened the file, in which post, when and for what; it answers a person's own request too (PIPL 45). Reading it is recorded." + files + " Not who sees only a part of a file."}, s.fileReadings)
	read(s, huma.Operation{OperationID: "gaps", Path: "/v1/people/{id}/gaps", Tags: tags, Summary: "Duties without an event (履职缺口)", Metadata: mark,
		Description: "Duties of the file's cases that are overdue, and those that were fulfilled late." + files}, s.gaps)
}

// span reads a stretch of time: from a day means from its beginning, to a day means to its end.
func span(from, to string) (a, b time.Time, err error) {
	if a, err = moment("from", from); err != nil {
		return a, b, err
	}
	if len(from) == len(record.Day) {
		a = record.DayOf(a)
	}
	if b, err = moment("to", to); err == nil && len(to) == len(record.Day) {
		b = b.Add(time.Nanosecond)
	}
	return a, b, err
}

// ask lets an inspector ask a question, and records it.
func (s *Server) ask(ctx context.Context, q Paging, question fmt.Stringer) error {
	if s.options.Oversight == nil {
		return errNoIndex
	}
	actor, err := s.options.Executor.Authorise(ctx, visitOf(ctx).who.Officer, uuid.Nil, inspectors, placeOf{}, inspectTitle)
	if err != nil {
		return err
	}
	if err := s.watch(ctx, q.AtLeast); err != nil {
		return err
	}
	return s.recordRead(ctx, looked{what: access.Entries, item: question.String(), actor: actor})
}

// watch waits for the index as wait does for the views.
func (s *Server) watch(ctx context.Context, a AtLeast) error {
	if a.Position == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Limits.Wait)
	defer cancel()
	return awaited(s.options.Watcher.Wait(ctx, a.Position))
}

func (s *Server) entries(ctx context.Context, in *entriesQuery) (*shown[Entries], error) {
	from, to, err := span(in.From, in.To)
	if err != nil {
		return nil, err
	}
	q := oversight.Query{Paging: in.paging(), Officer: in.Officer, Unit: in.Unit, Person: in.Person, Case: in.Case, From: from, To: to, Late: in.Late, Lag: time.Duration(in.LagHours) * time.Hour,
		BackDated: in.BackDated, BackDays: in.BackDays, Amended: in.Amended, Amendments: in.Amendments, Approved: in.Approved}
	if in.Type != "" {
		q.Types = []string{in.Type}
	}
	if err := s.ask(ctx, in.Paging, q); err != nil {
		return nil, err
	}
	rows, page, err := s.options.Oversight.Entries(ctx, q)
	if err != nil {
		return nil, err
	}
	out := Entries{Page: page, Entries: make([]EntryItem, len(rows))}
	for i, e := range rows {
		out.Entries[i] = EntryItem{Entry: e, LagSeconds: int64(e.Lag().Seconds())}
		if row, ok := s.options.Catalog.Event(e.Category, e.Type); ok {
			out.Entries[i].Title = row.Title
		}
	}
	return show(page.Position, out), nil
}

func (s *Server) readings(ctx context.Context, in *readingsQuery) (*shown[Readings], error) {
	from, to, err := span(in.From, in.To)
	if err != nil {
		return nil, err
	}
	q := oversight.ReadQuery{Paging: in.paging(), Person: in.Person, Officer: in.Officer, Unit: in.Unit, Purpose: in.Purpose, From: from, To: to, Outside: in.Outside, Glass: in.Glass}
	if err := s.ask(ctx, in.Paging, q); err != nil {
		return nil, err
	}
	return s.accessLog(ctx, true, q)
}

// accessLog answers from the index, and what is said reads from the journal what the index does not keep.
func (s *Server) accessLog(ctx context.Context, said bool, q oversight.ReadQuery) (*shown[Readings], error) {
	rows, page, err := s.options.Oversight.Reads(ctx, q)
	if err != nil {
		return nil, err
	}
	out := Readings{Page: page, Readings: make([]ReadingItem, len(rows))}
	for i, row := range rows {
		out.Readings[i].Reading = row
		if !said {
			continue
		}
		d, err := s.options.Executor.Read(ctx, row.Session, row.Revision)
		if err != nil {
			return nil, err
		}
		out.Readings[i].Reason, out.Readings[i].Item, out.Readings[i].From = d.Reason, d.Item, d.From
	}
	return show(page.Position, out), nil
}

func (s *Server) fileReadings(ctx context.Context, in *fileReadingsQuery) (*shown[Readings], error) {
	if s.options.Oversight == nil {
		return nil, errNoIndex
	}
	if err := s.watch(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	f, err := s.open(ctx, access.Log, in.ID, uuid.Nil, record.At{})
	if err != nil {
		return nil, err
	}
	return s.accessLog(ctx, f.actor.Role == record.Inspector, oversight.ReadQuery{Paging: in.paging(), Person: in.ID, Also: f.members})
}

func (s *Server) gaps(ctx context.Context, in *gapsQuery) (*shown[Gaps], error) {
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	f, err := s.open(ctx, access.File, in.ID, uuid.Nil, record.At{})
	if err != nil {
		return nil, err
	}
	out := Gaps{Position: f.Position, Overdue: []WorklistDuty{}, Late: []WorklistDuty{}}
	for _, c := range f.cases {
		sight, ok := f.sightOf(c)
		if !ok {
			continue
		}
		q := views.WorklistQuery{Reach: record.Reach{All: true}, Case: c.ID, Standing: []string{"overdue", "done"}, Today: s.today(time.Time{}), Limit: 500}
		for {
			rows, next, _, _, err := s.options.Views.Worklist(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, row := range rows {
				d := s.worklistDuty(row)
				switch {
				case !sight.duty(&d, f.actor.Officer):
				case row.Standing == "overdue":
					out.Overdue = append(out.Overdue, d)
				case !row.OnTime():
					out.Late = append(out.Late, d)
				}
			}
			if q.Cursor = next; next == "" {
				break
			}
		}
	}
	return show(out.Position, out), nil
}
