package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// This file is the one place that decides who may do and read what: from the posts of the officer, the grants of the row,
// and where the file belongs. Nothing else in the program compares a role.

// Refusals of authority.
var (
	ErrNoPost  = &record.Problem{Kind: record.Forbidden, Message: "the officer has no post in force", Zh: "没有有效岗位", Remedy: "ask the administrator to grant a post"}
	ErrRecused = &record.Problem{Kind: record.Forbidden, Rule: "回避", Message: "the officer declared a recusal for this person", Zh: "本人已对该人员申请回避",
		Remedy: "leave it to a colleague"}
)

// Place says where something belongs, as far as authority goes.
type Place struct {
	Village uuid.UUID            // zero: nowhere in particular
	Subject uuid.UUID            // the person, zero: none
	Handles func(uuid.UUID) bool // whether an officer is responsible here; nil: nobody is
	Account uuid.UUID            // whose account it is, zero: none
}

type placed interface{ VillageID() uuid.UUID }

// PlaceOf takes the place of a file from its state, or from the input that begins it.
func PlaceOf(f *record.File, input any) Place {
	var p Place
	if f.Category.Name == staff.Category.Name && f.Exists {
		p.Account = f.ID
	}
	from := f.State
	if !f.Exists {
		from = input
	}
	if v, ok := from.(placed); ok {
		p.Village = v.VillageID()
	}
	if s, ok := from.(subject); ok {
		p.Subject = s.Subject()
	}
	if h, ok := from.(interface{ Handles(uuid.UUID) bool }); ok && f.Exists {
		p.Handles = h.Handles
	}
	return p
}

func (x *Executor) authorise(ctx context.Context, row *record.CommandRow, r Request, f *record.File) (record.Actor, error) {
	actor, err := x.Authorise(ctx, r.Officer, r.Post, row.Grants, PlaceOf(f, r.Input), row.Title)
	if p, ok := err.(*record.Problem); ok && p.Rule == postsRule {
		named := *p
		named.Rule = row.Source
		err = &named
	}
	return actor, err
}

// MayRead tells in which post an officer may read a file.
func (x *Executor) MayRead(ctx context.Context, officer, post uuid.UUID, k *record.Category, p Place) (record.Actor, error) {
	actor, err := x.Authorise(ctx, officer, post, k.Readers, p, record.T("查阅"+k.Title.Zh, "read "+strings.ToLower(k.Title.En)))
	if record.KindOf(err) == record.Forbidden && p.Subject != uuid.Nil && !errors.Is(err, ErrRecused) {
		if glass, ok := x.throughGlass(ctx, officer, post, p.Subject); ok {
			return glass, nil
		}
	}
	return actor, err
}

// throughGlass finds the post of an officer for whom an emergency reading of a person's file is in force.
func (x *Executor) throughGlass(ctx context.Context, officer, post, person uuid.UUID) (record.Actor, bool) {
	o, ok, err := x.Officer(ctx, officer)
	if err != nil || !ok || !o.BrokeGlass(person, x.Now()) {
		return record.Actor{}, false
	}
	for _, po := range o.Active(x.Now()) {
		if post == uuid.Nil || po.ID == post {
			return record.Actor{Officer: officer, Post: po.ID, Role: po.Role, Unit: po.Unit}, true
		}
	}
	return record.Actor{}, false
}

// Authorise finds the post in which an officer may do what the grants allow, at a place. post narrows it to one; zero means
// any. The problem says which roles could.
func (x *Executor) Authorise(ctx context.Context, officer, post uuid.UUID, grants []record.Grant, p Place, what record.Text) (record.Actor, error) {
	if officer == System {
		return x.system(grants, what)
	}
	posts, err := x.posts(ctx, officer, post)
	if err != nil {
		return record.Actor{}, err
	}
	if len(posts.active) == 0 {
		return record.Actor{}, ErrNoPost
	}
	for _, po := range posts.active {
		for _, g := range grants {
			if !slices.Contains(g.Roles, po.Role) {
				continue
			}
			ok, err := x.within(ctx, g.Scope, po, officer, p)
			if err != nil {
				return record.Actor{}, err
			}
			if !ok {
				continue
			}
			if p.Subject != uuid.Nil && slices.Contains(posts.recused, p.Subject) {
				return record.Actor{}, ErrRecused
			}
			return record.Actor{Officer: officer, Post: po.ID, Role: po.Role, Unit: po.Unit}, nil
		}
	}
	return record.Actor{}, forbidden(grants, what)
}

type posts struct {
	active  []staff.Post
	recused []uuid.UUID
}

func (x *Executor) posts(ctx context.Context, officer, post uuid.UUID) (p posts, err error) {
	err = x.files.look(ctx, []string{staff.Stream(officer)}, func(files map[string]*record.File) error {
		o := files[staff.Stream(officer)].State.(*staff.Officer)
		p.active, p.recused = o.Active(x.Now()), slices.Clone(o.Recused)
		return nil
	})
	if post != uuid.Nil {
		p.active = slices.DeleteFunc(p.active, func(po staff.Post) bool { return po.ID != post })
	}
	return p, err
}

func (x *Executor) within(ctx context.Context, scope record.Scope, po staff.Post, officer uuid.UUID, p Place) (bool, error) {
	switch scope {
	case record.Anywhere:
		return true, nil
	case record.Self:
		return p.Account == officer, nil
	case record.Caseload:
		return p.Handles != nil && p.Handles(officer), nil
	case record.InUnit:
		return x.covers(ctx, po.Unit, p.Village)
	}
	return false, fmt.Errorf("unknown scope %q", scope)
}

