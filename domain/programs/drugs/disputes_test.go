package drugs_test

import (
	"testing"

	"github.com/google/uuid"

	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

// found is the agreed case with a positive on-site test of Tuesday 7 April 2026, told on the spot.
func found(t testing.TB) (*recordtest.Story, uuid.UUID) {
	t.Helper()
	s := agreed(t).When(policeman, "2026-04-07", "drugs.record_urine_test", positive("1")).ThenRecorded("drugs.urine_test_recorded")
	return s, state(s).Tests[0].ID
}

func wantStanding(t testing.TB, s *recordtest.Story, day, want string) {
	t.Helper()
	if got := state(s).Tests[0].Standing(recordtest.Time(t, day)); got != want {
		t.Errorf("on %s the test stands as %s, want %s", day, got, want)
	}
}

// Ensure that a positive is contestable for three days after it was told, a day off moving the end, and final after them
// (S-2; DL-D7).
func TestDisputeWindow(t *testing.T) {
	s, test := found(t)
	wantStanding(t, s, "2026-04-10 23:59", "positive-contestable")
	wantStanding(t, s, "2026-04-11", "positive-final")
	s.When(cadre, "2026-04-11", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRefused(drugs.ErrDisputeLate)
	s.When(cadre, "2026-04-10", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: id("x")}).ThenInvalid("test")
	s.When(cadre, "2026-04-10", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test, Grounds: "服用感冒药"}).ThenRecorded("drugs.urine_test_disputed")
	wantStanding(t, s, "2026-05-01", "positive-disputed")
	s.When(cadre, "2026-04-10", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRefused(drugs.ErrDisputed)

	// Told on Wednesday 29 April: the third day is a holiday, and so are those up to 5 May.
	s = agreed(t).When(policeman, "2026-04-29", "drugs.record_urine_test", positive("2")).ThenRecorded("drugs.urine_test_recorded")
	wantStanding(t, s, "2026-05-06", "positive-contestable")
	wantStanding(t, s, "2026-05-07", "positive-final")

	s = agreed(t).When(policeman, "2026-04-07", "drugs.record_urine_test", clean("3")).ThenRecorded("drugs.urine_test_recorded")
	s.When(cadre, "2026-04-08", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: state(s).Tests[0].ID}).ThenRefused(drugs.ErrNotPositive)
	wantStanding(t, s, "2026-04-08", "negative")
}

