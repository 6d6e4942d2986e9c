package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/projections/views"
)

// This file is reading from the command line: who reads is an officer like any other, what he may read is decided by the
// same rules, and the reading is in the record before anything is shown.

// reader is who reads, and why.
type reader struct {
	As      string `required:"" help:"Sign-in name of the officer who reads; it is recorded." placeholder:"LOGIN"`
	Purpose string `help:"What it is read for, ${default} when left out; it is recorded." default:"inspection" placeholder:"CODE"`
	Reason  string `help:"The reason in your words; it is recorded. What is sealed is read with one."`
}

// maxReason is the longest reason, in characters, as for the API.
const maxReason = 300

var (
	errPartSight = &record.Problem{Kind: record.Forbidden, Rule: "S-13, S-14", Message: "volunteers see only what they need of a file; they do not take it away or inspect it", Zh: "志愿者仅限按需知悉，不得导出或检查档案",
		Remedy: "ask the officer who is responsible"}
	errLongReason = &record.Problem{Kind: record.Invalid, Field: "reason", Message: "must be at most 300 characters of UTF-8", Zh: "须为不超过 300 字的 UTF-8 文本", Remedy: "shorten it"}
	inspectors    = []record.Grant{{Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}}
)

// visitor is a reader whose account was found.
type visitor struct {
	r       *records
	officer uuid.UUID
	posts   []uuid.UUID // in force, except those that see only a part of a file
	purpose access.Purpose
	reason  string
	session uuid.UUID // this run of the program
}

// visitor finds the reader's account and checks the purpose.
func (r *records) visitor(ctx context.Context, who reader) (*visitor, error) {
	v := &visitor{r: r, reason: strings.TrimSpace(who.Reason), session: uuid.New()}
	var ok bool
	if v.purpose, ok = access.PurposeOf(who.Purpose); !ok {
		var codes []string
		for _, p := range access.Purposes {
			codes = append(codes, p.Code)
		}
		return nil, &record.Problem{Kind: record.Invalid, Field: "purpose", Rule: "PIPL 6, 28, 51", Message: "is not a purpose of the list", Zh: "不在查阅目的目录中", Remedy: "use one of: " + strings.Join(codes, ", ")}
	}
	if !utf8.ValidString(v.reason) || utf8.RuneCountInString(v.reason) > maxReason {
		return nil, errLongReason
	}
	var err error
	if v.officer, err = r.officer(ctx, who.As); err != nil {
		return nil, err
	}
	o, _, err := r.exec.Officer(ctx, v.officer)
	if err != nil {
		return nil, err
	}
	active := o.Active(r.exec.Now())
	for _, task := range []bool{true, false} { // first the posts whose task the purpose is
		for _, post := range active {
			if post.Role != record.Volunteer && v.purpose.For(post.Role) == task {
				v.posts = append(v.posts, post.ID)
			}
		}
	}
	switch {
	case o.Disabled:
		return nil, &record.Problem{Kind: record.Forbidden, Field: "as", Message: "the account is closed", Zh: "账号已停用", Remedy: "read as an officer in service"}
	case len(active) == 0:
		return nil, commands.ErrNoPost
	case len(v.posts) == 0:
		return nil, errPartSight
	}
	return v, nil
}

// ask lets an inspector ask a question about the record as a whole, and records it. The answer shows the question too.
func (v *visitor) ask(ctx context.Context, question string) error {
	actor, err := v.r.exec.Authorise(ctx, v.officer, uuid.Nil, inspectors, commands.Place{}, record.T("监督检查查询", "ask an inspector's question"))
	if err != nil {
		return err
	}
	err = v.r.exec.RecordRead(ctx, commands.Reading{Actor: actor, Read: access.Read{What: access.Entries, Purpose: v.purpose.Code, Reason: v.reason, Session: v.session, Item: question}})
	if err != nil {
		return err
	}
	return v.r.settled(ctx)
}

// readable is a person's file, and how much of it the visitor may read.
type readable struct {
	*views.File
	by      *visitor
	person  uuid.UUID // whose file was asked for
	members []uuid.UUID
	actor   record.Actor
	cases   map[uuid.UUID]bool // that may be read
	streams []string           // that may be read
	own     bool               // the visitor is responsible in a case
	sealed  bool               // a sealed case is among those
}

