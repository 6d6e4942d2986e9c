package casework_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// trial is the smallest program: it opens, has a tier, and lets only cadres and volunteers lead. Its event names are those
// that the duties of the first program name.
type trial struct {
	casework.Case
	Now string // tier
}

func (p *trial) Tier() string { return p.Now }

var errLead = &record.Problem{Kind: record.Refused, Field: "role", Rule: "D-09", Message: "not this role", Zh: "不可", Remedy: "choose another"}

func (p *trial) MayLead(role record.Role) error {
	if role == record.VillageCadre || role == record.Volunteer {
		return nil
	}
	return errLead
}

func (p *trial) DutyDate(*policy.Duty, time.Time) (time.Time, bool) { return time.Time{}, false }

type begun struct {
	Person  uuid.UUID `json:"person"`
	Village uuid.UUID `json:"village"`
}

type tierSet struct {
	Tier string `json:"tier"`
}

func (d tierSet) Facets() record.Facets { return record.Facets{Tier: d.Tier, Ref: d.Tier} }

var everybody = record.Grant{Roles: []record.Role{record.VillageCadre, record.CommunityPolice, record.Volunteer}, Scope: record.InUnit}

var category = record.Category{
	Name: "trial", Title: record.T("试", "Trial"), Case: true, New: func() any { return &trial{} }, After: casework.Track,
	Events: append(casework.Events(),
		record.On("drugs.opened", record.T("立案", "Opened"), func(p *trial, d begun, e record.Event) { p.Open("drugs", d.Person, d.Village, e) }, nil),
		record.On("drugs.tier_changed", record.T("类别", "Tier"), func(p *trial, d tierSet, _ record.Event) { p.Now = d.Tier }, nil)),
	Commands: casework.Commands(casework.Posts{
		Workers: []record.Grant{everybody}, Leaders: []record.Grant{{Roles: []record.Role{record.TownshipOffice}, Scope: record.InUnit}},
	}),
}

func id(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

func actor(name string, role record.Role) record.Actor {
	return record.Actor{Officer: id(name), Post: id(name + " post"), Role: role, Unit: id("unit")}
}

var (
	cadre   = actor("cadre", record.VillageCadre)
	second  = actor("second cadre", record.VillageCadre)
	police  = actor("police", record.CommunityPolice)
	helper  = actor("helper", record.Volunteer)
	kin     = actor("kin", record.VillageCadre) // declared a recusal
	retired = actor("retired", record.VillageCadre)
	office  = actor("office", record.TownshipOffice)
)

// story is a case opened on Monday 2 March 2026, in the strict tier, led by the cadre.
func story(t testing.TB) *recordtest.Story {
	t.Helper()
	b, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := b.Version(context.Background(), "2026.1")
	if err != nil {
		t.Fatal(err)
	}
	s := recordtest.New(t, &category, rules)
	for _, a := range []record.Actor{cadre, second, police, helper, kin, office} {
		s.Knowing(staff.Stream(a.Officer), &staff.Officer{ID: a.Officer, Posts: []staff.Post{{ID: a.Post, Role: a.Role, Unit: a.Unit}}})
	}
	s.Knowing(staff.Stream(kin.Officer), &staff.Officer{ID: kin.Officer, Recused: []uuid.UUID{id("person")}, Posts: []staff.Post{{Role: kin.Role}}})
	s.Knowing(staff.Stream(retired.Officer), &staff.Officer{ID: retired.Officer, Posts: []staff.Post{{Role: retired.Role, Until: recordtest.Time(t, "2026-01-01")}}})
	s.Knowing(record.StreamOf("unit", id("village")), &units.Unit{ID: id("village"), Sort: units.Village})
	s.Knowing(record.StreamOf("unit", id("community")), &units.Unit{ID: id("community"), Sort: units.Community})
	s.Knowing(record.StreamOf("unit", id("school")), &units.Unit{ID: id("school"), Sort: units.School})
	s.Given(office, "2026-03-02", begun{Person: id("person"), Village: id("village")}, tierSet{"strict"})
	s.Given(office, "2026-03-03", casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: cadre.Officer, Role: cadre.Role, Lead: true, From: recordtest.Time(t, "2026-03-03")}})
	return s
}

