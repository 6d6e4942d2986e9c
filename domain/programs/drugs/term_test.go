package drugs_test

import (
	"testing"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

func notice(day string) drugs.RecordReleaseNotice {
	return drugs.RecordReleaseNotice{Document: drugs.Document{Number: "宜公（禁）解字〔2029〕4号", Organ: "示范县公安局", Issued: day, Served: day}}
}

// Ensure that the term is three years from the day of reporting, and that its end, the notice and the closing follow in
// order (DL-D2, DL-D3; 戒毒条例 14, 23).
func TestTerm(t *testing.T) {
	s := reported(t) // on 5 March 2026
	wantDue(t, s, "term-end", "2029-03-05")
	s.When(policeman, "2029-03-04", "drugs.end_term", drugs.EndTerm{}).ThenRefused(drugs.ErrTermRuns)
	s.When(policeman, "2029-03-04", "drugs.record_release_notice", notice("2029-03-04")).ThenRefused(drugs.ErrNotExpired)
	s.When(policeman, "2029-03-05", "drugs.end_term", drugs.EndTerm{}).Then(drugs.TermEnded{Kind: "expired"})
	wantDue(t, s, "term-end", "")
	wantDue(t, s, "release-notice", "2029-03-12")
	s.When(policeman, "2029-03-05", "drugs.end_term", drugs.EndTerm{}).ThenRefused(drugs.ErrTermOver)
	s.When(office, "2029-03-06", "drugs.change_tier", strict()).ThenRefused(drugs.ErrTermOver)
	s.When(office, "2029-03-06", "drugs.close_case", drugs.CloseCase{Reason: "term-ended"}).ThenRefused(drugs.ErrCloseTerm)
	s.When(policeman, "2029-03-09", "drugs.record_release_notice", notice("2029-03-08")).ThenRecorded("drugs.release_notice_recorded")
	wantDue(t, s, "release-notice", "")
	s.When(office, "2029-03-10", "drugs.close_case", drugs.CloseCase{Reason: "term-ended"}).ThenRecorded("casework.closed")
}

// Ensure that the term ends on the last day of a month that lacks the day (民法典 202), and rehabilitation after its months.
func TestTermAcrossMonthEnds(t *testing.T) {
	for _, c := range []struct {
		kind     drugs.Kind
		months   int
		reported string
		end      string
	}{
		{drugs.Detox, 0, "2024-02-29", "2027-02-28"},
		{drugs.Detox, 0, "2026-12-31", "2029-12-31"},
		{drugs.Rehabilitation, 18, "2026-08-31", "2028-02-29"},
		{drugs.Rehabilitation, 1, "2026-01-31", "2026-02-28"},
	} {
		in := open("man", "2024-02-20")
		in.Kind, in.TermMonths, in.Determination.Issued = c.kind, c.months, "2024-02-01"
		s := story(t).When(policeman, "2024-02-20", "drugs.open", in).ThenRecorded("drugs.opened")
		s.When(cadre, c.reported, "drugs.record_reporting", drugs.RecordReporting{}).ThenRecorded("drugs.reported_in")
		wantDue(t, s, "term-end", c.end)
	}
}

// Ensure that custody lets the term stand still, day for day, and that nothing is owed meanwhile (戒毒条例 24).
func TestSuspension(t *testing.T) {
	s := tiered(t)
	in := decision("detention")
	in.Level = "station"
	s.When(policeman, "2026-05-06", "drugs.record_external_decision", in).ThenRecorded("drugs.external_decision_recorded", "drugs.suspension_started")
	for _, code := range []string{"term-end", "visit", "scheduled-test", "family-love"} {
		wantDue(t, s, code, "")
	}
	if _, ok := state(s).TermEnd(); ok {
		t.Error("a term that stands still has an end")
	}
	s.When(policeman, "2026-05-07", "drugs.start_suspension", drugs.StartSuspension{Reason: "custody", Document: order("2026-05-06")}).ThenRefused(drugs.ErrSuspended)
	s.When(office, "2026-05-07", "drugs.change_tier", general()).ThenRefused(drugs.ErrTermOver)
	s.When(policeman, "2026-05-07", "drugs.end_term", drugs.EndTerm{}).ThenRefused(drugs.ErrTermRuns)
	s.When(cadre, "2026-05-08", "drugs.sign_agreement", drugs.SignAgreement{Schedule: schedule()}).ThenRecorded("drugs.agreement_signed")
	wantDue(t, s, "scheduled-test", "")
	s.When(policeman, "2026-05-21", "drugs.end_suspension", drugs.EndSuspension{Note: "释放证明〔2026〕77号"}).ThenRecorded("drugs.suspension_ended")
	wantDue(t, s, "term-end", "2029-03-20") // fifteen days more
	wantDue(t, s, "visit", "2026-05-28")
	wantDue(t, s, "scheduled-test", "2026-06-20")
	wantDue(t, s, "family-love", "2026-08-19")
	s.When(policeman, "2026-05-22", "drugs.end_suspension", drugs.EndSuspension{Note: "重复"}).ThenRefused(drugs.ErrNotSuspended)
	s.When(policeman, "2026-06-01", "drugs.start_suspension", drugs.StartSuspension{Reason: "other"}).ThenInvalid("document.number")
	s.When(policeman, "2026-06-01", "drugs.start_suspension", drugs.StartSuspension{Reason: "other", Document: order("2026-06-01")}).ThenRecorded("drugs.suspension_started")
	s.When(policeman, "2026-06-11", "drugs.end_suspension", drugs.EndSuspension{Note: "通知书〔2026〕3号"}).ThenRecorded("drugs.suspension_ended")
	wantDue(t, s, "term-end", "2029-03-30")
}

// Ensure that a move gives the person 15 days to report at the new place, and that the case closes when that has taken
// over (DL-D4; 戒毒条例 22).
func TestMove(t *testing.T) {
	s := reported(t)
	s.When(office, "2026-04-01", "drugs.confirm_move", drugs.ConfirmMove{Document: order("2026-04-01")}).ThenRefused(drugs.ErrNotMoved)
	move := drugs.RecordMove{To: "邻县清水镇", Organ: "清水镇派出所", Papers: "移送〔2026〕6号"}
	s.When(policeman, "2026-04-01", "drugs.record_move", move).ThenRecorded("drugs.moved")
	wantDue(t, s, "move-report", "2026-04-16")
	s.When(policeman, "2026-04-01", "drugs.record_move", move).ThenRefused(drugs.ErrMoved)
	s.When(office, "2026-04-02", "drugs.close_case", drugs.CloseCase{Reason: "moved-away"}).ThenRefused(drugs.ErrCloseMoved)
	s.When(office, "2026-04-10", "drugs.confirm_move", drugs.ConfirmMove{Document: order("2026-04-09")}).ThenRecorded("drugs.move_confirmed")
	wantDue(t, s, "move-report", "")
	s.When(office, "2026-04-11", "drugs.close_case", drugs.CloseCase{Reason: "moved-away"}).ThenRecorded("casework.closed")
}

// Ensure that three clean years end dynamic control: the review is due of itself, a positive moves it, an overturned one
// moves it back, and the file is sealed (DL-D6; 戒毒条例 7; S-16).
func TestDelisting(t *testing.T) {
	s := agreed(t)
	wantDue(t, s, "delisting-review", "2029-03-02")
	s.When(policeman, "2026-04-07", "drugs.record_urine_test", positive("1")).ThenRecorded("drugs.urine_test_recorded")
	test := state(s).Tests[0].ID
	wantDue(t, s, "delisting-review", "2029-04-07") // unless it is disputed
	for day, since := range map[string]string{"2026-04-10": "2026-03-02", "2026-04-11": "2026-04-07"} {
		if got := state(s).CleanSince(recordtest.Time(t, day)).Format(record.Day); got != since {
			t.Errorf("on %s clean since %s, want %s: a positive is ground for nothing before it is final", day, got, since)
		}
	}
	s.When(cadre, "2026-04-08", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRecorded("drugs.urine_test_disputed")
	wantDue(t, s, "delisting-review", "2029-03-02")
	s.When(policeman, "2026-04-08", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "accepted", Reasons: "依法受理"}).ThenRecorded("drugs.dispute_decided")
	s.When(policeman, "2026-04-08", "drugs.send_sample", drugs.SendSample{Test: test, To: "市实验室"}).ThenRecorded("drugs.sample_sent")
	s.When(policeman, "2026-04-20", "drugs.record_retest", drugs.RecordRetest{Test: test, Result: "invalid", ReportNumber: "实检1", ReportIssuer: "市实验室"}).ThenRecorded("drugs.urine_test_retested")
	wantDue(t, s, "delisting-review", "2029-03-02")
	delist := drugs.ReviewDelisting{Outcome: "delist", Reasons: "三年来历次检测均为阴性"}
	s.When(office, "2029-03-02", "drugs.review_delisting", delist).ThenForbidden()
	s.When(policeman, "2029-03-01", "drugs.review_delisting", delist).ThenRefused(drugs.ErrNotClean)
	keep := drugs.ReviewDelisting{Outcome: "keep", Reasons: "外地公安机关通报"}
	s.When(policeman, "2029-03-02", "drugs.review_delisting", keep).ThenRefused(drugs.ErrClean)
	keep.RelapseOn = "2027-06-30"
	s.When(policeman, "2029-03-02", "drugs.review_delisting", keep).ThenRecorded("drugs.delisting_reviewed")
	wantDue(t, s, "delisting-review", "2030-06-30")
	s.When(office, "2030-07-01", "drugs.close_case", drugs.CloseCase{Reason: "delisted"}).ThenRefused(drugs.ErrCloseDelisted)
	s.When(policeman, "2030-07-01", "drugs.review_delisting", delist).ThenRecorded("drugs.delisting_reviewed")
	wantDue(t, s, "delisting-review", "")
	s.When(policeman, "2030-07-01", "drugs.review_delisting", delist).ThenRefused(drugs.ErrDelisted)
	s.When(office, "2030-07-02", "drugs.seal_file", drugs.SealFile{Basis: "戒毒条例 7"}).ThenRefused(drugs.ErrSealOpen)
	s.When(office, "2030-07-02", "drugs.close_case", drugs.CloseCase{Reason: "delisted"}).
		Then(casework.Closed{Reason: "delisted"}, drugs.Sealed{Basis: "戒毒条例 7"})
	if c := state(s); !c.Sealed || c.IsOpen() {
		t.Errorf("sealed %t, open %t", c.Sealed, c.IsOpen())
	}
	s.When(policeman, "2030-07-03", "drugs.seal_file", drugs.SealFile{Basis: "治安管理处罚法 136"}).Then()
}

// Ensure that the review outlives the term: after a relapse the three years end later than it, and the closed case is still
// reviewed, and sealed by that (DL-D6; 戒毒条例 7, 23; S-16).
func TestDelistingAfterTheTerm(t *testing.T) {
	s := agreed(t)
	s.When(policeman, "2028-06-05", "drugs.record_urine_test", positive("1")).ThenRecorded("drugs.urine_test_recorded")
	wantDue(t, s, "delisting-review", "2031-06-05")
	s.When(policeman, "2029-03-06", "drugs.end_term", drugs.EndTerm{}).ThenRecorded("drugs.term_ended")
	s.When(policeman, "2029-03-08", "drugs.record_release_notice", drugs.RecordReleaseNotice{Document: order("2029-03-07")}).ThenRecorded("drugs.release_notice_recorded")
	s.When(office, "2029-03-09", "drugs.close_case", drugs.CloseCase{Reason: "term-ended"}).ThenRecorded("casework.closed")
	wantDue(t, s, "delisting-review", "2031-06-05")
	delist := drugs.ReviewDelisting{Outcome: "delist", Reasons: "三年来未发现复吸"}
	s.When(policeman, "2031-06-04", "drugs.review_delisting", delist).ThenRefused(drugs.ErrNotClean)
	s.When(policeman, "2031-06-05", "drugs.review_delisting", drugs.ReviewDelisting{Outcome: "keep", RelapseOn: "2030-01-10", Reasons: "外地公安机关通报"}).ThenRecorded("drugs.delisting_reviewed")
	wantDue(t, s, "delisting-review", "2033-01-10")
	s.When(policeman, "2033-01-10", "drugs.review_delisting", delist).ThenRecorded("drugs.delisting_reviewed", "drugs.sealed")
	wantDue(t, s, "delisting-review", "")
	if c := state(s); !c.Sealed || c.Delisted.IsZero() {
		t.Errorf("sealed %t, delisted %v", c.Sealed, c.Delisted)
	}

	s = reported(t).When(office, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "death", Note: "死亡医学证明书〔2026〕1号"}).ThenRecorded("casework.closed")
	wantDue(t, s, "delisting-review", "")
	s.When(policeman, "2029-06-05", "drugs.review_delisting", delist).ThenRefused(casework.ErrClosed)
}

