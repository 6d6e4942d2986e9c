package drugs_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

func strict() drugs.ChangeTier {
	return drugs.ChangeTier{Tier: drugs.Strict, Criteria: []string{"resists-treatment", "no-proper-job"}, Reasons: "多次拒绝帮教，无固定工作"}
}

func priority() drugs.ChangeTier {
	return drugs.ChangeTier{Tier: drugs.Priority, Criteria: []string{"long-use"}, Reasons: "吸毒十年以上"}
}

func general() drugs.ChangeTier {
	return drugs.ChangeTier{Tier: drugs.General, Criteria: []string{"good-conduct", "light-addiction"}, Reasons: "半年来表现良好，按时检测"}
}

// tiered is the agreed case in the strict tier since 16 March 2026, a Monday.
func tiered(t testing.TB) *recordtest.Story {
	t.Helper()
	return agreed(t).When(office, "2026-03-16", "drugs.change_tier", strict()).ThenRecorded("drugs.tier_changed")
}

// Ensure that a human officer of the township or the police decides the tier, with grounds of that tier and reasons
// (D-08…D-11; S-15).
func TestTierDecision(t *testing.T) {
	s := agreed(t)
	wantDue(t, s, "first-tier", "2026-03-17")
	for _, a := range []record.Actor{cadre, medic, volunteer} {
		s.When(a, "2026-03-16", "drugs.change_tier", strict()).ThenForbidden()
	}
	in := strict()
	in.Criteria = nil
	s.When(office, "2026-03-16", "drugs.change_tier", in).ThenRefused(drugs.ErrNoCriterion)
	in.Criteria = []string{"good-conduct"} // a ground of another tier
	s.When(office, "2026-03-16", "drugs.change_tier", in).ThenRefused(drugs.ErrNoCriterion)
	in.Criteria = []string{"looks-strange"}
	s.When(office, "2026-03-16", "drugs.change_tier", in).ThenInvalid("criteria")
	in = strict()
	in.Reasons = " "
	s.When(office, "2026-03-16", "drugs.change_tier", in).ThenInvalid("reasons")
	in = strict()
	in.Tier = "watched"
	s.When(office, "2026-03-16", "drugs.change_tier", in).ThenInvalid("tier")
	in = drugs.ChangeTier{Tier: drugs.Strict, Reasons: "据旧台账", Transcribed: true}
	s.When(office, "2026-03-16", "drugs.change_tier", in).ThenRefused(drugs.ErrTranscribed)
	s.WhenLate(record.LateImport, office, "2026-03-16", "drugs.change_tier", in).ThenRecorded("drugs.tier_changed")
	in.Tier = drugs.General // to say "import" is no way round the second person
	s.WhenLate(record.LateImport, office, "2026-03-17", "drugs.change_tier", in).ThenRefused(drugs.ErrTierHere)

	s = tiered(t)
	if f := record.FacetsOf(s.Last("drugs.tier_changed")); f.Tier != "strict" || f.PrevTier != "" {
		t.Errorf("facets %+v", f)
	}
	wantDue(t, s, "first-tier", "")
	wantDue(t, s, "tier-review", "2026-06-14")
	s.When(policeman, "2026-03-17", "drugs.change_tier", strict()).ThenRefused(drugs.ErrSameTier)
	s.When(policeman, "2026-03-17", "drugs.change_tier", priority()).ThenRecorded("drugs.tier_changed")
	if f := record.FacetsOf(s.Last("drugs.tier_changed")); f.Tier != "priority" || f.PrevTier != "strict" {
		t.Errorf("facets %+v", f)
	}
	wantDue(t, s, "tier-review", "2026-06-15")
	s.When(office, "2026-06-10", "drugs.review_tier", drugs.ReviewTier{Reasons: "情况无变化"}).Then(drugs.TierReviewed{Tier: drugs.Priority, Reasons: "情况无变化"})
	wantDue(t, s, "tier-review", "2026-09-08")
	agreed(t).When(office, "2026-06-10", "drugs.review_tier", drugs.ReviewTier{Reasons: "情况无变化"}).ThenRefused(drugs.ErrNoTier)
}

