package drugs_test

import (
	"testing"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
	"yidang/domain/staff"
)

// Ensure that a case whose lead ended his part owes a new lead (D-09…D-11), that an officer of another place cannot be it,
// and that a hand-over is owed an answer by the officer who was asked, not by the lead.
func TestLeadIsReplaced(t *testing.T) {
	s := opened(t)
	assign := casework.AssignResponsible{Officer: cadre.Officer, Role: record.VillageCadre, Lead: true}
	s.When(office, "2026-03-02", "casework.assign_responsible", assign).ThenRecorded("casework.responsible_assigned")
	wantDue(t, s, "lead", "")
	s.When(office, "2026-03-10", "casework.end_responsible", casework.EndResponsible{Officer: cadre.Officer, Reason: "调离"}).ThenRecorded("casework.responsible_ended")
	wantDue(t, s, "lead", "2026-03-17")

	other := actor("cadre of another village", record.VillageCadre)
	s.Knowing(staff.Stream(other.Officer), &staff.Officer{ID: other.Officer, Posts: []staff.Post{{ID: other.Post, Role: other.Role, Unit: recordtest.Elsewhere}}})
	s.When(office, "2026-03-11", "casework.assign_responsible", casework.AssignResponsible{Officer: other.Officer, Role: other.Role, Lead: true}).ThenRefused(casework.ErrWrongPost)

	s.When(office, "2026-03-11", "casework.assign_responsible", assign).ThenRecorded("casework.responsible_assigned")
	wantDue(t, s, "lead", "")
	s.When(office, "2026-03-12", "casework.propose_handover", casework.ProposeHandOver{To: policeman.Officer, Role: record.CommunityPolice, Reason: "由民警负责"}).ThenRecorded("casework.handover_proposed")
	c := s.File(record.At{}).State.(*drugs.Case)
	for _, d := range c.Duties.Open {
		if owes := c.Holder(d); d.Code == "handover" && owes != policeman.Officer || d.Code == "report-in" && owes != cadre.Officer {
			t.Errorf("%s is owed by %s", d.Code, owes)
		}
	}
}
