package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// live lets the township work day by day until now: officers do what the duties of each case ask, mostly in time.
func (d *demo) live(until time.Time) error {
	for _, id := range d.cases {
		if err := d.refold(id); err != nil {
			return err
		}
	}
	days := int(until.Sub(d.clock).Hours() / 24)
	for day := range days {
		afternoon := record.DayOf(d.clock).Add(14 * time.Hour)
		for i, id := range d.cases {
			d.clock = afternoon.Add(time.Duration(i%60) * 4 * time.Minute)
			if d.clock.After(until) {
				d.clock = until
				return d.leaveProposals()
			}
			if err := d.workOn(id); err != nil {
				return err
			}
		}
		d.clock = afternoon.AddDate(0, 0, 1)
		if day%30 == 29 {
			fmt.Fprintf(d.program.err, "demo: %s\n", d.clock.Format(record.Day))
		}
	}
	d.clock = until
	return d.leaveProposals()
}

// leaveProposals leaves something for a second person to answer on the last day: what was proposed on the way may have
// expired.
func (d *demo) leaveProposals() error {
	left := 0
	for _, id := range d.cases {
		if err := d.refold(id); err != nil {
			return err
		}
		c := d.files[id].State.(*drugs.Case)
		if !c.IsOpen() || c.Tier() != string(drugs.Priority) || left == 3 {
			continue
		}
		if !d.proposed(id) {
			_, err := d.propose(id)
			var p *record.Problem
			if errors.As(err, &p) && (p.Kind == record.Refused || p.Kind == record.Forbidden) {
				continue
			}
			if err != nil {
				return err
			}
		}
		left++
	}
	return nil
}

// proposed tells whether something waits for a second person in a case.
func (d *demo) proposed(id uuid.UUID) bool {
	return slices.ContainsFunc(d.files[id].Proposals(), func(p record.Event) bool { return p.Data.(record.Proposed).Expires.After(d.clock) })
}

// propose proposes a lower tier as the township office.
func (d *demo) propose(id uuid.UUID) (commands.Receipt, error) {
	return d.r.exec.Do(d.program.ctx, commands.Request{Category: "drugs", Command: "drugs.change_tier", ID: id, Officer: d.officer["xu.zhen"], Occurred: d.clock,
		Input: drugs.ChangeTier{Tier: drugs.General, Criteria: []string{"good-conduct", "light-addiction"}, Reasons: "近三个月尿检均为阴性，表现较好"}})
}

func (d *demo) refold(id uuid.UUID) error {
	stream := record.StreamOf("drugs", id)
	history, err := d.r.exec.History(d.program.ctx, stream)
	if err != nil {
		return err
	}
	f := record.NewFile(&drugs.Category, stream)
	d.files[id] = f
	return f.Fold(history, record.At{})
}

// workOn does what is owed in a case today. Which officer does it follows from the tier; a rule that refuses (nobody suits
// yet) leaves the duty for another day.
func (d *demo) workOn(id uuid.UUID) error {
	c := d.files[id].State.(*drugs.Case)
	if !c.IsOpen() {
		return nil
	}
	for _, duty := range append([]casework.Duty(nil), c.Duties.Open...) {
		early := time.Duration(d.rand.IntN(3)) * 24 * time.Hour
		if d.clock.Before(duty.Due.Add(-early)) || d.rand.IntN(100) < 35 { // most things are done near their day, some late
			continue
		}
		if err := d.fulfil(id, c, duty); err != nil {
			var p *record.Problem
			if errors.As(err, &p) && (p.Kind == record.Refused || p.Kind == record.Forbidden) {
				continue
			}
			return err
		}
		if err := d.refold(id); err != nil {
			return err
		}
		c = d.files[id].State.(*drugs.Case)
	}
	return nil
}

var demoNotes = []string{"在家，精神状态良好", "家中务农，情绪稳定", "正在找工作，已介绍用工信息", "家属反映近期作息规律", "谈话配合，无异常", "外出打零工，傍晚在家见到"}