func core(s *recordtest.Story) *casework.Case { return s.File(record.At{}).State.(*trial).Core() }

func duty(s *recordtest.Story, code string) (casework.Duty, bool) {
	i := slices.IndexFunc(core(s).Duties.Open, func(d casework.Duty) bool { return d.Code == code })
	if i < 0 {
		return casework.Duty{}, false
	}
	return core(s).Duties.Open[i], true
}

// Ensure that any events in any order fold, read, and survive a snapshot.
func TestAnyEventsFold(t *testing.T) {
	b, _ := policy.NewBook(nil)
	rules, err := b.Version(context.Background(), "2026.1")
	if err != nil {
		t.Fatal(err)
	}
	recordtest.Total(t, &category, rules)
}

// Ensure that who is made responsible holds the role, has not declared a recusal, and as lead has a role the program
// accepts; the old lead's part then ends (D-09…D-11; 回避).
func TestResponsibility(t *testing.T) {
	assign := func(a record.Actor, lead bool) casework.AssignResponsible {
		return casework.AssignResponsible{Officer: a.Officer, Role: a.Role, Lead: lead}
	}
	s := story(t)
	s.When(cadre, "2026-03-04", "casework.assign_responsible", assign(helper, false)).ThenForbidden()
	s.When(office, "2026-03-04", "casework.assign_responsible", assign(kin, false)).ThenRefused(&record.Problem{Kind: record.Refused, Rule: "回避", Message: "the officer declared a recusal for this person"})
	s.When(office, "2026-03-04", "casework.assign_responsible", assign(retired, false)).ThenRefused(casework.ErrWrongPost)
	s.When(office, "2026-03-04", "casework.assign_responsible", assign(actor("nobody", record.VillageCadre), false)).ThenRefused(casework.ErrWrongPost)
	s.When(office, "2026-03-04", "casework.assign_responsible", casework.AssignResponsible{Officer: cadre.Officer, Role: record.CommunityPolice}).ThenRefused(casework.ErrWrongPost)
	s.When(office, "2026-03-04", "casework.assign_responsible", assign(police, true)).ThenRefused(errLead)
	s.When(office, "2026-03-04", "casework.assign_responsible", assign(police, false)).ThenRecorded("casework.responsible_assigned")
	s.When(office, "2026-03-05", "casework.assign_responsible", assign(police, false)).Then()
	s.When(office, "2026-03-05", "casework.assign_responsible", assign(helper, true)).ThenRecorded("casework.responsible_assigned")
	c := core(s)
	if c.Lead() != helper.Officer || c.Handles(cadre.Officer) || !c.Handles(police.Officer) {
		t.Errorf("responsible: %+v", c.Responsible)
	}
	if c.ResponsibleFor(record.CommunityPolice) != police.Officer || c.ResponsibleFor(record.CommunityMedic) != helper.Officer {
		t.Error("a role's duties fall on its officer, and without one on the lead")
	}
	s.When(office, "2026-03-06", "casework.end_responsible", casework.EndResponsible{Officer: police.Officer, Reason: "调离"}).ThenRecorded("casework.responsible_ended")
	s.When(office, "2026-03-06", "casework.end_responsible", casework.EndResponsible{Officer: police.Officer, Reason: "调离"}).ThenRefused(&record.Problem{Kind: record.Refused, Message: "the officer has no part in this case"})
}

