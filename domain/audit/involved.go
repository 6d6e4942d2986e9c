package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/record"
)

// This file proves again that nobody approved what concerns a person for whom he is responsible, in whichever case and
// whichever of the files that were merged then. Streams are checked one by one, and a person's cases are several streams,
// so who was responsible when, and who approved what when, is dealt out once more while they are checked, by person, and
// judged at the end. Only the links between files stay in memory: there are few.

// Kinds of what is dealt out again.
const (
	partKind     = "part"
	approvalKind = "approval"
	lookKind     = "look"
)

// casePart says where a case is, and who is responsible in it, from a position on; or where a person lives.
type casePart struct {
	Case     uuid.UUID   `json:"case"` // or the person's file
	Village  uuid.UUID   `json:"village,omitzero"`
	Open     bool        `json:"open,omitempty"`
	Officers []uuid.UUID `json:"officers,omitempty"` // those of a closed case may still read it
}

func (p casePart) same(q casePart) bool {
	return p.Case == q.Case && p.Village == q.Village && p.Open == q.Open && slices.Equal(p.Officers, q.Officers)
}

// consent is an approval that is to be judged.
type consent struct {
	Officer  uuid.UUID `json:"officer"`
	Case     uuid.UUID `json:"case,omitzero"` // the case at hand, which its own stream was judged by
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
}

// link says what a file is merged into from a position on; zero: into nothing.
type link struct {
	position uint64
	at       time.Time
	into     uuid.UUID
}

// involvement is what is kept for the judgement.
type involvement struct {
	mu    sync.Mutex
	spool *spool
	links map[uuid.UUID][]link
	// illegible are the people of whom something cannot be read.
	illegible map[uuid.UUID]bool
}

// involvementParts is how many files it is dealt out into; it is a small part of the journal.
const involvementParts = 32

func newInvolvement(dir string) (*involvement, error) {
	s, err := newSpool(dir, involvementParts)
	return &involvement{spool: s, links: map[uuid.UUID][]link{}, illegible: map[uuid.UUID]bool{}}, err
}

func (v *involvement) put(person uuid.UUID, kind string, position uint64, at time.Time, id uuid.UUID, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	name := record.StreamOf("person", person)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.spool.put(v.spool.partOf(name), journal.Stored{Stream: name, Type: kind, Position: position, Created: at, ID: id, Data: raw})
}

func (v *involvement) close() {
	if v != nil {
		v.spool.close()
	}
}

// involves keeps where the file is and who is responsible after an event, when that changed, and what it is merged into.
func (w *walk) involves(s journal.Stored, at time.Time) error {
	if !w.wants(Second) && !w.wants(Authority) {
		return nil
	}
	_, id, _ := record.SplitStream(s.Stream)
	part, who := casePart{Case: id, Village: commands.PlaceOf(w.file, nil).Village}, id
	switch state := w.file.State.(type) {
	case *person.Person:
		if state.MergedInto != w.mergedInto && !w.blind {
			w.mergedInto = state.MergedInto
			w.involved.mu.Lock()
			w.involved.links[id] = append(w.involved.links[id], link{s.Position, at, state.MergedInto})
			w.involved.mu.Unlock()
		}
	case casework.Program:
		c := state.Core()
		who, part.Open = c.Person, c.IsOpen() && !w.blind // of a file that cannot be read nobody can say who is responsible
		if !w.blind {
			for _, r := range c.Responsible {
				part.Officers = append(part.Officers, r.Officer)
			}
		}
	default:
		return nil
	}
	if part.same(w.part) {
		return nil
	}
	w.part = part
	return w.involved.put(who, partKind, s.Position, at, s.ID, part)
}

// consents keeps an approval for the judgement, once for each person whom it concerns. p is nil when the file is erased.
func (w *walk) consents(s journal.Stored, e record.Event, p *proposal) error {
	if !w.wants(Second) || e.Meta.Person == uuid.Nil {
		return nil
	}
	about := []uuid.UUID{e.Meta.Person}
	if p != nil {
		if row, ok := w.Catalog.Command(w.k.Name, p.data.Command); ok {
			if input, err := row.Parse(p.data.Input); err == nil {
				about = append(about, commands.Concerned(input)...)
			}
		}
	}
	for _, person := range about {
		err := w.involved.put(person, approvalKind, s.Position, e.Meta.RecordedAt, s.ID,
			consent{Officer: e.Meta.Actor, Case: e.Meta.Case, Stream: s.Stream, Revision: s.Revision})
		if err != nil {
			return err
		}
	}
	return nil
}