// Ensure that each tier has its own lead, and that a lead who no longer suits must be replaced (D-09, D-10, D-11, D-06).
func TestWhoMayLead(t *testing.T) {
	assign := func(a record.Actor) casework.AssignResponsible {
		return casework.AssignResponsible{Officer: a.Officer, Role: a.Role, Lead: true}
	}
	for _, c := range []struct {
		tier *drugs.ChangeTier
		may  []record.Actor
		not  []record.Actor
		rule *record.Problem
	}{
		{nil, []record.Actor{cadre, policeman, office}, []record.Actor{medic, volunteer}, drugs.ErrLeadUntiered},
		{new(strict()), []record.Actor{cadre, medic}, []record.Actor{policeman, volunteer, office}, drugs.ErrLeadStrict},
		{new(priority()), []record.Actor{policeman}, []record.Actor{cadre, medic, volunteer, office}, drugs.ErrLeadPriority},
		{new(general()), []record.Actor{volunteer}, []record.Actor{cadre, medic, policeman, office}, drugs.ErrLeadGeneral},
	} {
		for _, a := range append(c.may, c.not...) {
			s := agreed(t)
			if c.tier != nil {
				s.When(office, "2026-03-16", "drugs.change_tier", *c.tier).ThenRecorded("drugs.tier_changed")
			}
			s.When(office, "2026-03-17", "casework.assign_responsible", assign(a))
			if slices.Contains(c.may, a) {
				s.ThenRecorded("casework.responsible_assigned")
			} else {
				s.ThenRefused(c.rule)
			}
		}
	}

	s := tiered(t)
	wantDue(t, s, "lead", "2026-03-09") // owed since the opening
	s.When(office, "2026-03-17", "casework.assign_responsible", casework.AssignResponsible{Officer: medic.Officer, Role: record.CommunityMedic}).ThenRecorded("casework.responsible_assigned")
	wantDue(t, s, "lead", "2026-03-09") // somebody beside the lead does not fulfil it
	s.When(office, "2026-03-17", "casework.assign_responsible", assign(cadre)).ThenRecorded("casework.responsible_assigned")
	wantDue(t, s, "lead", "")
	s.When(office, "2026-04-01", "drugs.change_tier", priority()).ThenRecorded("drugs.tier_changed")
	if !state(s).LeadUnsuitable() {
		t.Error("the cadre still passes for the lead of a priority case")
	}
	wantDue(t, s, "lead", "2026-04-08")
	s.When(office, "2026-04-02", "drugs.change_tier", strict()).ThenRecorded("drugs.tier_changed")
	wantDue(t, s, "lead", "") // the old lead suits again
	s.When(office, "2026-04-03", "drugs.change_tier", general()).ThenRecorded("drugs.tier_changed")
	wantDue(t, s, "lead", "2026-04-10")
	s.When(office, "2026-04-04", "casework.propose_handover", casework.ProposeHandOver{To: policeman.Officer, Role: record.CommunityPolice, Reason: "转为一般管理"}).ThenRefused(drugs.ErrLeadGeneral)
	s.When(office, "2026-04-04", "casework.propose_handover", casework.ProposeHandOver{To: volunteer.Officer, Role: record.Volunteer, Reason: "转为一般管理"}).ThenRecorded("casework.handover_proposed")
	wantDue(t, s, "handover", "2026-04-09")
	s.When(cadre, "2026-04-05", "casework.accept_handover", struct{}{}).ThenRefused(casework.ErrNotYours)
	s.When(volunteer, "2026-04-05", "casework.accept_handover", struct{}{}).ThenRecorded("casework.handover_accepted")
	wantDue(t, s, "handover", "")
	wantDue(t, s, "lead", "")
	if c := state(s); c.Lead() != volunteer.Officer || c.LeadUnsuitable() {
		t.Errorf("lead %v", c.Responsible)
	}
}

// Ensure that a hand-over proposed in one tier is not accepted in another in which that role may not lead (D-10, D-11).
func TestHandOverAfterTierChange(t *testing.T) {
	s := tiered(t)
	s.When(office, "2026-03-17", "casework.propose_handover", casework.ProposeHandOver{To: medic.Officer, Role: record.CommunityMedic, Reason: "由卫生室负责"}).ThenRecorded("casework.handover_proposed")
	s.When(office, "2026-03-18", "drugs.change_tier", general()).ThenRecorded("drugs.tier_changed")
	s.When(medic, "2026-03-19", "casework.accept_handover", struct{}{}).ThenRefused(drugs.ErrLeadGeneral)
	s.When(medic, "2026-03-19", "casework.decline_handover", casework.DeclineHandOver{Reason: "类别已调整"}).ThenRecorded("casework.handover_declined")
}