// Ensure that a hand-over leaves the lead where it is until the one who was asked accepts (D-12).
func TestHandOver(t *testing.T) {
	ask := casework.ProposeHandOver{To: second.Officer, Role: second.Role, Reason: "岗位调整"}
	s := story(t)
	s.When(second, "2026-03-04", "casework.accept_handover", struct{}{}).ThenRefused(casework.ErrNoHandOver)
	s.When(cadre, "2026-03-04", "casework.propose_handover", casework.ProposeHandOver{To: cadre.Officer, Role: cadre.Role, Reason: "无"}).
		ThenRefused(&record.Problem{Kind: record.Refused, Message: "this officer has the lead already"})
	s.When(cadre, "2026-03-04", "casework.propose_handover", casework.ProposeHandOver{To: police.Officer, Role: police.Role, Reason: "无"}).ThenRefused(errLead)
	s.When(cadre, "2026-03-04", "casework.propose_handover", ask).ThenRecorded("casework.handover_proposed")
	s.When(cadre, "2026-03-04", "casework.propose_handover", ask).ThenRefused(&record.Problem{Kind: record.Refused, Message: "a hand-over already waits for an answer"})
	if c := core(s); c.Lead() != cadre.Officer {
		t.Error("the lead passed on before the answer")
	}
	s.When(helper, "2026-03-05", "casework.decline_handover", casework.DeclineHandOver{Reason: "不便"}).ThenRefused(casework.ErrNotYours)
	s.When(second, "2026-03-05", "casework.decline_handover", casework.DeclineHandOver{Reason: "案件太多"}).ThenRecorded("casework.handover_declined")
	s.When(cadre, "2026-03-06", "casework.propose_handover", ask).ThenRecorded("casework.handover_proposed")
	s.When(second, "2026-03-07", "casework.accept_handover", struct{}{}).ThenRecorded("casework.handover_accepted")
	if c := core(s); c.Lead() != second.Officer || c.Handles(cadre.Officer) || c.HandOver != nil {
		t.Errorf("responsible: %+v", c.Responsible)
	}
}

// Ensure that what is recorded has a code of the catalogue, and lies within the life of the case.
func TestRecording(t *testing.T) {
	s := story(t)
	s.When(cadre, "2026-03-05", "casework.record_visit", casework.RecordVisit{Outcome: "waved"}).ThenInvalid("outcome")
	s.When(cadre, "2026-03-05", "casework.record_contact", casework.RecordContact{Channel: "drum", Party: "person", Outcome: "reached"}).ThenInvalid("channel")
	s.When(cadre, "2026-03-05", "casework.record_contact", casework.RecordContact{Channel: "phone", Party: "x", Outcome: "reached"}).ThenInvalid("party")
	s.When(cadre, "2026-03-05", "casework.record_contact", casework.RecordContact{Channel: "phone", Party: "family", Outcome: "x"}).ThenInvalid("outcome")
	s.When(cadre, "2026-03-05", "casework.deliver_service", casework.DeliverService{Service: "x"}).ThenInvalid("service")
	s.When(cadre, "2026-03-05", "casework.record_incident", casework.RecordIncident{Incident: "x", Note: "x"}).ThenInvalid("incident")
	s.When(cadre, "2026-03-05", "casework.add_note", casework.AddNote{Text: " "}).ThenInvalid("text")
	s.When(cadre, "2026-03-01", "casework.record_visit", casework.RecordVisit{Outcome: casework.Met}).ThenRefused(casework.ErrBeforeOpen)
	s.When(cadre, "2026-03-05", "casework.record_visit", casework.RecordVisit{Outcome: casework.Absent}).ThenRecorded("casework.visit_recorded")
	s.When(cadre, "2026-03-04", "casework.record_visit", casework.RecordVisit{Outcome: casework.Met}).ThenRecorded("casework.visit_recorded")
	s.When(cadre, "2026-03-06", "casework.record_contact", casework.RecordContact{Channel: "phone", Party: "family", Outcome: "reached"}).ThenRecorded("casework.contact_recorded")
	s.When(cadre, "2026-03-06", "casework.deliver_service", casework.DeliverService{Service: "heart-talk"}).ThenRecorded("casework.service_delivered")
	s.When(cadre, "2026-03-06", "casework.record_incident", casework.RecordIncident{Incident: "dispute", Note: "邻里纠纷"}).ThenRecorded("casework.incident_recorded")
	c := core(s)
	if c.Visits != 2 || c.Services != 1 || c.LastVisit.Format(record.Day) != "2026-03-05" || c.LastMet.Format(record.Day) != "2026-03-04" {
		t.Errorf("visits %d (last %v, met %v), services %d", c.Visits, c.LastVisit, c.LastMet, c.Services)
	}

	s.Given(office, "2026-04-01", casework.Closed{Reason: "death"})
	s.When(cadre, "2026-04-02", "casework.record_visit", casework.RecordVisit{Outcome: casework.Met}).ThenRefused(casework.ErrClosed)
	s.When(office, "2026-04-02", "casework.assign_responsible", casework.AssignResponsible{Officer: helper.Officer, Role: helper.Role}).ThenRefused(casework.ErrClosed)
	s.When(cadre, "2026-04-02", "casework.add_note", casework.AddNote{Text: "家属来访"}).ThenRecorded("casework.note_added")
	s.When(cadre, "2026-04-02", "casework.add_attachment", casework.AddAttachment{Attachment: casework.Attachment{SHA256: "00", Size: 1}, About: id("x"), Title: "证明"}).ThenInvalid("about")
	s.When(cadre, "2026-04-02", "casework.add_attachment", casework.AddAttachment{Attachment: casework.Attachment{SHA256: "00", Size: 1}, About: s.Events()[0].ID, Title: "证明"}).ThenRecorded("casework.attachment_added")
}

