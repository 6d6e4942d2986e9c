package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/projections/views"
)

// This file hands over many cases in one call. Each case is a command of its own, authorised, decided and recorded like
// any other: one that is refused leaves the others alone, and a repeat under the same key completes what is missing.

const (
	maxHandOver     = 1000 // cases in one call
	handOverWorkers = 16   // at once, so that they share fsyncs
)

type proposeAll struct {
	From   uuid.UUID   `json:"from,omitzero" doc:"whose open cases, all that this officer leads; the caller's own when left out"`
	Cases  []uuid.UUID `json:"cases,omitempty" maxItems:"1000" doc:"only these cases"`
	To     uuid.UUID   `json:"to" doc:"who is asked to take over"`
	Role   record.Role `json:"role" doc:"in which of that officer's roles"`
	Reason string      `json:"reason" minLength:"2" maxLength:"300"`
	Post   uuid.UUID   `json:"post,omitzero" doc:"in which of your posts you act"`
}

type acceptAll struct {
	From  uuid.UUID   `json:"from,omitzero" doc:"all that this officer leads and that waits for the caller's answer; required without cases"`
	Cases []uuid.UUID `json:"cases,omitempty" maxItems:"1000" doc:"only these cases"`
	Post  uuid.UUID   `json:"post,omitzero" doc:"in which of your posts you act"`
}

type declineAll struct {
	From   uuid.UUID   `json:"from,omitzero" doc:"all that this officer leads and that waits for the caller's answer; required without cases"`
	Cases  []uuid.UUID `json:"cases,omitempty" maxItems:"1000" doc:"only these cases"`
	Post   uuid.UUID   `json:"post,omitzero" doc:"in which of your posts you act"`
	Reason string      `json:"reason" minLength:"2" maxLength:"300"`
}

// HandOvers says what became of each case.
type HandOvers struct {
	Position uint64        `json:"position" doc:"of the last event recorded"`
	Recorded int           `json:"recorded"`
	Refused  int           `json:"refused"`
	DryRun   bool          `json:"dryRun,omitempty"`
	Rows     []HandOverRow `json:"rows" nullable:"false"`
}

// HandOverRow is the result of one case: a receipt or a problem.
type HandOverRow struct {
	Case    uuid.UUID         `json:"case"`
	Name    string            `json:"name,omitempty" doc:"of the person"`
	Receipt *commands.Receipt `json:"receipt,omitempty"`
	Problem *Problem          `json:"problem,omitempty"`
}

var errNoSelection = &record.Problem{Kind: record.Invalid, Field: "from", Rule: "D-12", Message: "say whose cases, or which", Zh: "须指明移交人或案件", Remedy: "give from or cases"}

