package drugs_test

import (
	"testing"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

func refer(ground string) drugs.ReferToPolice {
	return drugs.ReferToPolice{Ground: ground, Organ: "示范镇派出所", Reasons: "三次拒绝尿检，已多次劝导无效"}
}

// Ensure that the third refused or evaded test is a serious breach, to be reported promptly, and that an accepted reason
// does not count (戒毒条例 19, 20).
func TestThreeRefusals(t *testing.T) {
	s := agreed(t)
	miss := drugs.RecordMissedTest{Kind: "unscheduled", How: "refused"}
	s.When(cadre, "2026-04-01", "drugs.record_missed_test", miss).ThenForbidden()
	s.When(policeman, "2026-04-01", "drugs.record_missed_test", miss).ThenRecorded("drugs.urine_test_missed")
	excused := drugs.RecordMissedTest{Kind: "unscheduled", How: "absent", Excuse: "住院，有诊断证明"}
	s.When(policeman, "2026-04-05", "drugs.record_missed_test", excused).ThenRecorded("drugs.urine_test_missed")
	s.When(policeman, "2026-04-10", "drugs.record_missed_test", miss).ThenRecorded("drugs.urine_test_missed")
	s.When(cadre, "2026-04-10", "drugs.refer_to_police", refer("serious-breach")).ThenRefused(drugs.ErrNoBreach)
	s.When(policeman, "2026-04-20", "drugs.record_missed_test", drugs.RecordMissedTest{Kind: "immediate", How: "absent"}).
		Then(drugs.UrineTestMissed{ID: s.LastCommand(), Kind: "immediate", How: "absent"}, drugs.SeriousBreachReached{Ground: "refusals", Count: 3})
	wantDue(t, s, "breach-report", "2026-04-21")
	s.When(policeman, "2026-04-20", "drugs.record_missed_test", miss).ThenRecorded("drugs.urine_test_missed") // reported once
	s.When(cadre, "2026-04-21", "drugs.refer_to_police", refer("serious-breach")).ThenRecorded("drugs.referred_to_police")
	wantDue(t, s, "breach-report", "")
	s.When(policeman, "2026-05-06", "drugs.record_external_decision", decision("warning")).ThenRecorded("drugs.external_decision_recorded")
	s.When(policeman, "2026-05-20", "drugs.record_missed_test", excused).ThenRecorded("drugs.urine_test_missed")
	s.When(policeman, "2026-06-01", "drugs.record_missed_test", miss).ThenRecorded("drugs.urine_test_missed", "drugs.serious_breach_reached") // anew after the answer
}

// Ensure that a breach is taken back when an entry below it is voided, and with it the duty to report.
func TestVoidedRefusalTakesTheBreachBack(t *testing.T) {
	s := agreed(t)
	for _, day := range []string{"2026-04-01", "2026-04-10", "2026-04-20"} {
		s.When(policeman, day, "drugs.record_missed_test", drugs.RecordMissedTest{Kind: "unscheduled", How: "refused"})
		if day < "2026-04-20" {
			s.ThenRecorded("drugs.urine_test_missed")
			continue
		}
		s.ThenRecorded("drugs.urine_test_missed", "drugs.serious_breach_reached")
	}
	last := s.Last("drugs.urine_test_missed").ID
	wantDue(t, s, "breach-report", "2026-04-21")
	s.When(cadre, "2026-04-22", "record.void_event", record.VoidEvent{Event: last, Reason: "误记，本人当日已到检"}).ThenRefused(record.ErrVoidOther)
	s.When(office, "2026-04-22", "record.void_event", record.VoidEvent{Event: last, Reason: "误记，本人当日已到检"}).ThenRefused(record.ErrReserved) // S-2
	s.When(policeman, "2026-04-22", "record.void_event", record.VoidEvent{Event: last, Reason: "误记，本人当日已到检"}).ThenRecorded("record.voided")
	if c := state(s); c.Breach != nil || c.Counts().Refusals != 2 {
		t.Errorf("breach %+v, counts %+v", c.Breach, c.Counts())
	}
	wantDue(t, s, "breach-report", "")
	s.When(cadre, "2026-04-23", "drugs.refer_to_police", refer("serious-breach")).ThenRefused(drugs.ErrNoBreach)
	s.When(policeman, "2026-04-25", "drugs.record_missed_test", drugs.RecordMissedTest{Kind: "unscheduled", How: "refused"}).
		ThenRecorded("drugs.urine_test_missed", "drugs.serious_breach_reached")
}

// Ensure that three absences, or more than thirty days of them, are a serious breach; less than three days are none
// (DL-D5; 戒毒条例 19, 20).
func TestAbsences(t *testing.T) {
	away := func(from, until string) drugs.RecordAbsence {
		return drugs.RecordAbsence{From: from, Until: until, Note: "家属证实"}
	}
	s := agreed(t)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-01", "2026-04-02")).ThenRefused(drugs.ErrShortAbsence)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-01", "2026-04-03")).
		Then(drugs.AbsenceRecorded{From: "2026-04-01", Until: "2026-04-03", Days: 3, Note: "家属证实"})
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-01", "2026-04-03")).ThenRefused(drugs.ErrAbsenceShrunk)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-10", "2026-04-12")).ThenRecorded("drugs.absence_recorded")
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-15", "2026-04-18")).
		ThenRecorded("drugs.absence_recorded", "drugs.serious_breach_reached")
	if n := state(s).Counts(); n.Absences != 3 || n.DaysAway != 10 {
		t.Errorf("counts %+v", n)
	}

	s = agreed(t)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-03-11", "2026-04-09")).ThenRecorded("drugs.absence_recorded") // thirty days
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-03-11", "2026-04-10")).                                       // still away: thirty-one
																	Then(drugs.AbsenceRecorded{From: "2026-03-11", Until: "2026-04-10", Days: 31, Note: "家属证实"}, drugs.SeriousBreachReached{Ground: "days-away", Count: 31})
	if n := state(s).Counts(); n.Absences != 1 || n.DaysAway != 31 {
		t.Errorf("counts %+v", n)
	}
}

