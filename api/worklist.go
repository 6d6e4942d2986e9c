package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/projections/views"
)

type worklistQuery struct {
	AtLeast
	Whose    string    `query:"whose" enum:"mine,unit" default:"mine" doc:"mine: duties the caller owes; unit: all that he may read"`
	Officer  uuid.UUID `query:"officer" doc:"with whose=unit: only duties of this officer"`
	Village  uuid.UUID `query:"village"`
	Case     uuid.UUID `query:"case"`
	Standing []string  `query:"standing" enum:"upcoming,due,overdue,done,excused,cancelled" doc:"separated by commas; upcoming, due and overdue when left out"`
	Code     string    `query:"code" maxLength:"60" doc:"only duties of this rule; see /v1/policy"`
	Limit    int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor   string    `query:"cursor" maxLength:"400"`
}

// Worklist is a page of duties, most overdue first.
type Worklist struct {
	Position uint64         `json:"position"`
	Today    string         `json:"today" doc:"the day that standings are judged by"`
	Counts   map[string]int `json:"counts" doc:"how many there are by standing; a large number of ended ones is counted up to a limit"`
	Duties   []WorklistDuty `json:"duties" nullable:"false"`
	Next     string         `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

// WorklistDuty is one line of a worklist.
type WorklistDuty struct {
	ID       uuid.UUID   `json:"id" doc:"for excuse-duty"`
	Code     string      `json:"code"`
	Title    record.Text `json:"title"`
	Source   string      `json:"source,omitempty" doc:"clause or article"`
	Standing string      `json:"standing"`
	From     string      `json:"from"`
	Opens    string      `json:"opens"`
	Due      string      `json:"due"`
	EndedOn  time.Time   `json:"endedOn,omitzero"`
	Ended    uuid.UUID   `json:"ended,omitzero" doc:"event that fulfilled, excused or cancelled it"`
	OnTime   *bool       `json:"onTime,omitempty" doc:"of a duty that is done"`
	Case     uuid.UUID   `json:"case"`
	Program  string      `json:"program,omitempty"`
	Tier     string      `json:"tier,omitempty"`
	Sealed   bool        `json:"sealed,omitempty" doc:"the case, whose program, person and village therefore do not show (S-16)"`
	Person   uuid.UUID   `json:"person,omitzero"`
	Name     string      `json:"name,omitempty" doc:"of the person"`
	Village  uuid.UUID   `json:"village,omitzero"`
	Officer  uuid.UUID   `json:"officer,omitzero" doc:"who owes it, or owed it when it ended"`
}

func (s *Server) worklistRoutes() {
	read(s, huma.Operation{OperationID: "worklist", Metadata: map[string]any{recorded: true}, Path: "/v1/worklist", Tags: []string{"read"}, Summary: "What is due (工作清单)",
		Description: "Duties with the most overdue first: the caller's own, or those of all cases that he may read.\n\nWho may: " + grantText(s.readersOf("")) + "."}, s.worklist)
}

func (s *Server) worklist(ctx context.Context, in *worklistQuery) (*shown[Worklist], error) {
	r, err := s.reach(ctx, s.readersOf(""))
	if err != nil {
		return nil, err
	}
	who := visitOf(ctx).who.Officer
	if in.Whose != "unit" || !r.full.All && len(r.full.Villages) == 0 && r.full.Officer == uuid.Nil {
		in.Officer = who // mine; or of somebody who sees no duties but his own
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	today := s.today(time.Time{})
	rows, next, counts, position, err := s.options.Views.Worklist(ctx, views.WorklistQuery{Reach: r.Reach, Office: r.office, Asker: who, Officer: in.Officer, Village: in.Village, Case: in.Case,
		Standing: in.Standing, Code: in.Code, Today: today, Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	out := Worklist{Position: position, Today: dayText(today), Counts: counts, Duties: make([]WorklistDuty, 0, len(rows)), Next: next}
	var hits []uuid.UUID
	for _, row := range rows {
		d := s.worklistDuty(row)
		if row.Sealed && !sealedDuty(&d) {
			continue
		}
		if r.sight(row.Village, nil).duty(&d, who) {
			out.Duties = append(out.Duties, d)
			if d.Person != uuid.Nil && !row.Own && row.Holder != who {
				hits = append(hits, d.Person)
			}
		}
	}
	if err := s.recordHits(ctx, hits, r.actor); err != nil {
		return nil, err
	}
	return show(position, out), nil
}

func (s *Server) worklistDuty(row views.DutyRow) WorklistDuty {
	d := WorklistDuty{ID: row.ID, Code: row.Code, Standing: row.Standing, From: dayText(row.From), Opens: dayText(row.Opens), Due: dayText(row.Due), EndedOn: row.EndedOn, Ended: row.Ended,
		Case: row.Case, Program: row.Program, Tier: row.Tier, Person: row.Person, Name: row.PersonName, Village: row.Village, Officer: row.Holder}
	d.Title, d.Source = s.dutyTitle(row.Code)
	if row.Standing == "done" {
		onTime := row.OnTime()
		d.OnTime = &onTime
	}
	return d
}