// Ensure that a case moves only to a village or community (戒毒条例 22).
func TestChangeVillage(t *testing.T) {
	s := story(t)
	s.When(office, "2026-03-05", "casework.change_village", casework.ChangeVillage{Village: id("school"), Reason: "搬家"}).ThenInvalid("village")
	s.When(office, "2026-03-05", "casework.change_village", casework.ChangeVillage{Village: id("nowhere"), Reason: "搬家"}).ThenInvalid("village")
	s.When(office, "2026-03-05", "casework.change_village", casework.ChangeVillage{Village: id("village"), Reason: "搬家"}).Then()
	s.When(office, "2026-03-05", "casework.change_village", casework.ChangeVillage{Village: id("community"), Reason: "搬家"}).ThenRecorded("casework.village_changed")
	if c := core(s); c.VillageID() != id("community") || c.Subject() != id("person") {
		t.Errorf("village %s", c.Village)
	}
}

// Ensure that an entry is voided by who made it, by the township when its own post could have made it, or else by a
// colleague with a second person; once, and never the opening.
func TestVoid(t *testing.T) {
	s := story(t)
	s.When(cadre, "2026-03-05", "casework.add_note", casework.AddNote{Text: "家属来访"}).ThenRecorded("casework.note_added")
	note := record.VoidEvent{Event: s.Last("casework.note_added").ID, Reason: "记错了人"}
	s.When(second, "2026-03-06", "record.void_event", note).ThenRefused(record.ErrVoidOther)
	s.When(office, "2026-03-06", "record.void_event", note).ThenRecorded("record.voided")
	s.When(cadre, "2026-03-05", "casework.record_visit", casework.RecordVisit{Outcome: casework.Met}).ThenRecorded("casework.visit_recorded")
	void := record.VoidEvent{Event: s.Last("casework.visit_recorded").ID, Reason: "记错了人"}
	s.When(office, "2026-03-06", "record.void_event", void).ThenRefused(record.ErrReserved) // in this program only workers visit
	s.When(second, "2026-03-06", "record.void_event", void).ThenRecorded("record.voided")
	by := s.Last("record.voided")
	visit := s.Last("casework.visit_recorded")
	target := func(uuid.UUID) (record.Event, bool) { return visit, true }
	if !category.NeedsSecond(by, target) {
		t.Error("a colleague voids alone what the township may not")
	}
	if by.Meta.Actor = cadre.Officer; category.NeedsSecond(by, target) {
		t.Error("who made the entry needs a second person on the next day")
	}
	s.When(cadre, "2026-03-06", "record.void_event", void).ThenRefused(record.ErrVoidTwice)
	s.When(office, "2026-03-06", "record.void_event", record.VoidEvent{Event: s.Last("record.voided").ID, Reason: "撤回作废"}).ThenRefused(record.ErrVoidTwice)
	s.When(office, "2026-03-06", "record.void_event", record.VoidEvent{Event: s.Events()[0].ID, Reason: "误立案件"}).ThenRefused(record.ErrVoidFirst)
	s.When(office, "2026-03-06", "record.void_event", record.VoidEvent{Event: id("x"), Reason: "没有这条"}).ThenInvalid("event")
	if core(s).Visits != 0 {
		t.Error("the voided visit still counts")
	}
}