func (d *demo) fulfil(id uuid.UUID, c *drugs.Case, duty casework.Duty) error {
	lead := c.Lead()
	if lead == uuid.Nil {
		lead = d.cadres[c.Village]
	}
	office := d.officer["xu.zhen"]
	switch duty.Code {
	case "visit":
		return d.visit(id, lead)
	case "scheduled-test", "requested-test", "immediate-test":
		return d.test(id, c)
	case "heart-talk":
		return d.late(lead, "casework.deliver_service", id, casework.DeliverService{Service: "heart-talk", Hours: 1, Note: "谈心鼓励"})
	case "family-love":
		return d.late(d.cadres[c.Village], "casework.deliver_service", id, casework.DeliverService{Service: "family-love-activity", Hours: 2})
	case "lead":
		officer, role := d.suitable(c)
		return d.late(office, "casework.assign_responsible", id, casework.AssignResponsible{Officer: officer, Role: role, Lead: true})
	case "report-in":
		return d.reportIn(id, c)
	case "team":
		return d.formTeam(id, c, office)
	case "tell-tier":
		return d.late(d.police[0], "drugs.tell_tier", id, drugs.TellTier{How: "in-person", Note: "本人表示知悉"})
	case "tier-review":
		return d.reviewTier(id, c, office)
	case "papers":
		n := d.rand.IntN(9000) + 1000
		day := c.Opened.In(record.Zone).Format(record.Day)
		return d.late(d.police[0], "drugs.supply_document", id, drugs.SupplyDocument{
			Order:         drugs.Document{Number: fmt.Sprintf("示公（禁）责社戒决字〔2025〕%d号", n), Organ: "示范县公安局", Issued: day, Served: day},
			Determination: drugs.Document{Number: fmt.Sprintf("示公（禁）吸毒成瘾认字〔2025〕%d号", n), Organ: "示范县公安局", Issued: day, Served: day}})
	case "agreement":
		return d.late(d.police[0], "drugs.sign_agreement", id, drugs.SignAgreement{Number: fmt.Sprintf("示禁协〔2026〕%d号", d.rand.IntN(900)+100),
			Schedule: []drugs.TestStep{{Months: 12, EveryDays: 30}, {Months: 12, EveryDays: 60}, {Months: 12, EveryDays: 90}}})
	}
	return nil // the rest is left to the reader
}

// late records something that happened up to two and a half days ago, mostly within hours.
func (d *demo) late(officer uuid.UUID, command string, id uuid.UUID, in any) error {
	ago := time.Duration(d.rand.IntN(300)) * time.Minute
	if d.rand.IntN(10) == 0 {
		ago += time.Duration(d.rand.IntN(3)) * 24 * time.Hour
	}
	_, err := d.r.exec.Do(d.program.ctx, commands.Request{Category: "drugs", Command: command, ID: id, Officer: officer, Input: in, Occurred: d.clock.Add(-ago)})
	if err != nil {
		return fmt.Errorf("demo: %s: %w", command, err)
	}
	return nil
}

func (d *demo) visit(id, officer uuid.UUID) error {
	in := casework.RecordVisit{Outcome: casework.Met, Place: "家中", Note: demoNotes[d.rand.IntN(len(demoNotes))]}
	switch d.rand.IntN(20) {
	case 0, 1:
		in = casework.RecordVisit{Outcome: casework.Absent, Note: "家中无人，已电话联系"}
	case 2:
		in = casework.RecordVisit{Outcome: casework.Refused}
	}
	return d.late(officer, "casework.record_visit", id, in)
}

// test records a urine test as the law wants it: two testers, a woman for a woman, sealed samples when it is positive.
func (d *demo) test(id uuid.UUID, c *drugs.Case) error {
	n := d.rand.IntN(900_000) + 100_000
	in := drugs.RecordUrineTest{Stage: "on-site", Kind: "scheduled", Testers: []uuid.UUID{d.police[0], d.police[1]}, Collector: d.police[0],
		Result: "negative", ReportNumber: fmt.Sprintf("示派尿检〔2026〕%d", n), ReportIssuer: "示范镇派出所", Told: true, Signature: "signed", Place: "示范镇派出所"}
	if c.Sex == 2 {
		in.Collector = d.police[1]
	}
	if d.rand.IntN(16) == 0 {
		in.Result, in.Substances, in.SampleA, in.SampleB = "positive", []string{"methamphetamine"}, fmt.Sprintf("A%d", n), fmt.Sprintf("B%d", n)
	}
	return d.late(d.police[0], "drugs.record_urine_test", id, in)
}

