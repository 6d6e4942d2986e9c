package drugs_test

import (
	"testing"

	"github.com/google/uuid"

	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

func clean(n string) drugs.RecordUrineTest {
	return drugs.RecordUrineTest{
		Stage: "on-site", Kind: "scheduled", Testers: []uuid.UUID{policeman.Officer, medic.Officer}, Collector: medic.Officer, Result: "negative",
		ReportNumber: "检〔2026〕" + n, ReportIssuer: "示范镇派出所", Told: true, Signature: "signed",
	}
}

func positive(n string) drugs.RecordUrineTest {
	in := clean(n)
	in.Result, in.Substances, in.SampleA, in.SampleB = "positive", []string{"methamphetamine"}, "A-"+n, "B-"+n
	return in
}

// Ensure that a village may only ask for a test, and that only police record one (S-2; D-09).
func TestVillageOnlyRequestsTests(t *testing.T) {
	s := opened(t)
	for _, a := range []record.Actor{cadre, medic, office, volunteer} {
		s.When(a, "2026-03-03", "drugs.record_urine_test", clean("1")).ThenForbidden()
	}
	s.When(volunteer, "2026-03-03", "drugs.request_urine_test", drugs.RequestUrineTest{Kind: "immediate", Reason: "情绪反常"}).ThenForbidden()
	s.When(cadre, "2026-03-03", "drugs.request_urine_test", drugs.RequestUrineTest{Kind: "immediate", Reason: ""}).ThenInvalid("reason")
	s.When(cadre, "2026-03-03", "drugs.request_urine_test", drugs.RequestUrineTest{Kind: "immediate", Reason: "情绪反常"}).ThenRecorded("drugs.urine_test_requested")
	wantDue(t, s, "immediate-test", "2026-03-04")
	wantDue(t, s, "requested-test", "")
	asked := s.LastCommand()
	s.When(office, "2026-03-03", "drugs.request_urine_test", drugs.RequestUrineTest{Kind: "unscheduled", Reason: "季度抽检"}).ThenRecorded("drugs.urine_test_requested")
	wantDue(t, s, "requested-test", "2026-03-06")
	other := s.LastCommand()

	in := clean("1")
	in.Kind, in.Request = "immediate", id("unknown")
	s.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRefused(drugs.ErrNoRequest)
	in.Request = asked
	s.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRecorded("drugs.urine_test_recorded")
	wantDue(t, s, "immediate-test", "")
	wantDue(t, s, "requested-test", "2026-03-06") // each request is owed its own answer
	s.When(policeman, "2026-03-04", "drugs.record_urine_test", in).ThenRefused(drugs.ErrNoRequest)
	s.When(policeman, "2026-03-04", "drugs.decline_test_request", drugs.DeclineTestRequest{Request: other, Reason: "昨日已检测"}).ThenRecorded("drugs.urine_test_request_declined")
	wantDue(t, s, "requested-test", "")
}

// Ensure that a test has two different testers, police or medics, and that a woman's sample is collected by a woman (S-2).
func TestTesters(t *testing.T) {
	s := opened(t)
	for name, c := range map[string]struct {
		testers   []uuid.UUID
		collector uuid.UUID
		want      *record.Problem
	}{
		"one":              {[]uuid.UUID{policeman.Officer}, policeman.Officer, drugs.ErrTesters},
		"the same twice":   {[]uuid.UUID{policeman.Officer, policeman.Officer}, policeman.Officer, drugs.ErrTesters},
		"a cadre":          {[]uuid.UUID{policeman.Officer, cadre.Officer}, policeman.Officer, drugs.ErrTesterPost},
		"nobody known":     {[]uuid.UUID{policeman.Officer, id("nobody")}, policeman.Officer, drugs.ErrTesterPost},
		"another collects": {[]uuid.UUID{policeman.Officer, medic.Officer}, policewom.Officer, drugs.ErrCollector},
	} {
		in := clean(name)
		in.Testers, in.Collector = c.testers, c.collector
		s.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRefused(c.want)
	}
	for _, who := range []string{"woman", "stranger"} { // somebody whose sex is not known is treated as a woman
		w := story(t).When(policeman, "2026-03-02", "drugs.open", open(who, "2026-03-02")).ThenRecorded("drugs.opened")
		w.When(policeman, "2026-03-03", "drugs.record_urine_test", clean("1")).ThenRefused(drugs.ErrWoman)
		in := clean("1")
		in.Testers = []uuid.UUID{policeman.Officer, policewom.Officer}
		in.Collector = policeman.Officer
		w.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRefused(drugs.ErrWoman)
		in.Collector = policewom.Officer
		w.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRecorded("drugs.urine_test_recorded")
	}
}

// Ensure that the record is complete: seals and substances for a positive, a report, told on the spot, no intimate view
// (S-2, S-3; D-13; 吸毒检测程序规定).
func TestTestRecord(t *testing.T) {
	s := opened(t)
	for name, c := range map[string]struct {
		change func(*drugs.RecordUrineTest)
		want   *record.Problem
	}{
		"no seals":           {func(in *drugs.RecordUrineTest) { in.SampleA, in.SampleB = "", "" }, drugs.ErrSeals},
		"one seal":           {func(in *drugs.RecordUrineTest) { in.SampleB = "" }, drugs.ErrSeals},
		"the same seal":      {func(in *drugs.RecordUrineTest) { in.SampleB = in.SampleA }, drugs.ErrSeals},
		"nothing found":      {func(in *drugs.RecordUrineTest) { in.Substances = nil }, drugs.ErrSubstances},
		"negative but found": {func(in *drugs.RecordUrineTest) { in.Result = "negative" }, drugs.ErrSubstances},
		"on site, not told":  {func(in *drugs.RecordUrineTest) { in.Told, in.Signature = false, "" }, drugs.ErrTellOnSite},
		"told, no signature": {func(in *drugs.RecordUrineTest) { in.Signature = "" }, drugs.ErrSignature},
		"the person giving it": {func(in *drugs.RecordUrineTest) {
			in.Media = []drugs.Media{{Attachment: paper("1"), Shows: "collection"}}
		}, drugs.ErrIntimate},
		"only said to exist": {func(in *drugs.RecordUrineTest) { in.Media = []drugs.Media{{Shows: "sealing"}} }, drugs.ErrNoAttachment},
		"a report by name":   {func(in *drugs.RecordUrineTest) { in.Report = attach("1"); in.Report.SHA256 = "x" }, drugs.ErrNoAttachment},
	} {
		t.Run(name, func(t *testing.T) {
			in := positive("7")
			c.change(&in)
			s.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRefused(c.want)
		})
	}
	for field, change := range map[string]func(*drugs.RecordUrineTest){
		"stage":        func(in *drugs.RecordUrineTest) { in.Stage = "re-test" },
		"kind":         func(in *drugs.RecordUrineTest) { in.Kind = "" },
		"result":       func(in *drugs.RecordUrineTest) { in.Result = "?" },
		"substances":   func(in *drugs.RecordUrineTest) { in.Substances = []string{"tea"} },
		"reportNumber": func(in *drugs.RecordUrineTest) { in.ReportNumber = "" },
		"reportIssuer": func(in *drugs.RecordUrineTest) { in.ReportIssuer = " " },
	} {
		in := positive("7")
		change(&in)
		s.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenInvalid(field)
	}
	in := positive("7")
	in.Media, in.Report = []drugs.Media{{Attachment: paper("1"), Shows: "sealing"}, {Attachment: paper("2"), Shows: "reading"}}, attach("3")
	s.When(policeman, "2026-03-03", "drugs.record_urine_test", in).ThenRecorded("drugs.urine_test_recorded")
	again := positive("8")
	again.SampleA = "B-7"
	s.When(policeman, "2026-03-09", "drugs.record_urine_test", again).ThenRefused(drugs.ErrSealUsed)
}

// Ensure that what an older register says of a test is shown and proves nothing (D-13, S-2).
func TestTranscribedTest(t *testing.T) {
	s := opened(t)
	in := drugs.TranscribeUrineTest{Result: "positive", Source: "2026年第三季度花名册"}
	s.When(office, "2026-03-03", "drugs.transcribe_urine_test", in).ThenRefused(drugs.ErrTranscribed)
	s.WhenLate(record.LateImport, office, "2026-03-03", "drugs.transcribe_urine_test", in).ThenRecorded("drugs.urine_test_transcribed")
	c := state(s)
	if got := c.Tests[0].Standing(recordtest.Time(t, "2030-01-01")); got != "positive-transcribed" {
		t.Errorf("standing %s", got)
	}
	if got := c.CleanSince(recordtest.Time(t, "2030-01-01")).Format(record.Day); got != "2026-03-02" {
		t.Errorf("clean since %s: a transcript must not count", got)
	}
	ref := refer("relapse")
	ref.Test = c.Tests[0].ID
	s.When(cadre, "2026-05-01", "drugs.refer_to_police", ref).ThenRefused(drugs.ErrContestable)
	s.When(cadre, "2026-03-04", "drugs.dispute_urine_test", drugs.DisputeUrineTest{Test: c.Tests[0].ID}).ThenRefused(drugs.ErrNoTest)
}