// Ensure that the other ways to close a case have their ground.
func TestClosing(t *testing.T) {
	s := reported(t)
	s.When(cadre, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "death", Note: "死亡证明"}).ThenForbidden()
	s.When(office, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "tired"}).ThenInvalid("reason")
	s.When(office, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "terminated"}).ThenRefused(drugs.ErrCloseTerminate)
	s.When(office, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "withdrawn"}).ThenRefused(drugs.ErrCloseWithdrawn)
	s.When(office, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "opened-in-error"}).ThenInvalid("note")
	s.When(office, "2026-04-01", "drugs.close_case", drugs.CloseCase{Reason: "death", Note: "死亡医学证明书〔2026〕1号"}).ThenRecorded("casework.closed")
	s.When(office, "2026-04-02", "drugs.close_case", drugs.CloseCase{Reason: "death", Note: "死亡证明"}).ThenRefused(casework.ErrClosed)
	s.When(policeman, "2026-04-02", "drugs.seal_file", drugs.SealFile{Basis: "治安管理处罚法 136"}).ThenRecorded("drugs.sealed")
	reopened := s.File(record.At{AsOf: recordtest.Time(t, "2026-03-31")}).State.(*drugs.Case)
	if !reopened.IsOpen() {
		t.Error("as of the day before it was closed the case is not open")
	}
}