// Ensure that one time away is counted once, and without the days for which leave was granted (戒毒条例 19, 20).
func TestAbsenceIsCountedOnce(t *testing.T) {
	away := func(from, until string) drugs.RecordAbsence {
		return drugs.RecordAbsence{From: from, Until: until, Note: "家属证实"}
	}
	s := agreed(t)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-05", "2026-04-10")).ThenRecorded("drugs.absence_recorded")
	for _, again := range []drugs.RecordAbsence{away("2026-04-06", "2026-04-10"), away("2026-04-03", "2026-04-05"), away("2026-04-02", "2026-04-15"),
		away("2026-04-11", "2026-04-13"), away("2026-04-02", "2026-04-04")} {
		s.When(cadre, "2026-04-20", "drugs.record_absence", again).ThenRefused(drugs.ErrAbsenceAgain)
	}
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-13", "2026-04-15")).ThenRecorded("drugs.absence_recorded")
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-05", "2026-04-12")).ThenRefused(drugs.ErrAbsenceAgain) // it would grow into the next
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-02-01", "2026-02-20")).ThenRefused(casework.ErrBeforeOpen)
	if n := state(s).Counts(); n.Absences != 2 || n.DaysAway != 9 {
		t.Errorf("counts %+v", n)
	}

	s = agreed(t)
	s.When(cadre, "2026-04-01", "drugs.request_leave", drugs.RequestLeave{From: "2026-04-08", Until: "2026-04-12", To: "省城", Reason: "探望住院的父亲", Report: attach("c3")}).ThenRecorded("drugs.leave_requested")
	s.When(office, "2026-04-02", "drugs.grant_leave", drugs.GrantLeave{Leave: state(s).Leaves[0].ID}).ThenRecorded("drugs.leave_granted")
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-06", "2026-04-12")).ThenRefused(drugs.ErrShortAbsence)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-06", "2026-04-15")).
		Then(drugs.AbsenceRecorded{From: "2026-04-06", Until: "2026-04-15", Days: 5, Note: "家属证实"})
	if n := state(s).Counts(); n.Absences != 1 || n.DaysAway != 5 {
		t.Errorf("counts %+v", n)
	}
}