func (d *demo) reviewTier(id uuid.UUID, c *drugs.Case, office uuid.UUID) error {
	if c.Tier() == string(drugs.Priority) && d.rand.IntN(3) == 0 {
		return d.lower(id, c)
	}
	return d.late(office, "drugs.review_tier", id, drugs.ReviewTier{Reasons: "表现与现类别相符，维持"})
}

// lower proposes a lower tier. The police officer who has no part in the case approves it the same day, or it is left for
// the reader to answer.
func (d *demo) lower(id uuid.UUID, c *drugs.Case) error {
	if d.proposed(id) {
		return nil
	}
	proposed, err := d.propose(id)
	if err != nil || d.rand.IntN(2) == 0 {
		return err
	}
	second := d.police[0]
	if c.Handles(second) {
		second = d.police[1]
	}
	_, err = d.r.exec.Do(d.program.ctx, commands.Request{Category: "drugs", Command: "record.approve_proposal", ID: id, Officer: second,
		Input: record.ApproveProposal{Proposal: proposed.Proposal, Note: "同意"}})
	return err
}

// reportIn records what the paper shows by now: the person reported some days after it was served.
func (d *demo) reportIn(id uuid.UUID, c *drugs.Case) error {
	_, err := d.r.exec.Do(d.program.ctx, commands.Request{Category: "drugs", Command: "drugs.record_reporting", ID: id, Officer: d.police[0],
		Occurred: c.Opened.AddDate(0, 0, 1+d.rand.IntN(12)), Late: record.LateReceived, Input: drugs.RecordReporting{Note: "据送达回证和报到登记"}})
	return err
}

// formTeam forms the whole team; a relative whom the file does not hold yet is added to it first (戒毒条例 17).
func (d *demo) formTeam(id uuid.UUID, c *drugs.Case, office uuid.UUID) error {
	read := func() ([]person.FamilyMember, error) {
		history, err := d.r.exec.History(d.program.ctx, person.Stream(c.Person))
		if err != nil {
			return nil, err
		}
		f := record.NewFile(&person.Category, person.Stream(c.Person))
		err = f.Fold(history, record.At{})
		return f.State.(*person.Person).Family, err
	}
	family, err := read()
	if err == nil && len(family) == 0 {
		if _, err = d.r.exec.Do(d.program.ctx, commands.Request{Category: "person", Command: "person.add_family_member", ID: c.Person, Officer: d.cadres[c.Village],
			Input: person.AddFamilyMember{Name: "家属", Relation: "other"}}); err == nil {
			family, err = read()
		}
	}
	if err != nil {
		return err
	}
	return d.late(office, "drugs.form_team", id, drugs.FormTeam{Members: []drugs.TeamMember{
		{Role: "full-time-worker", Member: d.cadres[c.Village]}, {Role: "community-police", Member: d.police[0]},
		{Role: "medic", Member: d.medics[c.Village]}, {Role: "family", Member: family[0].ID}, {Role: "volunteer", Member: d.helpers[c.Village]}}})
}

// suitable picks an officer for the lead of a case as it stands (D-09…D-11).
func (d *demo) suitable(c *drugs.Case) (uuid.UUID, record.Role) {
	switch drugs.Tier(c.Tier()) {
	case drugs.Strict:
		return d.cadres[c.Village], record.VillageCadre
	case drugs.Priority:
		return d.police[d.rand.IntN(2)], record.CommunityPolice
	case drugs.General:
		return d.helpers[c.Village], record.Volunteer
	}
	return d.cadres[c.Village], record.VillageCadre
}