// Ensure that the person is told the tier and may appeal, and that somebody else decides the appeal (S-15; PIPL 24).
func TestTierToldAndAppealed(t *testing.T) {
	s := tiered(t)
	first := state(s).Tiers[0].ID
	wantDue(t, s, "tell-tier", "2026-03-23")
	s.When(cadre, "2026-03-18", "drugs.tell_tier", drugs.TellTier{How: "shouted"}).ThenInvalid("how")
	s.When(cadre, "2026-03-18", "drugs.tell_tier", drugs.TellTier{Decision: id("x"), How: "in-person"}).ThenInvalid("decision")
	s.When(cadre, "2026-03-18", "drugs.tell_tier", drugs.TellTier{How: "in-person", Note: "本人有异议"}).Then(drugs.TierTold{Decision: first, How: "in-person", Note: "本人有异议"})
	wantDue(t, s, "tell-tier", "")
	s.When(cadre, "2026-03-18", "drugs.tell_tier", drugs.TellTier{How: "in-person"}).Then()

	appeal := drugs.AppealTier{By: "person", Grounds: "我有工作"}
	s.When(cadre, "2026-03-20", "drugs.appeal_tier", appeal).ThenRecorded("drugs.tier_appealed")
	asked := s.LastCommand()
	wantDue(t, s, "tier-appeal", "2026-04-04")
	s.When(cadre, "2026-03-20", "drugs.appeal_tier", appeal).ThenRefused(drugs.ErrAppealOpen)
	keep := drugs.DecideTierAppeal{Appeal: asked, Outcome: "kept", Reasons: "经核实无固定工作"}
	s.When(office, "2026-03-25", "drugs.decide_tier_appeal", keep).ThenRefused(drugs.ErrOwnDecision)
	s.When(cadre, "2026-03-25", "drugs.decide_tier_appeal", keep).ThenForbidden()
	change := drugs.DecideTierAppeal{Appeal: asked, Outcome: "changed", Reasons: "提交了劳动合同，经核实属实"}
	s.When(chief, "2026-03-25", "drugs.decide_tier_appeal", change).ThenInvalid("tier")
	change.Tier, change.Criteria = drugs.Strict, []string{"may-relapse-any-time"}
	s.When(chief, "2026-03-25", "drugs.decide_tier_appeal", change).ThenRefused(drugs.ErrSameTier)
	change.Tier, change.Criteria = drugs.Priority, []string{"deep-addiction"}
	s.When(chief, "2026-03-25", "drugs.decide_tier_appeal", change).ThenRecorded("drugs.tier_appeal_decided", "drugs.tier_changed")
	if c := state(s); c.Tier() != "priority" || c.Appeals[0].Outcome != "changed" || c.Tiers[1].By != chief.Officer {
		t.Errorf("tiers %+v, appeals %+v", c.Tiers, c.Appeals)
	}
	wantDue(t, s, "tier-appeal", "")
	wantDue(t, s, "tell-tier", "2026-04-01") // the new decision is owed to the person as well
	s.When(chief, "2026-03-26", "drugs.decide_tier_appeal", keep).ThenRefused(drugs.ErrNoAppeal)
	s.When(medic, "2026-03-27", "drugs.appeal_tier", drugs.AppealTier{By: "family", Grounds: "仍不服"}).ThenRecorded("drugs.tier_appealed")
	keep.Appeal = s.LastCommand()
	s.When(chief, "2026-03-28", "drugs.decide_tier_appeal", keep).ThenRefused(drugs.ErrOwnDecision)
	s.When(chief, "2026-03-28", "casework.assign_responsible", casework.AssignResponsible{Officer: office.Officer, Role: record.TownshipOffice}).ThenRecorded("casework.responsible_assigned")
	s.When(office, "2026-03-28", "drugs.decide_tier_appeal", keep).ThenRefused(drugs.ErrOwnAppeal) // has a part in the case
	s.When(chief, "2026-03-28", "casework.end_responsible", casework.EndResponsible{Officer: office.Officer, Reason: "回避"}).ThenRecorded("casework.responsible_ended")
	s.When(office, "2026-03-28", "drugs.decide_tier_appeal", keep).ThenRecorded("drugs.tier_appeal_decided")
	agreed(t).When(cadre, "2026-03-20", "drugs.appeal_tier", appeal).ThenRefused(drugs.ErrNoTier)
}

// Ensure that whoever takes an appeal down in the person's name does not decide it: one officer could lower a tier alone
// (S-15).
func TestAppealIsNotDecidedByWhoRecordedIt(t *testing.T) {
	s := tiered(t).When(policeman, "2026-03-20", "drugs.appeal_tier", drugs.AppealTier{By: "person", Grounds: "我有工作"}).ThenRecorded("drugs.tier_appealed")
	change := drugs.DecideTierAppeal{Appeal: s.LastCommand(), Outcome: "changed", Tier: drugs.General, Criteria: []string{"good-conduct"}, Reasons: "经核实属实"}
	s.When(policeman, "2026-03-20", "drugs.decide_tier_appeal", change).ThenRefused(drugs.ErrOwnAppeal)
	s.When(policewom, "2026-03-20", "drugs.decide_tier_appeal", change).ThenRecorded("drugs.tier_appeal_decided", "drugs.tier_changed")
}