// Ensure that a disputed on-site test goes to the laboratory with sample A, and that one to a re-test of sample B by
// another laboratory, each step within its time (S-2; DL-D7; 吸毒检测程序规定).
func TestDisputeToTheEnd(t *testing.T) {
	s, test := found(t)
	s.When(cadre, "2026-04-08", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRecorded("drugs.urine_test_disputed")
	wantDue(t, s, "dispute", "2026-04-13") // the 11th is a Saturday
	s.When(policeman, "2026-04-09", "drugs.send_sample", drugs.SendSample{Test: test, To: "市公安局毒品检验实验室"}).ThenRefused(drugs.ErrNotAccepted)
	s.When(office, "2026-04-09", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "rejected", Reasons: "无理由"}).ThenForbidden()
	s.When(policeman, "2026-04-09", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "accepted", Reasons: "依法受理"}).ThenRecorded("drugs.dispute_decided")
	wantDue(t, s, "dispute", "")
	wantDue(t, s, "send-sample", "2026-04-13")
	s.When(policeman, "2026-04-09", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "accepted", Reasons: "依法受理"}).ThenRefused(drugs.ErrNoDispute)
	lab := drugs.RecordRetest{Test: test, Result: "positive", Substances: []string{"methamphetamine"}, ReportNumber: "实检〔2026〕55", ReportIssuer: "市公安局毒品检验实验室"}
	s.When(policeman, "2026-04-10", "drugs.record_retest", lab).ThenRefused(drugs.ErrNotSent)
	s.When(policeman, "2026-04-06", "drugs.send_sample", drugs.SendSample{Test: test, To: "市公安局毒品检验实验室"}).ThenRefused(drugs.ErrTooEarly)
	s.When(policeman, "2026-04-10", "drugs.send_sample", drugs.SendSample{Test: test, To: "市公安局毒品检验实验室"}).
		Then(drugs.SampleSent{Test: test, Sample: "A", Seal: "A-1", To: "市公安局毒品检验实验室"})
	wantDue(t, s, "send-sample", "")
	wantDue(t, s, "retest", "2026-05-10")
	s.When(policeman, "2026-04-20", "drugs.record_retest", lab).ThenRecorded("drugs.urine_test_retested")
	if f := record.FacetsOf(s.Last("drugs.urine_test_retested")); f.Stage != "laboratory" || f.Outcome != "confirmed" {
		t.Errorf("facets %+v", f)
	}
	wantDue(t, s, "retest", "")
	wantDue(t, s, "tell-result", "2026-04-23")
	wantStanding(t, s, "2026-06-01", "positive-contestable") // nobody told the person: the window has not begun
	s.When(cadre, "2026-04-21", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRefused(drugs.ErrNotTold)
	s.When(policeman, "2026-04-19", "drugs.tell_urine_result", drugs.TellUrineResult{Test: test, Signature: "signed"}).ThenRefused(drugs.ErrTooEarly) // the laboratory had found nothing yet
	s.When(policeman, "2026-04-21", "drugs.tell_urine_result", drugs.TellUrineResult{Test: test, Signature: "signed"}).ThenRecorded("drugs.urine_result_told")
	told := record.CorrectEvent{Event: s.Last("drugs.urine_result_told").ID, HappenedAt: recordtest.Time(t, "2026-04-19"), Reason: "日期有误"}
	s.When(policeman, "2026-04-22", "record.correct_event", told).ThenRefused(drugs.ErrTooEarly)
	s.When(cadre, "2026-04-20", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRefused(drugs.ErrTooEarly)
	wantDue(t, s, "tell-result", "")
	s.When(policeman, "2026-04-21", "drugs.tell_urine_result", drugs.TellUrineResult{Test: test, Signature: "signed"}).ThenRefused(drugs.ErrTold)

	s.When(cadre, "2026-04-24", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRecorded("drugs.urine_test_disputed")
	s.When(policeman, "2026-04-24", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "accepted", Reasons: "依法受理"}).ThenRecorded("drugs.dispute_decided")
	s.When(policeman, "2026-04-24", "drugs.send_sample", drugs.SendSample{Test: test, To: "省毒品检验中心"}).
		Then(drugs.SampleSent{Test: test, Sample: "B", Seal: "B-1", To: "省毒品检验中心"})
	again := lab
	again.Result, again.Substances = "negative", nil
	s.When(policeman, "2026-05-08", "drugs.record_retest", again).ThenRefused(drugs.ErrSameLaboratory)
	again.ReportIssuer = "省毒品检验中心"
	s.When(policeman, "2026-04-23", "drugs.record_retest", again).ThenRefused(drugs.ErrTooEarly)
	s.When(policeman, "2026-05-08", "drugs.record_retest", again).ThenRecorded("drugs.urine_test_retested")
	if f := record.FacetsOf(s.Last("drugs.urine_test_retested")); f.Stage != "re-test" || f.Outcome != "overturned" || f.Ref != test.String() {
		t.Errorf("facets %+v", f)
	}
	wantStanding(t, s, "2026-05-08", "negative")
	if got := state(s).CleanSince(recordtest.Time(t, "2030-01-01")).Format(record.Day); got != "2026-03-02" {
		t.Errorf("clean since %s: the overturned result must not count", got)
	}
	ref := refer("relapse")
	ref.Test = test
	s.When(cadre, "2026-05-09", "drugs.refer_to_police", ref).ThenRefused(drugs.ErrContestable)
}

// Ensure that a rejected dispute and a confirmed re-test make a positive final (S-2).
func TestFinalPositive(t *testing.T) {
	s, test := found(t)
	s.When(cadre, "2026-04-08", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRecorded("drugs.urine_test_disputed")
	s.When(policeman, "2026-04-09", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "rejected", Reasons: "本人当场承认"}).ThenRecorded("drugs.dispute_decided")
	wantStanding(t, s, "2026-04-09", "positive-final")
	wantDue(t, s, "send-sample", "")

	in := positive("5")
	in.Stage, in.Told, in.Signature = "laboratory", false, ""
	s = agreed(t).When(policeman, "2026-04-07", "drugs.record_urine_test", in).ThenRecorded("drugs.urine_test_recorded")
	test = state(s).Tests[0].ID
	wantDue(t, s, "tell-result", "2026-04-10")
	s.When(policeman, "2026-04-08", "drugs.tell_urine_result", drugs.TellUrineResult{Test: test, Signature: "refused"}).ThenRecorded("drugs.urine_result_told")
	s.When(cadre, "2026-04-09", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRecorded("drugs.urine_test_disputed")
	s.When(policeman, "2026-04-09", "drugs.decide_dispute", drugs.DecideDispute{Test: test, Outcome: "accepted", Reasons: "依法受理"}).ThenRecorded("drugs.dispute_decided")
	s.When(policeman, "2026-04-10", "drugs.send_sample", drugs.SendSample{Test: test, To: "省毒品检验中心"}).ThenRecorded("drugs.sample_sent")
	s.When(policeman, "2026-04-28", "drugs.record_retest", drugs.RecordRetest{
		Test: test, Result: "positive", Substances: []string{"ketamine"}, ReportNumber: "复检〔2026〕8", ReportIssuer: "省毒品检验中心",
	}).ThenRecorded("drugs.urine_test_retested")
	wantStanding(t, s, "2026-04-28", "positive-final")
	s.When(policeman, "2026-04-28", "drugs.tell_urine_result", drugs.TellUrineResult{Test: test, Signature: "signed"}).ThenRecorded("drugs.urine_result_told")
	s.When(cadre, "2026-04-29", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRefused(drugs.ErrDisputed)
}

// Ensure that a positive sample is kept for two months, and as long as a dispute is open, and disposed of after
// (DL-D8; S-3).
func TestSampleKept(t *testing.T) {
	s, test := found(t)
	wantDue(t, s, "sample-disposal", "2026-07-08")
	s.When(policeman, "2026-06-07", "drugs.dispose_sample", drugs.DisposeSample{Test: test}).ThenRefused(drugs.ErrKeepSample)
	s.When(policeman, "2026-06-08", "drugs.dispose_sample", drugs.DisposeSample{Test: test}).ThenRecorded("drugs.sample_disposed")
	wantDue(t, s, "sample-disposal", "")
	s.When(policeman, "2026-06-08", "drugs.dispose_sample", drugs.DisposeSample{Test: test}).ThenRefused(drugs.ErrNoSample)

	s, test = found(t)
	s.When(cadre, "2026-04-08", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: test}).ThenRecorded("drugs.urine_test_disputed")
	s.When(policeman, "2026-07-01", "drugs.dispose_sample", drugs.DisposeSample{Test: test}).ThenRefused(drugs.ErrSampleNeeded)
	s = agreed(t).When(policeman, "2026-04-07", "drugs.record_urine_test", clean("3")).ThenRecorded("drugs.urine_test_recorded")
	s.When(policeman, "2026-07-01", "drugs.dispose_sample", drugs.DisposeSample{Test: state(s).Tests[0].ID}).ThenRefused(drugs.ErrNoSample)
}