// Ensure that nothing counts against the person while the term stands still in custody, or is over (戒毒条例 20, 24).
func TestNothingCountsWhileTheTermStandsStill(t *testing.T) {
	away := func(from, until string) drugs.RecordAbsence {
		return drugs.RecordAbsence{From: from, Until: until, Note: "家属证实"}
	}
	miss := drugs.RecordMissedTest{Kind: "unscheduled", How: "absent"}
	s := agreed(t)
	s.When(policeman, "2026-04-10", "drugs.start_suspension", drugs.StartSuspension{Reason: "custody", Document: order("2026-04-10")}).ThenRecorded("drugs.suspension_started")
	s.When(policeman, "2026-04-11", "drugs.record_missed_test", miss).ThenRefused(drugs.ErrPaused)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-12", "2026-04-18")).ThenRefused(drugs.ErrPaused)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-05", "2026-04-10")).ThenRefused(drugs.ErrPaused)
	s.When(cadre, "2026-04-20", "drugs.record_absence", away("2026-04-05", "2026-04-09")).ThenRecorded("drugs.absence_recorded") // before it
	s.When(policeman, "2026-04-21", "drugs.end_suspension", drugs.EndSuspension{Note: "释放证明"}).ThenRecorded("drugs.suspension_ended")
	s.When(policeman, "2026-04-15", "drugs.record_missed_test", miss).ThenRefused(drugs.ErrPaused) // entered later
	s.When(policeman, "2026-04-21", "drugs.record_missed_test", miss).ThenRecorded("drugs.urine_test_missed")
	s.When(policeman, "2029-03-20", "drugs.record_missed_test", miss).ThenRefused(drugs.ErrPaused) // run out, though nobody recorded it
}

// Ensure that leave of three days and more needs a written report, that an absence within granted leave is none, and that
// nobody is kept from going without a legal document (DL-D5; 戒毒条例 19; S-5).
func TestLeave(t *testing.T) {
	ask := drugs.RequestLeave{From: "2026-04-10", Until: "2026-04-12", To: "省城", Reason: "探望住院的父亲"}
	s := agreed(t)
	s.When(cadre, "2026-04-08", "drugs.request_leave", ask).ThenRefused(drugs.ErrNoReport)
	short := ask
	short.Until = "2026-04-11"
	s.When(cadre, "2026-04-08", "drugs.request_leave", short).ThenRecorded("drugs.leave_requested")
	backwards := ask
	backwards.Until = "2026-04-09"
	s.When(cadre, "2026-04-08", "drugs.request_leave", backwards).ThenRefused(drugs.ErrLeaveDays)
	ask.Report = attach("c3")
	s.When(cadre, "2026-04-08", "drugs.request_leave", ask).ThenRecorded("drugs.leave_requested")
	leave := s.LastCommand()
	wantDue(t, s, "leave-answer", "2026-04-11")
	s.When(cadre, "2026-04-08", "drugs.grant_leave", drugs.GrantLeave{Leave: leave}).ThenForbidden()
	s.When(office, "2026-04-08", "drugs.grant_leave", drugs.GrantLeave{Leave: id("x")}).ThenRefused(drugs.ErrNoLeave)
	s.When(office, "2026-04-09", "drugs.grant_leave", drugs.GrantLeave{Leave: leave}).ThenRecorded("drugs.leave_granted")
	s.When(office, "2026-04-09", "drugs.grant_leave", drugs.GrantLeave{Leave: leave}).ThenRefused(drugs.ErrNoLeave)
	wantDue(t, s, "leave-return", "2026-04-12")
	s.When(cadre, "2026-04-20", "drugs.record_absence", drugs.RecordAbsence{From: "2026-04-10", Until: "2026-04-13", Note: "未见到本人"}).ThenRefused(drugs.ErrOnLeave)
	s.When(cadre, "2026-04-14", "drugs.record_return", drugs.RecordReturn{Leave: leave}).Then(drugs.LeaveReturned{Leave: leave, DaysOver: 2})
	wantDue(t, s, "leave-return", "")
	s.When(cadre, "2026-04-15", "drugs.record_return", drugs.RecordReturn{Leave: leave}).ThenRefused(drugs.ErrNotAway)

	ask.From, ask.Until = "2026-05-01", "2026-05-09"
	s.When(cadre, "2026-04-20", "drugs.request_leave", ask).ThenRecorded("drugs.leave_requested")
	leave = s.LastCommand()
	refuse := drugs.RefuseLeave{Leave: leave, Reasons: "依法不得离开"}
	s.When(office, "2026-04-21", "drugs.refuse_leave", refuse).ThenForbidden()
	s.When(policeman, "2026-04-21", "drugs.refuse_leave", refuse).ThenInvalid("document.number")
	refuse.Document = order("2026-04-20")
	s.When(policeman, "2026-04-21", "drugs.refuse_leave", refuse).ThenRecorded("drugs.leave_refused")
}