// open opens a person's file, with those merged into it, and decides what of it the visitor may read. Nothing may be shown
// before record.
func (v *visitor) open(ctx context.Context, who uuid.UUID) (*readable, error) {
	out := &readable{by: v, person: who, cases: map[uuid.UUID]bool{}}
	var err error
	if out.members, err = v.r.oversight.Members(ctx, who); err != nil {
		return nil, err
	}
	sealed := map[uuid.UUID]bool{}
	for i, m := range out.members {
		one, err := v.r.views.File(ctx, m, record.At{})
		if err != nil {
			return nil, err
		}
		if i == 0 {
			out.File = one
		} else if out.File, err = out.With(one); err != nil {
			return nil, err
		}
		rows, err := v.r.views.CasesOf(ctx, m)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			sealed[row.ID] = row.Sealed
		}
		out.streams = append(out.streams, person.Stream(m))
	}
	places := []commands.Place{{Subject: who, Village: out.Person.Village}}
	for _, c := range out.Cases {
		places = append(places, commands.PlaceOf(c, nil))
	}
	if out.actor, err = v.mayRead(ctx, &person.Category, places...); err != nil {
		return nil, err
	}
	for i, c := range out.Cases {
		if p, ok := c.State.(casework.Program); ok && p.Core().Handles(v.officer) {
			out.own = true
		}
		actor, err := v.mayRead(ctx, c.Category, places[i+1])
		switch {
		case record.KindOf(err) == record.Forbidden:
			continue
		case err != nil:
			return nil, err
		case sealed[c.ID] && !v.purpose.Opens(actor.Role): // on a lawful ground only (S-16; 治安管理处罚法 136)
			continue
		}
		out.sealed = out.sealed || sealed[c.ID]
		out.cases[c.ID] = true
		out.streams = append(out.streams, c.Stream)
	}
	return out, nil
}

// mayRead finds a post in which the visitor may read something, at the first place that allows it.
func (v *visitor) mayRead(ctx context.Context, k *record.Category, places ...commands.Place) (actor record.Actor, err error) {
	for _, place := range places {
		for _, post := range v.posts {
			actor, err = v.r.exec.MayRead(ctx, v.officer, post, k, place)
			if err == nil || record.KindOf(err) != record.Forbidden || errors.Is(err, commands.ErrRecused) {
				return actor, err
			}
		}
	}
	return actor, err
}

// record records the reading: what is shown, and which part or question.
func (f *readable) record(ctx context.Context, what, item string) error {
	v := f.by
	o, _, err := v.r.exec.Officer(ctx, v.officer)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(f.members), func(m uuid.UUID) bool { return m == f.person })
	return v.r.exec.RecordRead(ctx, commands.Reading{Actor: f.actor, Person: f.person, Read: access.Read{
		What: what, People: others, Purpose: v.purpose.Code, Reason: v.reason, Own: f.own, Glass: !f.own && o.BrokeGlass(f.person, v.r.exec.Now()), Sealed: f.sealed, Session: v.session, Item: item,
	}})
}

// keep tells whether the entries of a stream may be shown.
func (f *readable) keep(file *record.File) bool {
	return file.Category.Name == person.Category.Name || f.cases[file.ID]
}

// directory names officers and units.
type directory struct {
	logins, officers, units map[uuid.UUID]string
}

func (r *records) directory(ctx context.Context) (*directory, error) {
	d := &directory{logins: map[uuid.UUID]string{commands.System: "system"}, officers: map[uuid.UUID]string{commands.System: "系统 (system)"}, units: map[uuid.UUID]string{}}
	officers, _, err := r.views.Officers(ctx, views.OfficerQuery{})
	if err != nil {
		return nil, err
	}
	for _, o := range officers {
		d.logins[o.ID], d.officers[o.ID] = o.Login, o.Name
	}
	all, _, err := r.views.Units(ctx)
	for _, u := range all {
		d.units[u.ID] = u.Name
	}
	return d, err
}

// login is how a table names an officer: an erased account by its id.
func (d *directory) login(id uuid.UUID) string {
	if s := d.logins[id]; s != "" {
		return s
	}
	return id.String()
}

// moment reads a day, in the zone of the record, or a time. Of a day, end is whether its end is meant.
func moment(field, text string, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation(record.Day, text, record.Zone)
	if err != nil {
		return t, &record.Problem{Kind: record.Invalid, Field: field, Message: "is neither a day nor a time", Remedy: "write 2026-03-01 or 2026-03-01T09:30:00+08:00"}
	}
	if end {
		t = views.EndOfDay(t)
	}
	return t, nil
}
