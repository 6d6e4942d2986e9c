package api

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/projections/views"
)

// Views is what the reads need of projections/views, which documents it.
type Views interface {
	Search(ctx context.Context, q views.SearchQuery) (rows []views.PersonRow, next string, position uint64, err error)
	Case(ctx context.Context, id uuid.UUID) (views.CaseRow, bool, error)
	Cases(ctx context.Context, q views.CaseQuery) (rows []views.CaseRow, next string, position uint64, err error)
	Worklist(ctx context.Context, q views.WorklistQuery) (rows []views.DutyRow, next string, counts map[string]int, position uint64, err error)
	Officers(ctx context.Context, q views.OfficerQuery) (rows []views.OfficerRow, position uint64, err error)
	Units(ctx context.Context) (list []units.Unit, position uint64, err error)
	Villages(ctx context.Context) ([]uuid.UUID, error)
	File(ctx context.Context, person uuid.UUID, at record.At) (*views.File, error)
	CaseFile(ctx context.Context, program string, id uuid.UUID, at record.At) (*record.File, error)
}

// Follower tells how far the views are.
type Follower interface {
	Wait(ctx context.Context, position uint64) error
}

// AtLeast is a parameter of every read: what a caller has just recorded, it can ask to see.
type AtLeast struct {
	Position uint64 `query:"atLeast" doc:"wait, for some seconds at most, until the answer shows this log position"`
}

// shown is the answer of a read, with the log position that it shows in body and header.
type shown[T any] struct {
	Position string `header:"Yidang-Position" doc:"log position that the answer shows"`
	ETag     string `header:"ETag" doc:"revision of the file, for If-Match; only where one file is shown as it is now"`
	Body     T
}

func show[T any](position uint64, body T) *shown[T] {
	return &shown[T]{Position: utoa(position), Body: body}
}

// wait waits for what the caller wants to see.
func (s *Server) wait(ctx context.Context, a AtLeast) error {
	if a.Position == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Limits.Wait)
	defer cancel()
	return awaited(s.options.Follower.Wait(ctx, a.Position))
}

// awaited names the parameter that asked to wait.
func awaited(err error) error {
	var p *record.Problem
	if errors.As(err, &p) {
		return p.At("atLeast")
	}
	return err
}

// moment reads a parameter that is a time or a day; a day means its end, so that asOf=2026-03-01 shows what had happened
// on that day.
func moment(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation(record.Day, text, record.Zone)
	if err != nil {
		return t, errWhen.At(field)
	}
	return views.EndOfDay(t), nil
}

// mayRead tells in which post the caller may read something, at the first place that allows it. Among posts that allow
// it, one that sees everything is preferred to one that sees only what it needs to know.
func (s *Server) mayRead(ctx context.Context, k *record.Category, places ...placeOf) (record.Actor, error) {
	who := visitOf(ctx).who.Officer
	var first record.Actor
	var refused error
	posts, err := s.posts(ctx)
	if err != nil {
		return first, err
	}
	for _, p := range places {
		for _, post := range posts {
			actor, err := s.options.Executor.MayRead(ctx, who, post.ID, k, p)
			switch {
			case err == nil && sightOf(actor.Role).all():
				return actor, nil
			case err == nil && first.Officer == uuid.Nil:
				first = actor
			case err != nil && (refused == nil || record.KindOf(err) != record.Forbidden || isRecusal(err)):
				refused = err
			}
			if isRecusal(err) {
				return record.Actor{}, err
			}
		}
	}
	if first.Officer != uuid.Nil {
		return first, nil
	}
	if refused == nil { // no post at all: the executor says so
		_, refused = s.options.Executor.MayRead(ctx, who, uuid.Nil, k, placeOf{})
	}
	return first, refused
}

