package drugs_test

import (
	"slices"
	"testing"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

var errBeforeOpen = casework.ErrBeforeOpen

// schedule is the practice of many counties; it is the agreement's, not the law's.
func schedule() []drugs.TestStep {
	return []drugs.TestStep{{Months: 12, EveryDays: 30}, {Months: 12, EveryDays: 60}, {Months: 12, EveryDays: 90}}
}

// agreed is the reported case with its agreement signed on 10 March 2026.
func agreed(t testing.TB) *recordtest.Story {
	t.Helper()
	return reported(t).When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Schedule: schedule()}).ThenRecorded("drugs.agreement_signed")
}

// Ensure that the agreement follows the reporting and brings its own table of tests (戒毒条例 16; 禁毒法 35).
func TestAgreement(t *testing.T) {
	opened(t).When(cadre, "2026-03-04", "drugs.sign_agreement", drugs.SignAgreement{Schedule: schedule()}).ThenRefused(drugs.ErrNotReported)
	s := reported(t)
	wantDue(t, s, "agreement", "2026-03-20")
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{}).ThenRefused(drugs.ErrNoSchedule)
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Schedule: []drugs.TestStep{{Months: 0, EveryDays: 30}}}).ThenInvalid("schedule[0].months")
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Schedule: []drugs.TestStep{{Months: 12, EveryDays: 0}}}).ThenInvalid("schedule[0].everyDays")
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Schedule: []drugs.TestStep{{Months: 36, EveryDays: 30}, {Months: 1, EveryDays: 30}}}).ThenRefused(drugs.ErrSchedule)
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Transcribed: true}).ThenRefused(drugs.ErrTranscribed)
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Schedule: schedule(), Attachment: attach("b2")}).ThenRecorded("drugs.agreement_signed")
	wantDue(t, s, "agreement", "")
	wantDue(t, s, "scheduled-test", "2026-04-09")

	// Signed anew with a denser table: the test that is owed moves.
	s.When(cadre, "2026-03-20", "drugs.sign_agreement", drugs.SignAgreement{Schedule: []drugs.TestStep{{Months: 6, EveryDays: 15}}}).ThenRecorded("drugs.agreement_signed")
	if f := record.FacetsOf(s.Last("drugs.agreement_signed")); f.Kind != "renewed" {
		t.Errorf("facets: %+v", f)
	}
	wantDue(t, s, "scheduled-test", "2026-03-25")
}

// Ensure that tests are owed by the agreement's table, each from the one before, and no longer after its end.
func TestScheduledTests(t *testing.T) {
	s := agreed(t) // signed 10 March 2026: 30 days for a year, then 60, then 90
	for _, c := range []struct{ made, next string }{
		{"2026-04-08", "2026-05-08"},
		{"2026-05-20", "2026-06-19"}, // late: the next one counts from the test that was made
		{"2027-03-09", "2027-04-08"}, // last day of the first line
		{"2027-03-10", "2027-05-09"}, // first day of the second
		{"2028-03-10", "2028-06-08"},
		{"2028-12-20", ""}, // the next would be after the table's end
	} {
		s.When(policeman, c.made, "drugs.record_urine_test", clean(c.made)).ThenRecorded("drugs.urine_test_recorded")
		wantDue(t, s, "scheduled-test", c.next)
	}
	s = agreed(t)
	in := clean("x")
	in.Kind = "unscheduled"
	s.When(policeman, "2026-04-08", "drugs.record_urine_test", in).ThenRecorded("drugs.urine_test_recorded")
	wantDue(t, s, "scheduled-test", "2026-04-09") // a surprise test does not take the place of the scheduled one
	in = clean("y")
	in.Result = "invalid"
	s.When(policeman, "2026-04-09", "drugs.record_urine_test", in).ThenRecorded("drugs.urine_test_recorded")
	wantDue(t, s, "scheduled-test", "2026-04-09") // nor does one that failed
}

// Ensure that the support team names the places nobody fills, and is owed until all are filled, by officers whose posts fit
// (戒毒条例 17; D-06).
func TestTeam(t *testing.T) {
	s := reported(t)
	wantDue(t, s, "team", "2026-04-01")
	members := team()
	s.When(office, "2026-03-06", "drugs.form_team", drugs.FormTeam{Members: members[:3]}).ThenRecorded("drugs.team_formed")
	if got := state(s).MissingRoles(); !slices.Equal(got, []string{"family", "volunteer"}) {
		t.Errorf("missing: %v", got)
	}
	wantDue(t, s, "team", "2026-04-01") // a team without family and volunteer is none
	s.When(office, "2026-03-07", "drugs.form_team", drugs.FormTeam{Members: members}).ThenRecorded("drugs.team_formed")
	if got := state(s).MissingRoles(); len(got) > 0 {
		t.Errorf("missing: %v", got)
	}
	wantDue(t, s, "team", "")
	s.When(office, "2026-03-08", "drugs.form_team", drugs.FormTeam{Members: members}).Then()
	s.When(office, "2026-03-08", "drugs.form_team", drugs.FormTeam{Members: append(members, members[0])}).ThenInvalid("members[5]")
	s.When(office, "2026-03-08", "drugs.form_team", drugs.FormTeam{Members: append(members, drugs.TeamMember{Role: "volunteer", Member: cadre.Officer})}).ThenInvalid("members[5]") // in two places
	s.When(office, "2026-03-08", "drugs.form_team", drugs.FormTeam{Members: []drugs.TeamMember{{Role: "neighbour", Member: id("x")}}}).ThenInvalid("members[0].role")
	s.When(office, "2026-03-08", "drugs.form_team", drugs.FormTeam{Members: []drugs.TeamMember{{Role: "family"}}}).ThenInvalid("members[0].member")
	for _, m := range []drugs.TeamMember{{Role: "medic", Member: cadre.Officer}, {Role: "volunteer", Member: id("nobody")}} {
		s.When(office, "2026-03-08", "drugs.form_team", drugs.FormTeam{Members: []drugs.TeamMember{m}}).ThenRefused(drugs.ErrTeamPost)
	}
	s.When(office, "2026-05-01", "drugs.form_team", drugs.FormTeam{Members: members[:4]}).ThenRecorded("drugs.team_formed") // the volunteer left
	wantDue(t, s, "team", "2026-05-31")
}

func team() []drugs.TeamMember {
	return []drugs.TeamMember{{Role: "full-time-worker", Member: cadre.Officer}, {Role: "community-police", Member: policeman.Officer},
		{Role: "medic", Member: medic.Officer}, {Role: "family", Member: id("relative")}, {Role: "volunteer", Member: volunteer.Officer}}
}
