package drugs

import (
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// Dispute is the person's objection to the newest result of a test. On site it leads to the laboratory with sample A; in
// the laboratory, to a re-test of sample B by another one; then the result is final (吸毒检测程序规定).
type Dispute struct {
	At      time.Time
	Outcome string    // empty until the police decided
	Sent    time.Time // when the sample went
}

// DisputeOutcomes is what the police decide on a dispute.
var DisputeOutcomes = casework.Terms{
	{Code: "accepted", Title: record.T("受理，送检", "accepted, sample to be sent"), Source: "DL-D7"},
	{Code: "rejected", Title: record.T("不予受理", "rejected"), Source: "DL-D7"},
}

// Confirmations is what a later stage does to the result before.
var Confirmations = casework.Terms{
	{Code: "confirmed", Title: record.T("维持原结果", "result confirmed"), Source: "DL-D7"},
	{Code: "overturned", Title: record.T("推翻原结果", "result overturned"), Source: "DL-D7"},
}

// TellUrineResult records that the person was told a laboratory's result.
type TellUrineResult struct {
	Test      uuid.UUID `json:"test"`
	Signature string    `json:"signature" enum:"signed,refused,unable"`
}

// UrineResultTold opens the window for a dispute.
type UrineResultTold struct {
	Test         uuid.UUID `json:"test"`
	Stage        string    `json:"stage" correct:"no"`
	Signature    string    `json:"signature" enum:"signed,refused,unable"`
	DisputeUntil string    `json:"disputeUntil" correct:"no"`
}

// Facets of the telling.
func (d UrineResultTold) Facets() record.Facets {
	return record.Facets{Ref: d.Test.String(), Stage: d.Stage, Kind: d.Signature}
}

// DisputeUrineTest records that the person disputes a positive result.
type DisputeUrineTest struct {
	Test    uuid.UUID `json:"test"`
	Grounds string    `json:"grounds,omitempty" maxLength:"2000" doc:"as the person gives them; none are needed"`
}

// UrineTestDisputed is the record.
type UrineTestDisputed struct {
	Test    uuid.UUID `json:"test"`
	Stage   string    `json:"stage" correct:"no"`
	Grounds string    `json:"grounds,omitempty" maxLength:"2000"`
}

// Facets of the dispute.
func (d UrineTestDisputed) Facets() record.Facets {
	return record.Facets{Ref: d.Test.String(), Stage: d.Stage}
}

// DecideDispute is the police's answer.
type DecideDispute struct {
	Test    uuid.UUID `json:"test"`
	Outcome string    `json:"outcome" enum:"accepted,rejected"`
	Reasons string    `json:"reasons" minLength:"2" maxLength:"2000"`
}

// DisputeDecided is the record.
type DisputeDecided struct {
	Test    uuid.UUID `json:"test"`
	Stage   string    `json:"stage" correct:"no"`
	Outcome string    `json:"outcome" enum:"accepted,rejected"`
	Reasons string    `json:"reasons" minLength:"2" maxLength:"2000"`
}

// Facets of the answer.
func (d DisputeDecided) Facets() record.Facets {
	return record.Facets{Ref: d.Test.String(), Stage: d.Stage, Outcome: d.Outcome}
}

// SendSample records that the sample went to the laboratory.
type SendSample struct {
	Test uuid.UUID `json:"test"`
	To   string    `json:"to" minLength:"2" maxLength:"80" doc:"laboratory"`
}

// SampleSent is the record.
type SampleSent struct {
	Test   uuid.UUID `json:"test"`
	Sample string    `json:"sample" correct:"no"` // A or B
	Seal   string    `json:"seal" correct:"no"`
	To     string    `json:"to" minLength:"2" maxLength:"80"`
}

// Facets of the sending.
func (d SampleSent) Facets() record.Facets {
	return record.Facets{Ref: d.Test.String(), Kind: d.Sample}
}

// RecordRetest records what the laboratory found in a disputed sample.
type RecordRetest struct {
	Test         uuid.UUID            `json:"test"`
	Result       string               `json:"result" enum:"negative,positive,invalid"`
	Substances   []string             `json:"substances,omitempty" maxItems:"10"`
	ReportNumber string               `json:"reportNumber" minLength:"2" maxLength:"80"`
	ReportIssuer string               `json:"reportIssuer" minLength:"2" maxLength:"80"`
	Report       *casework.Attachment `json:"report,omitempty"`
}

// UrineTestRetested is the next stage of a test.
type UrineTestRetested struct {
	Test         uuid.UUID            `json:"test"`
	Stage        string               `json:"stage" correct:"no"`
	Sample       string               `json:"sample" correct:"no"`
	Result       string               `json:"result" correct:"no"`
	Outcome      string               `json:"outcome" correct:"no"`
	Substances   []string             `json:"substances,omitempty" maxItems:"10"`
	ReportNumber string               `json:"reportNumber" minLength:"2" maxLength:"80"`
	ReportIssuer string               `json:"reportIssuer" minLength:"2" maxLength:"80"`
	Report       *casework.Attachment `json:"report,omitempty"`
}

// Facets of the result.
func (d UrineTestRetested) Facets() record.Facets {
	return record.Facets{Ref: d.Test.String(), Stage: d.Stage, Result: d.Result, Outcome: d.Outcome}
}

// DisposeSample records that a sample was destroyed.
type DisposeSample struct {
	Test uuid.UUID `json:"test"`
	Note string    `json:"note,omitempty" maxLength:"500"`
}

// SampleDisposed is the record.
type SampleDisposed struct {
	Test uuid.UUID `json:"test"`
	Note string    `json:"note,omitempty"`
}

// Facets of the disposal.
func (d SampleDisposed) Facets() record.Facets { return record.Facets{Ref: d.Test.String()} }

// Refusals by rule.
var (
	ErrNoTest         = invalid("test", "", "there is no such test in this case", "本案没有这次尿检", "take the id from the timeline")
	ErrTold           = refusal("吸毒检测程序规定", "the person was told this result already", "该结果已告知", "void the earlier entry if it is wrong")
	ErrTooEarly       = refusal("DL-D7; 吸毒检测程序规定", "this is before what it follows: a result is told after it was found, disputed after it was told, sent after it was disputed, and found again after it was sent", "早于其所依据的事项：先有结果方可告知，先告知方可异议，先受理方可送检，先送检方有复核结果", "give the day on which it happened").At("occurredAt")
	ErrNotPositive    = refusal("DL-D7", "only a positive result is disputed", "只能对阳性结果提出异议", "read the file again")
	ErrNotTold        = refusal("吸毒检测程序规定", "the person has not been told this result yet", "该结果尚未告知本人", "tell the person first")
	ErrDisputeLate    = refusal("DL-D7; 吸毒检测程序规定", "the time to dispute this result is over", "异议期限已过", "a dispute raised in time but entered late takes the day on which it was raised")
	ErrDisputed       = refusal("DL-D7", "this result was disputed already, or is that of a re-test", "该结果已提出异议，或为复检结果", "read the file again")
	ErrNoDispute      = refusal("DL-D7", "no dispute of this test waits for a decision", "没有待决定的异议", "read the file again")
	ErrNotAccepted    = refusal("DL-D7", "no accepted dispute of this test waits for a sample to be sent", "没有已受理待送检的异议", "decide the dispute first")
	ErrNotSent        = refusal("DL-D7", "the sample was not sent yet", "样本尚未送检", "record the sending first")
	ErrSameLaboratory = refusal("吸毒检测程序规定", "a re-test is made by another laboratory", "复检应由另一检测机构进行", "send the sample to another one").At("reportIssuer")
	ErrNoSample       = refusal("DL-D8", "no sample of this test is kept", "没有保存的样本", "read the file again")
	ErrKeepSample     = refusal("DL-D8; 吸毒检测程序规定", "a positive sample is kept for two months", "阳性样本应保存两个月", "wait until the day shown in the file")
	ErrSampleNeeded   = refusal("DL-D7; DL-D8", "the sample is kept while a dispute is open", "异议未处理完毕前样本不得处置", "finish the dispute first")
)

var disputeEvents = []record.EventRow{
	record.On("drugs.urine_result_told", record.T("告知尿检结果", "Test result told"),
		func(c *Case, d UrineResultTold, e record.Event) {
			if t := find(c.Tests, d.Test, testID); t != nil {
				t.Told, t.DisputeUntil = e.Meta.OccurredAt, dayOf(d.DisputeUntil)
			}
		}, func(d UrineResultTold) record.Text {
			s, g := Stages.Title(d.Stage), Signatures.Title(d.Signature)
			return record.T("告知"+s.Zh+"结果（"+g.Zh+"），异议截止 "+d.DisputeUntil, "Told the result of the "+s.En+" ("+g.En+"); may be disputed until "+d.DisputeUntil)
		}),
	record.On("drugs.urine_test_disputed", record.T("对尿检结果提出异议", "Test result disputed"),
		func(c *Case, d UrineTestDisputed, e record.Event) {
			if t := find(c.Tests, d.Test, testID); t != nil {
				t.Dispute = &Dispute{At: e.Meta.OccurredAt}
			}
		}, func(d UrineTestDisputed) record.Text {
			s := Stages.Title(d.Stage)
			return say(record.T("本人对"+s.Zh+"结果提出异议", "The person disputes the result of the "+s.En), also("", "", d.Grounds))
		}),
	record.On("drugs.dispute_decided", record.T("异议决定", "Dispute decided"),
		func(c *Case, d DisputeDecided, _ record.Event) {
			if t := find(c.Tests, d.Test, testID); t != nil && t.Dispute != nil {
				t.Dispute.Outcome = d.Outcome
			}
		}, func(d DisputeDecided) record.Text {
			o := DisputeOutcomes.Title(d.Outcome)
			return record.T("异议："+o.Zh+"；理由："+d.Reasons, "Dispute "+o.En+"; reasons: "+d.Reasons)
		}),
	record.On("drugs.sample_sent", record.T("样本送检", "Sample sent"),
		func(c *Case, d SampleSent, e record.Event) {
			if t := find(c.Tests, d.Test, testID); t != nil && t.Dispute != nil {
				t.Dispute.Sent = e.Meta.OccurredAt
			}
		}, func(d SampleSent) record.Text {
			return record.T("样本 "+d.Sample+"（封条 "+d.Seal+"）送往"+d.To, "Sample "+d.Sample+" (seal "+d.Seal+") sent to "+d.To)
		}),
	record.On("drugs.urine_test_retested", record.T("检测复核结果", "Disputed test examined again"), retested,
		func(d UrineTestRetested) record.Text {
			s, r, o := Stages.Title(d.Stage), Results.Title(d.Result), Confirmations.Title(d.Outcome)
			return say(record.T(s.Zh+"（样本 "+d.Sample+"）："+r.Zh+"，"+o.Zh, "Result of the "+s.En+" (sample "+d.Sample+"): "+r.En+"; "+o.En),
				also("报告 ", "report ", d.ReportNumber), also("出具单位：", "issued by ", d.ReportIssuer))
		}),
	record.On("drugs.sample_disposed", record.T("样本处置", "Sample disposed of"),
		func(c *Case, d SampleDisposed, e record.Event) {
			if t := find(c.Tests, d.Test, testID); t != nil {
				t.Disposed = e.Meta.OccurredAt
			}
		}, func(d SampleDisposed) record.Text {
			return say(record.T("样本已处置", "Sample disposed of"), also("", "", d.Note))
		}),
}

var disputeCommands = []record.CommandRow{
	record.Do("drugs.tell_urine_result", record.T("告知尿检结果", "Tell a test result"), "吸毒检测程序规定", tellUrineResult, police),
	record.Do("drugs.dispute_urine_test", record.T("记录异议", "Record a dispute of a test"), "S-2; DL-D7", disputeUrineTest, village, police, office),
	record.Do("drugs.decide_dispute", record.T("决定异议", "Decide a dispute"), "DL-D7; 吸毒检测程序规定", decideDispute, police),
	record.Do("drugs.send_sample", record.T("样本送检", "Send a sample"), "DL-D7; 吸毒检测程序规定", sendSample, police),
	record.Do("drugs.record_retest", record.T("记录复核结果", "Record the result of a disputed sample"), "S-2; 吸毒检测程序规定", recordRetest, police),
	record.Do("drugs.dispose_sample", record.T("处置样本", "Dispose of a sample"), "DL-D8; S-3", disposeSample, police),
}

// disputeUntil is the last day to dispute a result told at a time (DL-D7); a day off moves it on.
func disputeUntil(told time.Time, g record.Given) time.Time {
	r := policy.Of(g)
	return r.Calendar.Roll(record.DayOf(told).AddDate(0, 0, r.Days("dispute-window")))
}

// Final tells whether a result can no longer be contested at a time. Only a final positive is ground for anything (S-2).
func (t Test) Final(at time.Time) bool {
	switch {
	case t.Transcribed:
		return false // nobody can contest what has no papers, so it is never final
	case t.Stage == Retest, t.Result != Positive:
		return true
	case t.Dispute != nil:
		return t.Dispute.Outcome == "rejected"
	case t.Told.IsZero():
		return false
	}
	return record.DayOf(at).After(t.DisputeUntil)
}

// Standing is how a result shows at a time: the result itself, and for a positive whether it is contestable, disputed or
// final.
func (t Test) Standing(at time.Time) string {
	switch {
	case t.Transcribed:
		return t.Result + "-transcribed"
	case t.Result != Positive:
		return t.Result
	case t.Final(at):
		return "positive-final"
	case t.Dispute != nil:
		return "positive-disputed"
	}
	return "positive-contestable"
}

// before tells that a day comes before that of what it must follow.
func before(at, of time.Time) bool { return record.DayOf(at).Before(record.DayOf(of)) }

// test finds the test of an input in an open case.
func (c *Case) test(id uuid.UUID, g record.Given) (*Test, error) {
	if err := casework.MustBeOpen(c, g); err != nil {
		return nil, err
	}
	t := find(c.Tests, id, testID)
	if t == nil || t.Transcribed {
		return nil, ErrNoTest
	}
	return t, nil
}

func tellUrineResult(c *Case, in TellUrineResult, g record.Given) ([]any, error) {
	t, err := c.test(in.Test, g)
	if err != nil {
		return nil, err
	}
	if err := Signatures.Check("signature", in.Signature); err != nil {
		return nil, err
	}
	switch {
	case !t.Told.IsZero():
		return nil, ErrTold
	case before(g.Occurred, t.FoundAt): // the window to dispute it would be over before there was a result
		return nil, ErrTooEarly
	}
	return []any{UrineResultTold{Test: in.Test, Stage: t.Stage, Signature: in.Signature, DisputeUntil: dayText(disputeUntil(g.Occurred, g))}}, nil
}

func disputeUrineTest(c *Case, in DisputeUrineTest, g record.Given) ([]any, error) {
	t, err := c.test(in.Test, g)
	if err != nil {
		return nil, err
	}
	if err := text("grounds", in.Grounds, 0, 2000); err != nil {
		return nil, err
	}
	switch {
	case t.Result != Positive:
		return nil, ErrNotPositive
	case t.Stage == Retest, t.Dispute != nil:
		return nil, ErrDisputed
	case t.Told.IsZero():
		return nil, ErrNotTold
	case before(g.Occurred, t.Told):
		return nil, ErrTooEarly
	case record.DayOf(g.Occurred).After(t.DisputeUntil):
		return nil, ErrDisputeLate
	}
	return []any{UrineTestDisputed{Test: in.Test, Stage: t.Stage, Grounds: in.Grounds}}, nil
}

func decideDispute(c *Case, in DecideDispute, g record.Given) ([]any, error) {
	t, err := c.test(in.Test, g)
	if err != nil {
		return nil, err
	}
	if err := firstOf(DisputeOutcomes.Check("outcome", in.Outcome), text("reasons", in.Reasons, 2, 2000)); err != nil {
		return nil, err
	}
	if t.Dispute == nil || t.Dispute.Outcome != "" {
		return nil, ErrNoDispute
	}
	if before(g.Occurred, t.Dispute.At) {
		return nil, ErrTooEarly
	}
	return []any{DisputeDecided{Test: in.Test, Stage: t.Stage, Outcome: in.Outcome, Reasons: in.Reasons}}, nil
}

// following gives the stage that answers a dispute of this one, and the sample it uses.
func (t Test) following() (stage, sample, seal string) {
	if t.Stage == OnSite {
		return Laboratory, "A", t.SampleA
	}
	return Retest, "B", t.SampleB
}

func sendSample(c *Case, in SendSample, g record.Given) ([]any, error) {
	t, err := c.test(in.Test, g)
	if err != nil {
		return nil, err
	}
	if err := text("to", in.To, 2, 80); err != nil {
		return nil, err
	}
	if t.Dispute == nil || t.Dispute.Outcome != "accepted" || !t.Dispute.Sent.IsZero() {
		return nil, ErrNotAccepted
	}
	if before(g.Occurred, t.Dispute.At) {
		return nil, ErrTooEarly
	}
	_, sample, seal := t.following()
	return []any{SampleSent{Test: in.Test, Sample: sample, Seal: seal, To: in.To}}, nil
}

func recordRetest(c *Case, in RecordRetest, g record.Given) ([]any, error) {
	t, err := c.test(in.Test, g)
	if err != nil {
		return nil, err
	}
	err = firstOf(checkSubstances(in.Result, in.Substances), text("reportNumber", in.ReportNumber, 2, 80), text("reportIssuer", in.ReportIssuer, 2, 80), optional("report", in.Report))
	if err != nil {
		return nil, err
	}
	stage, sample, _ := t.following()
	switch {
	case t.Dispute == nil || t.Dispute.Sent.IsZero():
		return nil, ErrNotSent
	case before(g.Occurred, t.Dispute.Sent):
		return nil, ErrTooEarly
	case stage == Retest && in.ReportIssuer == t.Issuer:
		return nil, ErrSameLaboratory
	}
	d := UrineTestRetested{
		Test: in.Test, Stage: stage, Sample: sample, Result: in.Result, Outcome: "confirmed", Substances: in.Substances,
		ReportNumber: in.ReportNumber, ReportIssuer: in.ReportIssuer, Report: in.Report,
	}
	if in.Result != Positive {
		d.Outcome = "overturned" // what cannot be shown again does not stand
	}
	return []any{d}, nil
}

// retested makes the later stage the test's result. Its own window opens when the person is told of it.
func retested(c *Case, d UrineTestRetested, e record.Event) {
	t := find(c.Tests, d.Test, testID)
	if t == nil {
		return
	}
	t.Stage, t.Result, t.Issuer, t.FoundAt = d.Stage, d.Result, d.ReportIssuer, e.Meta.OccurredAt
	t.Told, t.DisputeUntil, t.Dispute = time.Time{}, time.Time{}, nil
}

func disposeSample(c *Case, in DisposeSample, g record.Given) ([]any, error) {
	t, err := c.test(in.Test, g)
	if err != nil {
		return nil, err
	}
	if err := text("note", in.Note, 0, 500); err != nil {
		return nil, err
	}
	switch {
	case t.KeepUntil.IsZero() || !t.Disposed.IsZero():
		return nil, ErrNoSample
	case record.DayOf(g.Occurred).Before(t.KeepUntil):
		return nil, ErrKeepSample
	case t.Result == Positive && !t.Final(g.Occurred):
		return nil, ErrSampleNeeded
	}
	return []any{SampleDisposed(in)}, nil
}