// Ensure that the tier sets how often the case is visited, and that only a visit that met the person counts (D-09…D-11).
func TestVisitsByTier(t *testing.T) {
	visit := func(o casework.VisitOutcome) casework.RecordVisit { return casework.RecordVisit{Outcome: o} }
	s := tiered(t)
	wantDue(t, s, "visit", "2026-03-23")
	s.When(cadre, "2026-03-20", "casework.record_visit", visit(casework.Absent)).ThenRecorded("casework.visit_recorded")
	wantDue(t, s, "visit", "2026-03-23")
	s.When(volunteer, "2026-03-21", "casework.record_visit", visit(casework.Met)).ThenRecorded("casework.visit_recorded")
	wantDue(t, s, "visit", "2026-03-28")
	s.When(office, "2026-03-22", "drugs.change_tier", general()).ThenRecorded("drugs.tier_changed")
	wantDue(t, s, "visit", "2026-04-20")      // thirty days from the visit of the 21st
	wantDue(t, s, "heart-talk", "2026-04-21") // D-11
	s.When(office, "2026-03-31", "drugs.change_tier", strict()).ThenRecorded("drugs.tier_changed")
	wantDue(t, s, "visit", "2026-03-31") // stricter, but never late from before the day it became so
	wantDue(t, s, "heart-talk", "")
}

// Ensure that a visit that is voided counts no more: what it fulfilled is owed again (G-08).
func TestVoidedVisitIsOwedAgain(t *testing.T) {
	s := tiered(t)
	s.When(cadre, "2026-03-20", "casework.record_visit", casework.RecordVisit{Outcome: casework.Met}).ThenRecorded("casework.visit_recorded")
	wantDue(t, s, "visit", "2026-03-27")
	wrong := s.Last("casework.visit_recorded").ID
	s.When(cadre, "2026-03-21", "record.void_event", record.VoidEvent{Event: wrong, Reason: "记错了人"}).ThenRecorded("record.voided")
	wantDue(t, s, "visit", "2026-03-23")
	if c := state(s); c.Visits != 0 || !c.LastMet.IsZero() {
		t.Errorf("visits %d, last met %v", c.Visits, c.LastMet)
	}
	s.When(office, "2026-03-22", "record.void_event", record.VoidEvent{Event: wrong, Reason: "再作废一次"}).ThenRefused(record.ErrVoidTwice)
	s.When(office, "2026-03-22", "record.void_event", record.VoidEvent{Event: s.Events()[0].ID, Reason: "误立案"}).ThenRefused(record.ErrVoidFirst)

	// As known on the day between the two, the visit stands.
	known := s.File(record.At{KnownAt: recordtest.Time(t, "2026-03-20 23:00")}).State.(*drugs.Case)
	if known.Visits != 1 {
		t.Errorf("as known on 20 March there were %d visits", known.Visits)
	}
	asOf := s.File(record.At{AsOf: recordtest.Time(t, "2026-03-09")}).State.(*drugs.Case)
	if asOf.Tier() != "" || asOf.Agreement != nil || asOf.Reported.IsZero() {
		t.Errorf("as of 9 March: %+v", asOf)
	}
}

// errNoDuty is what casework answers for a duty that is not open.
var errNoDuty = &record.Problem{Kind: record.Refused, Message: "no such duty is open in this case"}

// Ensure that an excused duty is owed again from its day, and that only the township excuses (G-08).
func TestExcuse(t *testing.T) {
	s := tiered(t)
	var duty uuid.UUID
	for _, d := range state(s).Duties.Open {
		if d.Code == "visit" {
			duty = d.ID()
		}
	}
	in := casework.ExcuseDuty{Duty: duty, Reason: "本人住院隔离，医院证明"}
	s.When(cadre, "2026-03-20", "casework.excuse_duty", in).ThenForbidden()
	s.When(office, "2026-03-20", "casework.excuse_duty", in).ThenRecorded("casework.duty_excused")
	wantDue(t, s, "visit", "2026-03-30")
	s.When(office, "2026-03-20", "casework.excuse_duty", in).ThenRefused(errNoDuty)
}

// Ensure that the activities of D-18 are owed at the township's interval, each from the one before.
func TestFamilyLoveActivity(t *testing.T) {
	s := opened(t)
	wantDue(t, s, "family-love", "2026-05-31")
	s.When(office, "2026-04-30", "casework.deliver_service", casework.DeliverService{Service: "culture-sports"}).ThenRecorded("casework.service_delivered")
	wantDue(t, s, "family-love", "2026-05-31")
	s.When(office, "2026-05-02", "casework.deliver_service", casework.DeliverService{Service: "family-love-activity", Hours: 2}).ThenRecorded("casework.service_delivered")
	wantDue(t, s, "family-love", "2026-07-31")
}
