package audit_test

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// forger writes past the program: well sealed events, straight into the journal, as whoever holds the machine and the
// vault can.
type forger struct {
	*world
	lives
	forged []uuid.UUID
	serial int
}

// fact is one forged event; meta changes what a rightful one of the township office would say.
type fact struct {
	data any
	meta func(*record.Meta)
}

// put appends forged events in one append, by one command, and gives the id of the last.
func (f *forger) put(stream string, facts ...fact) uuid.UUID {
	f.t.Helper()
	k, ok := f.Exec.Catalog.Of(stream)
	if !ok {
		f.t.Fatalf("no category of %s", stream)
	}
	rules, err := f.Exec.Rules(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	by := f.actor(f.Officers[record.TownshipOffice])
	_, id, _ := record.SplitStream(stream)
	now := f.Clock.Now().UTC().Truncate(time.Millisecond)
	command := uuid.New()
	var events []journal.Proposed
	for _, fact := range facts {
		row, ok := k.EventFor(fact.data)
		if !ok {
			f.t.Fatalf("%s has no %T", k.Name, fact.data)
		}
		e := record.Event{ID: uuid.New(), Stream: stream, Type: row.Name, Data: fact.data, Meta: record.Meta{
			Form: row.Form(), Actor: by.Officer, Post: by.Post, Role: by.Role, Unit: by.Unit, OccurredAt: now, RecordedAt: now,
			Command: command, Correlation: command, Causation: command, Policy: rules.Version, Basis: "D-09; D-10; D-11"}}
		if k.Case {
			e.Meta.Case, e.Meta.Person = id, f.subject(stream)
		} else if k.Name == "person" {
			e.Meta.Person = id
		}
		if fact.meta != nil {
			fact.meta(&e.Meta)
		}
		p, err := f.Exec.Codec.Seal(f.t.Context(), e)
		if err != nil {
			f.t.Fatal(err)
		}
		events = append(events, p)
		f.forged = append(f.forged, e.ID)
	}
	f.raw(stream, events...)
	return events[len(events)-1].ID
}

func (f *forger) raw(stream string, events ...journal.Proposed) {
	f.t.Helper()
	if _, err := f.Journal.Append(f.t.Context(), stream, journal.Any, events...); err != nil {
		f.t.Fatal(err)
	}
}

// subject is the person whom the events of a case name.
func (f *forger) subject(stream string) uuid.UUID {
	f.t.Helper()
	var m record.Meta
	if err := json.Unmarshal(f.stored(stream)[0].Meta, &m); err != nil {
		f.t.Fatal(err)
	}
	return m.Person
}

func (f *forger) actor(officer uuid.UUID) record.Actor {
	f.t.Helper()
	o, ok, err := f.Exec.Officer(f.t.Context(), officer)
	if err != nil || !ok {
		f.t.Fatal(officer, ok, err)
	}
	p := o.Posts[len(o.Posts)-1]
	return record.Actor{Officer: officer, Post: p.ID, Role: p.Role, Unit: p.Unit}
}

// by changes the actor, as gives the basis.
func by(a record.Actor, more ...func(*record.Meta)) func(*record.Meta) {
	return func(m *record.Meta) {
		m.Actor, m.Post, m.Role, m.Unit = a.Officer, a.Post, a.Role, a.Unit
		for _, f := range more {
			f(m)
		}
	}
}

func as(basis string) func(*record.Meta) { return func(m *record.Meta) { m.Basis = basis } }

func after(proposal uuid.UUID, basis string) func(*record.Meta) {
	return func(m *record.Meta) { m.Causation, m.Basis = proposal, basis }
}

const (
	closing   = "戒毒条例 7, 22–24"
	tiering   = "D-08…D-11; S-15"
	appealing = "S-15; PIPL 24"
	twoParty  = "two-person rule"
)

// fresh is a case of its own, with a proposal to close it.
func (f *forger) fresh() (stream string, id uuid.UUID, proposal uuid.UUID) {
	f.t.Helper()
	f.serial += 2
	_, id = f.openCase(101 + f.serial)
	r := f.As(record.TownshipOffice, "drugs", "drugs.close_case", id, drugs.CloseCase{Reason: "withdrawn"})
	return record.StreamOf("drugs", id), id, r.Proposal
}

// secondCase opens another case of a person, in which an officer is responsible, and lets an hour pass.
func (f *forger) secondCase(who, officer uuid.UUID) {
	f.t.Helper()
	id := f.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: f.Here, Kind: drugs.Voluntary}).ID
	f.As(record.TownshipOffice, "drugs", "casework.assign_responsible", id, casework.AssignResponsible{Officer: officer, Role: record.CommunityPolice})
	f.Clock.Advance(time.Hour)
}

// approvedClose are the two events that close a case.
func approvedClose(approver record.Actor, proposal uuid.UUID) []fact {
	return []fact{{record.Approved{Proposal: proposal}, by(approver, as(twoParty))}, {drugsClosed, after(proposal, closing)}}
}

var (
	drugsClosed = casework.Closed{Reason: "withdrawn"}
	met         = casework.VisitRecorded{Outcome: casework.Met, Note: "在家"}
)

// odd appends an event as it is.
func (f *forger) odd(stream, kind string, data, meta []byte) uuid.UUID {
	f.t.Helper()
	if data == nil {
		data = []byte(`{"name":"前进村"}`)
	}
	if meta == nil {
		meta = f.stored(record.StreamOf("unit", f.Here))[0].Meta
	}
	id := uuid.New()
	f.forged = append(f.forged, id)
	f.raw(stream, journal.Proposed{ID: id, Type: kind, Meta: meta, Data: data, Binary: data[0] != '{'})
	return id
}
