package api

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/projections/oversight"
	"yidang/projections/views"
)

type placeOf = commands.Place

type peopleQuery struct {
	AtLeast
	Text    string    `query:"q" maxLength:"60" doc:"name or part of it, pinyin, initials, citizen id (whole or its last four or more), phone; all people when left out"`
	Village uuid.UUID `query:"village" doc:"only of this village or community"`
	Program string    `query:"program" maxLength:"40" doc:"only with a case of this program, such as drugs"`
	Tier    string    `query:"tier" maxLength:"40" doc:"only with a case in this tier"`
	Open    bool      `query:"open" doc:"only with an open case"`
	Limit   int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor  string    `query:"cursor" maxLength:"400" doc:"next of the page before"`
}

// People is a page of people.
type People struct {
	Position uint64       `json:"position"`
	People   []PersonItem `json:"people" nullable:"false"`
	Next     string       `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

// PersonItem is a person in a list. Citizen id and phone are masked.
type PersonItem struct {
	ID        uuid.UUID  `json:"id"`
	Name      string     `json:"name"`
	CitizenID string     `json:"citizenId,omitempty" doc:"masked but for the last four"`
	Sex       int        `json:"sex"`
	Birth     string     `json:"birth,omitempty"`
	Phone     string     `json:"phone,omitempty" doc:"masked"`
	Village   uuid.UUID  `json:"village,omitzero"`
	Died      bool       `json:"died,omitempty"`
	Erased    bool       `json:"erased,omitempty" doc:"the content was destroyed"`
	Cases     []CaseHead `json:"cases" nullable:"false" doc:"those the caller may read"`
}

// Person is the head of a file.
type Person struct {
	ID           uuid.UUID             `json:"id"`
	Revision     uint64                `json:"revision" doc:"for If-Match of the person's commands"`
	Name         string                `json:"name"`
	CitizenID    string                `json:"citizenId,omitempty"`
	NoCardReason string                `json:"noCardReason,omitempty"`
	Sex          int                   `json:"sex" doc:"GB/T 2261.1"`
	Birth        string                `json:"birth,omitempty"`
	Ethnicity    string                `json:"ethnicity,omitempty" doc:"GB/T 3304"`
	Phone        string                `json:"phone,omitempty"`
	Village      uuid.UUID             `json:"village,omitzero"`
	Household    string                `json:"household,omitempty"`
	Residence    string                `json:"residence,omitempty"`
	Family       []person.FamilyMember `json:"family,omitempty"`
	Died         string                `json:"died,omitempty"`
	Erased       bool                  `json:"erased,omitempty"`
	Merged       []uuid.UUID           `json:"merged,omitempty" doc:"other files of the same person, which are shown with this one"`
}

// File is one person's file: the person, every case the caller may read, and the newest lines of the timeline.
type File struct {
	Position uint64   `json:"position"`
	AsOf     string   `json:"asOf,omitempty"`
	KnownAt  string   `json:"knownAt,omitempty"`
	Person   Person   `json:"person"`
	Cases    []Case   `json:"cases" nullable:"false"`
	Timeline Timeline `json:"timeline"`
}

// Moments are the parameters of a read of the past.
type Moments struct {
	AtLeast
	AsOf    string `query:"asOf" maxLength:"40" doc:"a day or RFC 3339 time: only what had happened by then"`
	KnownAt string `query:"knownAt" maxLength:"40" doc:"a day or RFC 3339 time: only what had been recorded by then, corrections included"`
}

type fileQuery struct {
	Moments
	ID uuid.UUID `path:"id" doc:"of the person"`
}

func (s *Server) peopleRoutes() {
	who := "\n\nWho may: " + grantText(person.Category.Readers) + "."
	read(s, huma.Operation{OperationID: "people", Metadata: map[string]any{recorded: true}, Path: "/v1/people", Tags: []string{"read"}, Summary: "Search people (查找人员)",
		Description: "People the caller may read, by name, pinyin, initials, citizen id or phone." + who}, s.people)
	read(s, huma.Operation{OperationID: "file", Metadata: map[string]any{recorded: true}, Path: "/v1/people/{id}", Tags: []string{"read"}, Summary: "One person's file (一人一档)",
		Description: "The person, each case the caller may read, and the newest 50 lines of the timeline; as of a day, as known at a day. Always current." + who}, s.file)
	read(s, huma.Operation{OperationID: "timeline", Metadata: map[string]any{recorded: true}, Path: "/v1/people/{id}/timeline", Tags: []string{"read"}, Summary: "A file's timeline (时间线)",
		Description: "Every entry, newest first, with both clocks and the lag between them; an entry that was voided stays and names the void." + who}, s.timeline)
}

func (s *Server) people(ctx context.Context, in *peopleQuery) (*shown[People], error) {
	r, err := s.reach(ctx, person.Category.Readers)
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	rows, next, position, err := s.options.Views.Search(ctx, views.SearchQuery{Text: in.Text, Reach: r.Reach, Village: in.Village, Program: in.Program, Tier: in.Tier, OpenOnly: in.Open, Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	if err := s.recordHits(ctx, peopleShown(rows, r.actor.Officer), r.actor); err != nil {
		return nil, err
	}
	out := People{Position: position, People: make([]PersonItem, 0, len(rows)), Next: next}
	for _, row := range rows {
		out.People = append(out.People, personItem(row, r))
	}
	return show(position, out), nil
}

func personItem(row views.PersonRow, r reach) PersonItem {
	p := PersonItem{ID: row.ID, Name: row.Name, CitizenID: row.CitizenID, Sex: row.Sex, Birth: dayText(row.Birth), Phone: row.Phone, Village: row.Village, Died: row.Died, Erased: row.Erased, Cases: []CaseHead{}}
	var handlers []uuid.UUID
	for _, c := range row.Cases {
		handlers = append(handlers, c.Handlers...)
		if c.Sealed && !r.All {
			continue
		}
		head := caseHead(c)
		r.sight(c.Village, c.Handlers).caseHead(&head)
		p.Cases = append(p.Cases, head)
	}
	r.sight(row.Village, handlers).personRow(&p)
	return p
}

// opened is a file that the caller may read, with what of it.
type opened struct {
	*views.File
	// members are the person's files: the one that is worked in, then those merged into it.
	members []uuid.UUID
	actor   record.Actor
	sight   sight
	cases   []*record.File      // those the caller may read
	sights  map[uuid.UUID]sight // by case
	sealed  map[uuid.UUID]bool  // by case, now, whatever day is shown
	hidden  map[uuid.UUID]bool  // sealed, and shown without content
}

// open reads a file and decides what the caller sees of it, by how it stands now; what is shown may be of another day. The
// reading is in the record when it returns: what says what is shown, kase of which case, zero for the whole file.
func (s *Server) open(ctx context.Context, what string, id, kase uuid.UUID, at record.At) (*opened, error) {
	members, now, err := s.whole(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &opened{File: now, members: members, sights: map[uuid.UUID]sight{}, sealed: map[uuid.UUID]bool{}, hidden: map[uuid.UUID]bool{}}
	places := []placeOf{{Subject: id, Village: now.Person.Village}}
	for _, c := range now.Cases {
		places = append(places, commands.PlaceOf(c, nil))
	}
	if out.actor, err = s.mayRead(ctx, &person.Category, places...); err != nil {
		return nil, err
	}
	out.sight = sightOf(out.actor.Role)
	if p, ok := wholeOnly[what]; ok && !out.sight.all() {
		return nil, p
	}
	for i, c := range now.Cases {
		actor, err := s.mayRead(ctx, c.Category, places[i+1])
		if record.KindOf(err) == record.Forbidden {
			continue
		}
		if err != nil {
			return nil, err
		}
		out.sights[c.ID] = sightOf(actor.Role)
		out.sealed[c.ID], out.hidden[c.ID] = isSealed(c), s.hidden(ctx, c, actor.Role)
	}
	if at != (record.At{}) {
		if out.File, err = now.At(at); err != nil {
			return nil, err
		}
		if !out.Main.Exists && len(out.Cases) == 0 {
			return nil, &record.Problem{Kind: record.NotFound, Field: "asOf", Rule: "two clocks", Message: "there was nothing in this file then", Zh: "当时档案中尚无内容", Remedy: "choose a later day"}
		}
	}
	others := slices.DeleteFunc(slices.Clone(members), func(m uuid.UUID) bool { return m == id })
	shown := looked{what: what, person: id, people: others, kase: kase, actor: out.actor, own: ownCaseload(now.Cases, out.actor.Officer)}
	for _, c := range out.Cases {
		if _, ok := out.sights[c.ID]; ok {
			out.cases = append(out.cases, c)
			shown.sealed = shown.sealed || out.sealed[c.ID] && !out.hidden[c.ID]
		}
	}
	return out, s.recordRead(ctx, shown)
}

// whole reads a person's file with those that are merged with it; the one that is worked in comes first.
func (s *Server) whole(ctx context.Context, id uuid.UUID) (members []uuid.UUID, f *views.File, err error) {
	members = []uuid.UUID{id}
	if s.options.Oversight != nil {
		all, err := s.options.Oversight.Members(ctx, id)
		switch {
		case err == nil:
			members = all
		case !errors.Is(err, oversight.ErrBuilding): // while the index is built, files stand alone
			return nil, nil, err
		}
	}
	for i, m := range members {
		one, err := s.options.Views.File(ctx, m, record.At{})
		switch {
		case err != nil:
			return nil, nil, err
		case i == 0:
			f = one
		default:
			if f, err = f.With(one); err != nil {
				return nil, nil, err
			}
		}
	}
	return members, f, nil
}

// hidden tells whether a case is sealed from the caller: its content is shown on a lawful ground only, which the caller
// names as the purpose of reading and which is for his role, and each such reading is recorded (S-16; 治安管理处罚法 136).
func (s *Server) hidden(ctx context.Context, c *record.File, role record.Role) bool {
	return isSealed(c) && !visitOf(ctx).why.purpose.Opens(role)
}

func (m Moments) moments() (at record.At, err error) {
	if at.AsOf, err = moment("asOf", m.AsOf); err != nil {
		return at, err
	}
	at.KnownAt, err = moment("knownAt", m.KnownAt)
	return at, err
}

func (s *Server) file(ctx context.Context, in *fileQuery) (*shown[File], error) {
	at, err := in.moments()
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	f, err := s.open(ctx, access.File, in.ID, uuid.Nil, at)
	if err != nil {
		return nil, err
	}
	out := File{Position: f.Position, AsOf: in.AsOf, KnownAt: in.KnownAt, Person: personHead(f), Cases: []Case{}}
	f.sight.person(&out.Person)
	for _, c := range f.cases {
		out.Cases = append(out.Cases, s.caseFile(c, f, at.AsOf))
	}
	if out.Timeline, err = f.page(uuid.Nil, views.LineQuery{Limit: 50}); err != nil {
		return nil, err
	}
	return show(f.Position, out), nil
}

func personHead(f *opened) Person {
	q := f.File.Person
	return Person{ID: f.members[0], Merged: f.members[1:], Revision: f.Main.Revision, Erased: f.Main.Erased, Name: q.Name, CitizenID: q.CitizenID, NoCardReason: q.NoCardReason, Sex: q.Sex,
		Birth: dayText(q.Birth), Ethnicity: q.Ethnicity, Phone: q.Phone, Village: q.Village, Household: q.Household, Residence: q.Residence,
		Family: slices.Clone(q.Family), Died: dayText(q.Died)}
}

// today is the day that duties are judged by: the day asked for, or the present one.
func (s *Server) today(asOf time.Time) time.Time {
	if asOf.IsZero() {
		return record.DayOf(s.options.Now())
	}
	return record.DayOf(asOf)
}