func decision(kind string) drugs.RecordExternalDecision {
	return drugs.RecordExternalDecision{
		Kind: kind, Document: drugs.Document{Number: "宜公（禁）强戒决字〔2026〕3号", Organ: "示范县公安局", Issued: "2026-05-04", Served: "2026-05-05"},
		Level: "county", Remedies: "六十日内申请行政复议，六个月内提起行政诉讼", Attachment: paper("d4"),
	}
}

// Ensure that township and village can only refer, and that isolation is recorded as what a county's public security
// decided, with number, organ, day of service, remedies and the paper (S-1; 禁毒法 38; D-09).
func TestIsolationIsNeverOrderedHere(t *testing.T) {
	s := agreed(t)
	for _, a := range []record.Actor{cadre, medic, office, volunteer} {
		s.When(a, "2026-05-06", "drugs.record_external_decision", decision("compulsory-isolation")).ThenForbidden()
	}
	s.When(policeman, "2026-05-06", "drugs.refer_to_police", refer("other")).ThenForbidden()
	for field, change := range map[string]func(*drugs.RecordExternalDecision){
		"kind":            func(in *drugs.RecordExternalDecision) { in.Kind = "exile" },
		"document.number": func(in *drugs.RecordExternalDecision) { in.Document.Number = "" },
		"document.organ":  func(in *drugs.RecordExternalDecision) { in.Document.Organ = "" },
		"document.served": func(in *drugs.RecordExternalDecision) { in.Document.Served = "" },
		"remedies":        func(in *drugs.RecordExternalDecision) { in.Remedies = "" },
		"attachment":      func(in *drugs.RecordExternalDecision) { in.Attachment = casework.Attachment{} },
		"level":           func(in *drugs.RecordExternalDecision) { in.Level = "station" },
		"referral":        func(in *drugs.RecordExternalDecision) { in.Referral = id("x") },
	} {
		in := decision("compulsory-isolation")
		change(&in)
		s.When(policeman, "2026-05-06", "drugs.record_external_decision", in).ThenInvalid(field)
	}
	court := decision("compulsory-isolation")
	court.Level = "court"
	s.When(policeman, "2026-05-06", "drugs.record_external_decision", court).ThenRefused(drugs.ErrCounty)
	s.When(policeman, "2026-05-06", "drugs.record_external_decision", decision("compulsory-isolation")).
		ThenRecorded("drugs.external_decision_recorded", "drugs.term_ended")
	wantDue(t, s, "scheduled-test", "")
	wantDue(t, s, "release-notice", "") // terminated, not released
	s.When(office, "2026-05-07", "drugs.close_case", drugs.CloseCase{Reason: "term-ended"}).ThenRefused(drugs.ErrCloseTerm)
	s.When(office, "2026-05-07", "drugs.close_case", drugs.CloseCase{Reason: "terminated"}).ThenRecorded("casework.closed")
	if open := state(s).Duties.Open; len(open) != 1 || open[0].Code != "retention-review" {
		t.Errorf("a closed case owes %v, want only the review of its retention", open)
	}
	s.When(cadre, "2026-05-08", "casework.record_visit", casework.RecordVisit{Outcome: "met"}).ThenRefused(casework.ErrClosed)
}

// Ensure that a referral for relapse rests on a positive that can no longer be contested (S-2).
func TestRelapseReferral(t *testing.T) {
	s := agreed(t)
	s.When(policeman, "2026-04-07", "drugs.record_urine_test", positive("1")).ThenRecorded("drugs.urine_test_recorded")
	in := refer("relapse")
	s.When(cadre, "2026-04-08", "drugs.refer_to_police", in).ThenRefused(drugs.ErrContestable)
	in.Test = state(s).Tests[0].ID
	s.When(cadre, "2026-04-10", "drugs.refer_to_police", in).ThenRefused(drugs.ErrContestable) // last day to dispute it
	s.When(cadre, "2026-04-11", "drugs.refer_to_police", in).ThenRecorded("drugs.referred_to_police")
	in.Ground = "relapse-sign"
	s.When(cadre, "2026-04-11", "drugs.refer_to_police", in).ThenInvalid("test")
}