// posts lists the caller's posts in force, first those whose task the purpose is that he named.
func (s *Server) posts(ctx context.Context) ([]staff.Post, error) {
	v := visitOf(ctx)
	o, _, err := s.options.Executor.Officer(ctx, v.who.Officer)
	posts := o.Active(s.options.Now())
	slices.SortStableFunc(posts, func(a, b staff.Post) int {
		switch x, y := v.why.purpose.For(a.Role), v.why.purpose.For(b.Role); {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return 0
	})
	return posts, err
}

// reach is how far a caller sees in lists, and how far of that everything.
type reach struct {
	record.Reach
	full record.Reach
	// office is the villages of the township offices among the posts: what these owe in sealed cases shows to them.
	office []uuid.UUID
	actor  record.Actor // in the first of the posts that may look
}

// reach asks the executor, post by post, so that a row can be shown as the best post allows.
func (s *Server) reach(ctx context.Context, grants []record.Grant) (out reach, err error) {
	who := visitOf(ctx).who.Officer
	villages, err := s.options.Views.Villages(ctx)
	if err != nil {
		return out, err
	}
	posts, err := s.posts(ctx)
	if err != nil {
		return out, err
	}
	granted := false
	for _, p := range posts {
		r, err := s.options.Executor.Reach(ctx, who, p.ID, grants, villages)
		if record.KindOf(err) == record.Forbidden {
			continue
		}
		if err != nil {
			return out, err
		}
		if !granted {
			granted, out.actor = true, record.Actor{Officer: who, Post: p.ID, Role: p.Role, Unit: p.Unit}
		}
		out.Reach = further(out.Reach, r)
		if p.Role == record.TownshipOffice {
			out.office = append(slices.Clip(out.office), r.Villages...)
		}
		if sightOf(p.Role).all() {
			out.full = further(out.full, r)
		}
	}
	if !granted { // the executor says why
		_, err = s.options.Executor.Reach(ctx, who, uuid.Nil, grants, villages)
	}
	return out, err
}

// further is as far as a and b together.
func further(a, b record.Reach) record.Reach {
	a.All = a.All || b.All
	if len(a.Villages) == 0 {
		a.Villages = b.Villages
	} else {
		for _, v := range b.Villages {
			if !slices.Contains(a.Villages, v) {
				a.Villages = append(slices.Clip(a.Villages), v)
			}
		}
	}
	if b.Officer != uuid.Nil {
		a.Officer = b.Officer
	}
	return a
}

// sight is how much of a row the caller sees.
func (r reach) sight(village uuid.UUID, handlers []uuid.UUID) sight {
	if r.full.All || slices.Contains(r.full.Villages, village) || r.full.Officer != uuid.Nil && slices.Contains(handlers, r.full.Officer) {
		return everything
	}
	return needToKnow
}

// readersOf are the grants to read any case, or the cases of one program.
func (s *Server) readersOf(program string) (grants []record.Grant) {
	for _, k := range s.options.Catalog.Categories {
		if k.Case && (program == "" || k.Name == program) {
			grants = append(grants, k.Readers...)
		}
	}
	return grants
}

// programs are the names of the categories of cases.
func (s *Server) programs() (names []string) {
	for _, k := range s.options.Catalog.Categories {
		if k.Case {
			names = append(names, k.Name)
		}
	}
	return names
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(record.Zone).Format(record.Day)
}

func unfound(what, zh string) error {
	return &record.Problem{Kind: record.NotFound, Message: "there is no such " + what, Zh: "没有这" + zh, Remedy: "take the id from a list or a search"}
}

func isRecusal(err error) bool {
	var p *record.Problem
	return errors.As(err, &p) && p.Rule == "回避"
}

func parsePosition(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, &record.Problem{Kind: record.Invalid, Field: "position", Rule: "log position", Message: "is not a log position", Zh: "不是日志位置", Remedy: "take it from an answer"}
	}
	return n, nil
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func (s *Server) allOfficers(ctx context.Context) ([]views.OfficerRow, error) {
	rows, _, err := s.options.Views.Officers(ctx, views.OfficerQuery{})
	return rows, err
}