// covers tells whether a village belongs to a unit. The answers are remembered until a unit changes.
func (x *Executor) covers(ctx context.Context, unit, village uuid.UUID) (bool, error) {
	known := x.covered.Load() // before looking: what changes meanwhile has put another in its place
	if had, ok := known.Get([2]uuid.UUID{unit, village}); ok {
		return had, nil
	}
	ok, err := x.walkUnits(ctx, unit, village)
	if err == nil {
		known.Add([2]uuid.UUID{unit, village}, ok)
	}
	return ok, err
}

// unitChanged forgets which villages belong to which units when the stream is a unit's.
func (x *Executor) unitChanged(stream string) {
	if strings.HasPrefix(stream, units.Category.Name+"-") {
		x.covered.Store(newCovered())
	}
}

type covered = lru.Cache[[2]uuid.UUID, bool] // by unit and village

func newCovered() *covered {
	c, err := lru.New[[2]uuid.UUID, bool](16_384)
	if err != nil {
		panic(err) // only for a size below one
	}
	return c
}

// walkUnits walks the tree of units, which the cache holds.
func (x *Executor) walkUnits(ctx context.Context, unit, village uuid.UUID) (bool, error) {
	var failed error
	get := func(id uuid.UUID) *units.Unit {
		var u *units.Unit
		stream := record.StreamOf("unit", id)
		err := x.files.look(ctx, []string{stream}, func(files map[string]*record.File) error {
			if f := files[stream]; f.Exists {
				c := *f.State.(*units.Unit)
				u = &c
			}
			return nil
		})
		if err != nil {
			failed = err
		}
		return u
	}
	ok := units.Covers(unit, village, get)
	return ok && failed == nil, failed
}

// serving works out, before anything is kept still for a decision, which units of the needed officers' posts reach a village.
func (x *Executor) serving(ctx context.Context, needs []string, village uuid.UUID) (func(uuid.UUID) bool, error) {
	reach := map[uuid.UUID]bool{}
	for _, s := range needs {
		kind, id, _ := record.SplitStream(s)
		if kind != staff.Category.Name {
			continue
		}
		p, err := x.posts(ctx, id, uuid.Nil)
		if err != nil {
			return nil, err
		}
		for _, po := range p.active {
			if reach[po.Unit], err = x.covers(ctx, po.Unit, village); err != nil {
				return nil, err
			}
		}
	}
	return func(unit uuid.UUID) bool { return reach[unit] }, nil
}

func (x *Executor) system(grants []record.Grant, what record.Text) (record.Actor, error) {
	for _, g := range grants {
		if slices.Contains(g.Roles, record.Administrator) && g.Scope == record.Anywhere {
			return record.Actor{Officer: System, Role: record.Administrator}, nil
		}
	}
	return record.Actor{}, forbidden(grants, what)
}

// postsRule is why what an officer may do is bound to posts; a command's refusal names the command's own clause.
const postsRule = "PIPL 51(4)"

func forbidden(grants []record.Grant, what record.Text) *record.Problem {
	var zh, en []string
	for _, g := range grants {
		for _, r := range g.Roles {
			for _, known := range record.Roles {
				if known.Role == r {
					zh, en = append(zh, known.Title.Zh), append(en, known.Title.En)
				}
			}
		}
	}
	return &record.Problem{
		Kind: record.Forbidden, Rule: postsRule, Message: "your posts do not allow this here: " + what.En, Zh: "您的岗位无权在此操作：" + what.Zh,
		Remedy: "it is for: " + strings.Join(en, ", ") + " (" + strings.Join(zh, "、") + ") responsible for this village, file or account",
	}
}

// Reach works out how far an officer may see among files with these readers; villages are all there are.
func (x *Executor) Reach(ctx context.Context, officer, post uuid.UUID, readers []record.Grant, villages []uuid.UUID) (record.Reach, error) {
	posts, err := x.posts(ctx, officer, post)
	if err != nil {
		return record.Reach{}, err
	}
	var out record.Reach
	granted := false
	for _, po := range posts.active {
		for _, g := range readers {
			if !slices.Contains(g.Roles, po.Role) {
				continue
			}
			granted = true
			switch g.Scope {
			case record.Anywhere:
				out.All = true
			case record.Caseload:
				out.Officer = officer
			case record.InUnit:
				for _, v := range villages {
					ok, err := x.covers(ctx, po.Unit, v)
					if err != nil {
						return record.Reach{}, err
					}
					if ok && !slices.Contains(out.Villages, v) {
						out.Villages = append(out.Villages, v)
					}
				}
			}
		}
	}
	if !granted {
		return record.Reach{}, forbidden(readers, record.T("查阅名单", "read lists"))
	}
	return out, nil
}

// Officer gives a copy of an officer's state; ok is false when there is none.
func (x *Executor) Officer(ctx context.Context, id uuid.UUID) (o staff.Officer, ok bool, err error) {
	err = x.files.look(ctx, []string{staff.Stream(id)}, func(files map[string]*record.File) error {
		f := files[staff.Stream(id)]
		ok = f.Exists && !f.Erased
		o = *f.State.(*staff.Officer)
		o.Posts, o.Tokens, o.SignedOut, o.Glass = slices.Clone(o.Posts), slices.Clone(o.Tokens), slices.Clone(o.SignedOut), slices.Clone(o.Glass)
		return nil
	})
	return o, ok, err
}