func (s *Server) handOverRoutes() {
	params := []*huma.Param{
		{Name: "dryRun", In: "query", Description: "true: say what would be recorded, or why not; record nothing", Schema: &huma.Schema{Type: huma.TypeBoolean}},
		{Name: "Idempotency-Key", In: "header", Description: "a repeat with the same key gets the first answers and completes what is missing", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	params = append(params, purposeParams()...)
	op := func(verb, command, summary, about string) huma.Operation {
		return huma.Operation{OperationID: "handovers-" + verb, Method: http.MethodPost, Path: "/v1/handovers/" + verb, Tags: []string{"handovers"}, Summary: summary, Parameters: params,
			Description: about + " A result for each case.\n\nSource: D-12.\n\nWho may: " + grantText(s.grantsOf(command)) + "."}
	}
	action(s, op("propose", proposeCommand, "Propose a whole caseload (批量提议移交)", "Asks another officer to take the lead of many cases."), http.StatusOK, func(ctx huma.Context, in *proposeAll) (*HandOvers, error) {
		from := in.From
		if from == uuid.Nil && len(in.Cases) == 0 {
			from = visitOf(ctx.Context()).who.Officer
		}
		return s.handOver(ctx, proposeCommand, casework.ProposeHandOver{To: in.To, Role: in.Role, Reason: in.Reason}, selection{from: from, cases: in.Cases, taker: in.To}, in.Post)
	})
	action(s, op("accept", acceptCommand, "Accept a whole caseload (批量接受移交)", "Takes over the cases that wait for the caller's answer."), http.StatusOK, func(ctx huma.Context, in *acceptAll) (*HandOvers, error) {
		return s.handOver(ctx, acceptCommand, struct{}{}, selection{from: in.From, cases: in.Cases, taker: visitOf(ctx.Context()).who.Officer}, in.Post)
	})
	action(s, op("decline", declineCommand, "Decline a whole caseload (批量拒绝移交)", "Leaves the cases where they are."), http.StatusOK, func(ctx huma.Context, in *declineAll) (*HandOvers, error) {
		return s.handOver(ctx, declineCommand, casework.DeclineHandOver{Reason: in.Reason}, selection{from: in.From, cases: in.Cases}, in.Post)
	})
}

// Commands of every program's cases.
const (
	proposeCommand = "casework.propose_handover"
	acceptCommand  = "casework.accept_handover"
	declineCommand = "casework.decline_handover"
)

// grantsOf are the grants of a command over all programs.
func (s *Server) grantsOf(command string) (grants []record.Grant) {
	for _, k := range s.options.Catalog.Categories {
		if row, ok := s.options.Catalog.Command(k.Name, command); ok && k.Case {
			grants = append(grants, row.Grants...)
		}
	}
	return grants
}

// selection says which cases: those named, or all open ones that an officer leads. A repeat must find those of the first
// call too, which the taker may lead by now.
type selection struct {
	from  uuid.UUID
	cases []uuid.UUID
	taker uuid.UUID // zero: they stay where they are
}

// handOver carries out one command for each case chosen.
func (s *Server) handOver(ctx huma.Context, command string, input any, sel selection, post uuid.UUID) (*HandOvers, error) {
	if sel.from == uuid.Nil && len(sel.cases) == 0 {
		return nil, errNoSelection
	}
	if err := visitOf(ctx.Context()).why.err; err != nil {
		return nil, err
	}
	r, err := s.reach(ctx.Context(), s.grantsOf(command)) // refuses who could not do it anywhere
	if err != nil {
		return nil, err
	}
	who, key := visitOf(ctx.Context()).who.Officer, ctx.Header("Idempotency-Key")
	chosen, err := s.chosen(ctx.Context(), r, sel, key)
	if err != nil {
		return nil, err
	}
	out := &HandOvers{DryRun: ctx.Query("dryRun") == "true", Rows: make([]HandOverRow, len(chosen))}
	errs := make([]error, len(chosen))
	var wg sync.WaitGroup
	turns := make(chan struct{}, handOverWorkers)
	for i, c := range chosen {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			q := commands.Request{Category: c.Program, Command: command, ID: c.ID, Input: input, Officer: who, Post: post, DryRun: out.DryRun}
			receipt := commands.Receipt{}
			if q.CommandID, errs[i] = commandID(who, key, c.Program, c.ID); errs[i] == nil {
				receipt, errs[i] = s.options.Executor.Do(ctx.Context(), q)
			}
			out.Rows[i] = HandOverRow{Case: c.ID, Name: c.PersonName}
			if errs[i] == nil {
				out.Rows[i].Receipt = &receipt
			}
		})
	}
	wg.Wait()
	out.count(s, ctx.Context(), errs, len(sel.cases) == 0)
	if err := s.recordHandOver(ctx.Context(), out.Rows, chosen, r.actor); err != nil {
		// What became of the cases is said all the same: only the names are not shown when that cannot be recorded.
		for i := range out.Rows {
			out.Rows[i].Name = ""
		}
		_ = s.problem(ctx.Context(), err)
	}
	ctx.SetHeader("Yidang-Position", utoa(out.Position))
	return out, nil
}

