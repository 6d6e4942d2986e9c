package audit_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/audit"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// read puts the record of a reading in a session's stream, past the program.
func (f *forger) read(by record.Actor, who uuid.UUID, d access.Read) uuid.UUID {
	stream := uuid.New()
	if d.Session == uuid.Nil {
		d.Session = stream
	}
	return f.put(record.StreamOf(access.Category.Name, stream), fact{d, func(m *record.Meta) {
		m.Actor, m.Post, m.Role, m.Unit, m.Person, m.Policy, m.Basis = by.Officer, by.Post, by.Role, by.Unit, who, "", "PIPL 51, 55"
	}})
}

// readings are those that the program would have refused.
var readings = []forgery{
	{"read after the post ended", audit.Authority, "was not in force then", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.former), f.person, access.Read{What: access.File, Purpose: "stand-in"})
	}},
	{"read in another role", audit.Authority, "the post was that of", func(f *forger) uuid.UUID {
		a := f.actor(f.Officers[record.VillageCadre])
		a.Role = record.Inspector
		return f.read(a, f.person, access.Read{What: access.File, Purpose: "inspection"})
	}},
	{"read in spite of a recusal", audit.Authority, "declared a recusal", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.Colleague), f.person, access.Read{What: access.File, Purpose: "stand-in"})
	}},
	{"read for a purpose of others", audit.Authority, "not for your post", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.Officers[record.VillageCadre]), f.person, access.Read{What: access.File, Purpose: "inspection"})
	}},
	{"read for no purpose", audit.Authority, "without a purpose", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.read(f.actor(f.Officers[record.VillageCadre]), f.subject(stream), access.Read{What: access.Timeline})
	}},
	{"what is sealed on no lawful ground", audit.Authority, "lawful ground", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.Officers[record.Inspector]), f.person, access.Read{What: access.File, Purpose: "supervision", Sealed: true, Reason: "看看"})
	}},
	{"read in another's session", audit.Authority, "of another session", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.Officers[record.Inspector]), f.person, access.Read{What: access.File, Purpose: "inspection", Session: uuid.New()})
	}},
	{"read in an emergency that nobody declared", audit.Authority, "no emergency reading", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.Officers[record.VillageCadre]), f.person, access.Read{What: access.File, Purpose: "emergency", Glass: true})
	}},
	{"read from another village", audit.Authority, "did not reach the file", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.read(f.actor(f.Officer("t.r"+uuid.NewString()[:8], 1, record.VillageCadre, f.There)), f.subject(stream), access.Read{What: access.File, Purpose: "stand-in"})
	}},
	{"an analyst reads a file", audit.Authority, "did not reach the file", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.read(f.actor(f.Officers[record.Analyst]), f.subject(stream), access.Read{What: access.File, Own: true})
	}},
	{"a caseload that is not his", audit.Authority, "was not responsible in any case", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.read(f.actor(f.Officers[record.CommunityPolice]), f.subject(stream), access.Read{What: access.File, Own: true})
	}},
	{"a file of nobody", audit.Authority, "did not reach the file", func(f *forger) uuid.UUID {
		return f.read(f.actor(f.Officers[record.VillageCadre]), uuid.New(), access.Read{What: access.File, Purpose: "stand-in"})
	}},
}

// Ensure that readings as they are allowed are accused of nothing: in one's own caseload, also of a closed case and of a file
// that is merged with it, as a volunteer, in an emergency, and in a list; and that one whose reason had just ended is noted.
func TestReadings(t *testing.T) {
	w := start(t)
	f := &forger{world: w}
	who, id := w.openCase(1)
	same := w.Person(3)
	cadre, volunteer, police := w.Officers[record.VillageCadre], w.Officers[record.Volunteer], w.Officers[record.CommunityPolice]
	assign := func(officer uuid.UUID, role record.Role) {
		w.As(record.TownshipOffice, "drugs", "casework.assign_responsible", id, casework.AssignResponsible{Officer: officer, Role: role})
	}
	assign(cadre, record.VillageCadre)
	assign(volunteer, record.Volunteer)
	read := func(officer, who uuid.UUID, d access.Read) {
		t.Helper()
		d.Session = uuid.New()
		if err := w.Exec.RecordRead(t.Context(), commands.Reading{Actor: f.actor(officer), Person: who, Read: d}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Second)
	}
	read(cadre, who, access.Read{What: access.File, Own: true})
	read(volunteer, who, access.Read{What: access.Timeline, Own: true})
	read(police, who, access.Read{What: access.File, Purpose: "stand-in"})
	read(cadre, uuid.Nil, access.Read{What: access.Hit, People: []uuid.UUID{same}})
	elsewhere := w.Officer("t.elsewhere", 1, record.VillageCadre, w.There)
	w.Must(commands.Request{Category: "officer", Command: "officer.break_glass", ID: elsewhere, Officer: elsewhere, Input: staff.BreakGlass{Person: who, Reason: "突发昏迷需核实用药"}})
	read(elsewhere, who, access.Read{What: access.File, Purpose: "emergency", Glass: true})
	w.approve("person", same, w.As(record.TownshipOffice, "person", "person.merge", same, person.Merge{Into: who, Reason: "经核实为同一人"}).Proposal, police)
	w.Clock.Advance(time.Second)
	read(volunteer, same, access.Read{What: access.File, Own: true, People: []uuid.UUID{who}})

	w.sign(w.notaryDir())
	_, found := w.verify()
	for _, x := range found {
		if x.Check == audit.Authority {
			t.Errorf("accused without a reason:%s", show([]audit.Finding{x}))
		}
	}

	w.Clock.Advance(time.Hour)
	w.As(record.TownshipOffice, "drugs", "casework.end_responsible", id, casework.EndResponsible{Officer: cadre, Reason: "工作调整"})
	w.Clock.Advance(time.Hour)
	read(cadre, who, access.Read{What: access.File, Own: true})
	w.sign(w.notaryDir())
	_, found = w.verify()
	noted := 0
	for _, x := range found {
		if x.Check == audit.Authority {
			noted++
			if x.Severity != audit.Note {
				t.Errorf("accused of more than it was:%s", show([]audit.Finding{x}))
			}
		}
	}
	if noted != 1 {
		t.Errorf("%d notes of a caseload that had ended", noted)
	}
}