// judge looks at every approval in the light of all the person's cases. Files that were ever merged are judged together.
func (v *involvement) judge(ctx context.Context, a *audit) error {
	if err := v.spool.flush(); err != nil {
		return err
	}
	group := v.groups()
	together := map[uuid.UUID][]journal.Stored{}
	for n := range v.spool.parts {
		err := v.spool.each(n, a.Hold, func(streams []*stream) error {
			for _, s := range streams {
				if err := ctx.Err(); err != nil {
					return err
				}
				_, id, _ := record.SplitStream(s.name)
				if g, merged := group[id]; merged {
					together[g] = append(together[g], s.events...)
				} else if err := v.judgeGroup(a, s.events); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, events := range together {
		if err := v.judgeGroup(a, events); err != nil {
			return err
		}
	}
	return nil
}

// groups names, for each file that was ever merged with another, one file of all those that hang together.
func (v *involvement) groups() map[uuid.UUID]uuid.UUID {
	beside := map[uuid.UUID][]uuid.UUID{}
	for file, links := range v.links {
		for _, l := range links {
			if l.into != uuid.Nil {
				beside[file], beside[l.into] = append(beside[file], l.into), append(beside[l.into], file)
			}
		}
	}
	group := map[uuid.UUID]uuid.UUID{}
	for first := range beside {
		for todo := []uuid.UUID{first}; len(todo) > 0; todo = todo[1:] {
			if _, seen := group[todo[0]]; !seen {
				group[todo[0]] = first
				todo = append(todo, beside[todo[0]]...)
			}
		}
	}
	return group
}

// held is where a case, or a person's file, was and who was responsible in it, of whose person, oldest first.
type held struct {
	person uuid.UUID
	since  timeline[casePart]
	places []uint64 // in the journal, of since
}

// at is how it was before a position, as far as it was recorded by a moment.
func (h *held) at(position uint64, by time.Time) (p casePart) {
	for i := len(h.since) - 1; i >= 0; i-- {
		if h.places[i] < position && !h.since[i].at.After(by) {
			return h.since[i].state
		}
	}
	return p
}

// ever tells whether something held at any time before a position.
func (h *held) ever(position uint64, holds func(casePart) bool) bool {
	for i, s := range h.since {
		if h.places[i] < position && holds(s.state) {
			return true
		}
	}
	return false
}

func (v *involvement) judgeGroup(a *audit, events []journal.Stored) error {
	slices.SortStableFunc(events, func(a, b journal.Stored) int { return cmpUint(a.Position, b.Position) })
	cases := map[uuid.UUID]*held{}
	accused := map[uuid.UUID]bool{}
	for _, e := range events {
		_, person, _ := record.SplitStream(e.Stream)
		if e.Type == partKind {
			var p casePart
			if err := json.Unmarshal(e.Data, &p); err != nil {
				return err
			}
			h := cases[p.Case]
			if h == nil {
				h = &held{person: person}
				cases[p.Case] = h
			}
			h.since, h.places = append(h.since, since[casePart]{e.Created, p}), append(h.places, e.Position)
			continue
		}
		if e.Type == lookKind {
			var l look
			if err := json.Unmarshal(e.Data, &l); err != nil {
				return err
			}
			v.judgeLook(a, e, l, person, cases)
			continue
		}
		var c consent
		if err := json.Unmarshal(e.Data, &c); err != nil {
			return err
		}
		for id, h := range cases {
			if id == c.Case || accused[e.ID] || !v.takesPart(h, person, c.Officer, e.Position, e.Created.Add(a.Leeway)) {
				continue
			}
			sure := v.takesPart(h, person, c.Officer, e.Position, e.Created.Add(-a.Leeway))
			accused[e.ID] = true
			a.findPart(e, c, id, sure)
		}
	}
	return nil
}

func (a *audit) findPart(e journal.Stored, c consent, kase uuid.UUID, sure bool) {
	s := journal.Stored{Stream: c.Stream, Revision: c.Revision, Position: e.Position, ID: e.ID, Type: record.ApprovedType}
	if sure {
		a.find(at(s, Failure, Second, record.T("批准人当时是该人员另一案件的责任人", fmt.Sprintf("the officer who approved it was responsible in another case of the person, %s", kase)), ask))
		return
	}
	a.find(at(s, Note, Second, record.T("批准人在前后一分钟内成为该人员另一案件的责任人",
		fmt.Sprintf("the officer who approved it became responsible in another case of the person, %s, within %s of then", kase, a.Leeway)),
		record.T("若两者同时发生，属正常", "this is so when both happened at once")))
}

// takesPart tells whether an officer was responsible in a case of a person before a position, in a file that was one with
// the person's, as far as it was recorded by a moment.
func (v *involvement) takesPart(h *held, person, officer uuid.UUID, position uint64, by time.Time) bool {
	p := h.at(position, by)
	return p.Open && slices.Contains(p.Officers, officer) && v.root(h.person, position, by) == v.root(person, position, by)
}

// root is the file at the end of the links, as oversight.Root has it.
func (v *involvement) root(file uuid.UUID, position uint64, by time.Time) uuid.UUID {
	path := []uuid.UUID{file}
	for {
		last := path[len(path)-1]
		into := uuid.Nil
		for _, l := range v.links[last] {
			if l.position < position && !l.at.After(by) {
				into = l.into
			}
		}
		if into == uuid.Nil {
			return last
		}
		if i := slices.Index(path, into); i >= 0 {
			return slices.MinFunc(path[i:], func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		}
		path = append(path, into)
	}
}