// recordHandOver records whom the rows name outside the caller's own caseload, as it was before.
func (s *Server) recordHandOver(ctx context.Context, rows []HandOverRow, chosen []views.CaseRow, actor record.Actor) error {
	named := slices.DeleteFunc(slices.Clone(chosen), func(c views.CaseRow) bool {
		return !slices.ContainsFunc(rows, func(r HandOverRow) bool { return r.Case == c.ID })
	})
	return s.recordHits(ctx, casesShown(named, actor.Officer), actor)
}

// count sums up. When the cases were not named one by one, those that nobody offered to the caller are left out.
func (h *HandOvers) count(s *Server, ctx context.Context, errs []error, all bool) {
	rows := h.Rows[:0]
	for i, row := range h.Rows {
		switch err := errs[i]; {
		case err == nil:
			h.Recorded++
			h.Position = max(h.Position, row.Receipt.Position)
		case all && (errors.Is(err, casework.ErrNoHandOver) || errors.Is(err, casework.ErrNotYours)):
			continue
		default:
			h.Refused++
			row.Problem = s.problem(ctx, err)
		}
		rows = append(rows, row)
	}
	h.Rows = rows
}

// chosen finds the cases of a selection.
func (s *Server) chosen(ctx context.Context, r reach, sel selection, key string) (out []views.CaseRow, err error) {
	for _, id := range sel.cases {
		row, ok, err := s.options.Views.Case(ctx, id)
		if err != nil {
			return nil, err
		}
		if !ok { // the executor says that there is none
			row = views.CaseRow{ID: id, Program: s.anyProgram()}
		}
		if row.PersonName != "" && (row.Sealed || !r.sees(row)) {
			row.PersonName = ""
		}
		out = append(out, row)
	}
	if len(sel.cases) > 0 {
		return out, nil
	}
	if out, err = s.ledBy(ctx, r, sel.from, true); err != nil {
		return nil, err
	}
	if key != "" && sel.taker != uuid.Nil && sel.taker != sel.from {
		done, err := s.doneBefore(ctx, r, sel.taker, key)
		if err != nil {
			return nil, err
		}
		out = append(out, done...)
	}
	if len(out) > maxHandOver {
		return nil, &record.Problem{Kind: record.Refused, Field: "cases", Rule: "bulk limit", Message: "there are more cases than one call takes", Zh: "案件数量超过单次上限", Remedy: "name at most 1000 cases"}
	}
	return out, nil
}

// doneBefore finds the cases that an officer leads by now and in which the caller's call under this key was carried out.
func (s *Server) doneBefore(ctx context.Context, r reach, taker uuid.UUID, key string) ([]views.CaseRow, error) {
	rows, err := s.ledBy(ctx, r, taker, false)
	if err != nil {
		return nil, err
	}
	done := rows[:0]
	for _, row := range rows {
		id, err := commandID(visitOf(ctx).who.Officer, key, row.Program, row.ID)
		if err != nil {
			return nil, err
		}
		ok, err := s.options.Executor.Done(ctx, row.Program, row.ID, id)
		if err != nil {
			return nil, err
		}
		if ok {
			done = append(done, row)
		}
	}
	return done, nil
}

// ledBy lists the cases that an officer leads.
func (s *Server) ledBy(ctx context.Context, r reach, officer uuid.UUID, open bool) (out []views.CaseRow, err error) {
	q := views.CaseQuery{Reach: r.Reach, Officer: officer, OpenOnly: open, Limit: 500}
	for {
		rows, next, _, err := s.options.Views.Cases(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.Lead == officer {
				out = append(out, row)
			}
		}
		if next == "" {
			return out, nil
		}
		q.Cursor = next
	}
}

// sees tells whether a row lies within a reach.
func (r reach) sees(row views.CaseRow) bool {
	for _, v := range r.Villages {
		if v == row.Village {
			return true
		}
	}
	for _, h := range row.Handlers {
		if r.Officer != uuid.Nil && h == r.Officer {
			return true
		}
	}
	return r.All
}

// anyProgram is a program to name where a case is unknown; the answer is NotFound or Forbidden all the same.
func (s *Server) anyProgram() string {
	for _, k := range s.options.Catalog.Categories {
		if k.Case {
			return k.Name
		}
	}
	return ""
}
