package drugs

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// TestKinds is why a urine test is made (D-09, D-13).
var TestKinds = casework.Terms{
	{Code: "scheduled", Title: record.T("定期", "scheduled"), Source: "D-13"},
	{Code: "unscheduled", Title: record.T("不定期", "unscheduled"), Source: "D-13"},
	{Code: "immediate", Title: record.T("即时", "immediate"), Source: "D-09; S-2"},
}

// Stages of a test: each later one answers a dispute of the one before.
const (
	OnSite     = "on-site"
	Laboratory = "laboratory"
	Retest     = "re-test"
)

// Stages lists them.
var Stages = casework.Terms{
	{Code: OnSite, Title: record.T("现场检测", "on-site test"), Source: "吸毒检测程序规定"},
	{Code: Laboratory, Title: record.T("实验室检测", "laboratory test"), Source: "吸毒检测程序规定"},
	{Code: Retest, Title: record.T("复检", "re-test"), Source: "吸毒检测程序规定"},
}

// Results of a test.
const (
	Negative = "negative"
	Positive = "positive"
	Invalid  = "invalid" // the test failed; it says nothing about the person
)

// Results lists them.
var Results = casework.Terms{
	{Code: Negative, Title: record.T("阴性", "negative")},
	{Code: Positive, Title: record.T("阳性", "positive")},
	{Code: Invalid, Title: record.T("无效", "invalid")},
}

// Substances that a test can find.
var Substances = casework.Terms{
	{Code: "morphine", Title: record.T("吗啡类", "opiates")},
	{Code: "methamphetamine", Title: record.T("甲基苯丙胺", "methamphetamine")},
	{Code: "mdma", Title: record.T("MDMA", "MDMA")},
	{Code: "ketamine", Title: record.T("氯胺酮", "ketamine")},
	{Code: "cannabis", Title: record.T("大麻", "cannabis")},
	{Code: "cocaine", Title: record.T("可卡因", "cocaine")},
	{Code: "methadone", Title: record.T("美沙酮", "methadone")},
	{Code: "etomidate", Title: record.T("依托咪酯", "etomidate")},
	{Code: "synthetic-cannabinoids", Title: record.T("合成大麻素", "synthetic cannabinoids")},
	{Code: "other", Title: record.T("其他", "other")},
}

// Shows is what a picture or film of a test may show (S-3): never the person giving the sample.
var Shows = casework.Terms{
	{Code: "sealing", Title: record.T("样本封存", "sealing of the sample"), Source: "S-3"},
	{Code: "reading", Title: record.T("结果判读", "reading of the result"), Source: "S-3"},
	{Code: "document", Title: record.T("文书", "paper"), Source: "S-3"},
}

// Signatures is whether the person signed the result.
var Signatures = casework.Terms{
	{Code: "signed", Title: record.T("本人签字", "signed by the person")},
	{Code: "refused", Title: record.T("拒绝签字", "signature refused")},
	{Code: "unable", Title: record.T("不能签字", "unable to sign")},
}

// Media is a picture or film of a test, by hash, with what it is declared to show.
type Media struct {
	casework.Attachment
	Shows string `json:"shows" enum:"sealing,reading,document" doc:"never the person giving the sample (S-3)"`
}

// TestRequest is a request that the police have not answered yet.
type TestRequest struct {
	ID   uuid.UUID
	Kind string
	At   time.Time
}

// Test is one urine test, from the sample to its final result.
type Test struct {
	ID           uuid.UUID
	Kind         string
	Stage        string // the newest
	Result       string // of the newest stage
	First        string // result of the first stage
	At           time.Time
	Issuer       string // of the newest report
	SampleA      string
	SampleB      string
	KeepUntil    time.Time // the sample may not be disposed of before
	FoundAt      time.Time // when the newest result was found
	Told         time.Time // of the newest stage
	DisputeUntil time.Time // last day to dispute the newest stage
	Dispute      *Dispute  // of the newest stage
	Disposed     time.Time
	Transcribed  bool
}

// RequestUrineTest asks the police for a test. It is all that a village or the township can do (S-2).
type RequestUrineTest struct {
	Kind   string `json:"kind" enum:"scheduled,unscheduled,immediate"`
	Reason string `json:"reason" minLength:"2" maxLength:"500"`
}

// UrineTestRequested is the request. A test that answers it takes its id.
type UrineTestRequested struct {
	ID     uuid.UUID `json:"id"`
	Kind   string    `json:"kind" enum:"scheduled,unscheduled,immediate"`
	Reason string    `json:"reason" minLength:"2" maxLength:"500"`
}

// Facets of the request.
func (d UrineTestRequested) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Kind: d.Kind}
}

// DeclineTestRequest is the police's no.
type DeclineTestRequest struct {
	Request uuid.UUID `json:"request"`
	Reason  string    `json:"reason" minLength:"2" maxLength:"500"`
}

// UrineTestRequestDeclined is the record.
type UrineTestRequestDeclined struct {
	Request uuid.UUID `json:"request"`
	Reason  string    `json:"reason"`
}

// Facets of the answer.
func (d UrineTestRequestDeclined) Facets() record.Facets {
	return record.Facets{Ref: d.Request.String()}
}

// RecordUrineTest records a test that police made.
type RecordUrineTest struct {
	Request      uuid.UUID            `json:"request,omitzero" doc:"the request that it answers, if any"`
	Stage        string               `json:"stage" enum:"on-site,laboratory"`
	Kind         string               `json:"kind" enum:"scheduled,unscheduled,immediate"`
	Testers      []uuid.UUID          `json:"testers" minItems:"2" maxItems:"4" doc:"officers present, at least two, each police or medic"`
	Collector    uuid.UUID            `json:"collector" doc:"the tester who collected the sample; a woman when the person is one"`
	Result       string               `json:"result" enum:"negative,positive,invalid"`
	Substances   []string             `json:"substances,omitempty" maxItems:"10" doc:"what was found, when positive"`
	SampleA      string               `json:"sampleA,omitempty" maxLength:"40" doc:"seal number of sample A; required when positive"`
	SampleB      string               `json:"sampleB,omitempty" maxLength:"40" doc:"seal number of sample B; required when positive"`
	ReportNumber string               `json:"reportNumber" minLength:"2" maxLength:"80"`
	ReportIssuer string               `json:"reportIssuer" minLength:"2" maxLength:"80"`
	Report       *casework.Attachment `json:"report,omitempty"`
	Media        []Media              `json:"media,omitempty" maxItems:"10"`
	Told         bool                 `json:"told" doc:"the person was told the result and the right to dispute it; on site that is done on the spot"`
	Signature    string               `json:"signature,omitempty" enum:"signed,refused,unable" doc:"of the person, when told"`
	Place        string               `json:"place,omitempty" maxLength:"120"`
	Note         string               `json:"note,omitempty" maxLength:"2000"`
}

// UrineTestRecorded is the test.
type UrineTestRecorded struct {
	ID           uuid.UUID            `json:"id"`
	Stage        string               `json:"stage" correct:"no"`
	Kind         string               `json:"kind" enum:"scheduled,unscheduled,immediate"`
	Testers      []uuid.UUID          `json:"testers"`
	Collector    uuid.UUID            `json:"collector"`
	Result       string               `json:"result" correct:"no"`
	Substances   []string             `json:"substances,omitempty" maxItems:"10"`
	SampleA      string               `json:"sampleA,omitempty" maxLength:"40"`
	SampleB      string               `json:"sampleB,omitempty" maxLength:"40"`
	KeepUntil    string               `json:"keepUntil,omitempty" correct:"no"` // day
	ReportNumber string               `json:"reportNumber" minLength:"2" maxLength:"80"`
	ReportIssuer string               `json:"reportIssuer" minLength:"2" maxLength:"80"`
	Report       *casework.Attachment `json:"report,omitempty"`
	Media        []Media              `json:"media,omitempty" maxItems:"10"`
	Told         bool                 `json:"told" correct:"no"`
	DisputeUntil string               `json:"disputeUntil,omitempty" correct:"no"` // last day
	Signature    string               `json:"signature,omitempty" enum:"signed,refused,unable"`
	Place        string               `json:"place,omitempty" maxLength:"120"`
	Note         string               `json:"note,omitempty" maxLength:"2000"`
}

// Facets of the test.
func (d UrineTestRecorded) Facets() record.Facets {
	f := record.Facets{Ref: d.ID.String(), Kind: d.Kind, Stage: d.Stage, Result: d.Result, Outcome: "untold"}
	if d.Told {
		f.Outcome = "told"
	}
	return f
}

func (d UrineTestRecorded) line() record.Text {
	k, s, r := TestKinds.Title(d.Kind), Stages.Title(d.Stage), Results.Title(d.Result)
	t := record.T(k.Zh+"尿检（"+s.Zh+"）："+r.Zh, "Urine test, "+k.En+" ("+s.En+"): "+r.En)
	if len(d.Substances) > 0 {
		n := Substances.Titles(d.Substances)
		t = say(t, record.T("（"+n.Zh+"）", " ("+n.En+")"))
	}
	t = say(t, also("检测人员数：", "testers: ", fmt.Sprint(len(d.Testers))), also("报告 ", "report ", d.ReportNumber), also("出具单位：", "issued by ", d.ReportIssuer))
	if d.SampleA != "" {
		t = say(t, also("样本封条 ", "sample seals ", d.SampleA+" / "+d.SampleB))
	}
	if d.DisputeUntil != "" && d.Result == Positive {
		t = say(t, also("可于此日前提出异议：", "may be disputed until ", d.DisputeUntil))
	}
	return say(t, also("", "", d.Note))
}

// TranscribeUrineTest takes over what an older register says of a test: a day and a result, without testers or seals. It
// proves nothing, fulfils nothing and is ground for nothing.
type TranscribeUrineTest struct {
	Result string `json:"result" enum:"negative,positive,invalid"`
	Source string `json:"source" minLength:"2" maxLength:"120" doc:"the register it was taken from"`
}

// UrineTestTranscribed is the record.
type UrineTestTranscribed struct {
	ID     uuid.UUID `json:"id"`
	Result string    `json:"result" enum:"negative,positive,invalid"`
	Source string    `json:"source" minLength:"2" maxLength:"120"`
}

// Facets of the transcript.
func (d UrineTestTranscribed) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Result: d.Result}
}

// Refusals by rule.
var (
	ErrNoRequest  = refusal("S-2", "no such request waits for an answer", "没有这项待答复的尿检申请", "read the file again").At("request")
	ErrTesters    = invalid("testers", "S-2; 吸毒检测程序规定", "a test has two to four different testers", "检测人员应为二至四名不同人员", "name everybody who was there")
	ErrTesterPost = refusal("S-2; 吸毒检测程序规定", "a tester is a police officer or a medic", "检测人员应为民警或医务人员", "name officers who held such a post that day").At("testers")
	ErrCollector  = refusal("S-2; 吸毒检测程序规定", "the collector is one of the testers", "采集人应为检测人员之一", "name the collector among the testers").At("collector")
	ErrWoman      = refusal("S-2; 吸毒检测程序规定", "a woman's sample is collected by a woman", "女性的尿样应由女性工作人员采集", "have a woman collect it").At("collector")
	ErrSeals      = invalid("sampleA", "S-2; 吸毒检测程序规定", "a positive sample is sealed as A and B under two different numbers", "阳性样本应分 A、B 两份封存，编号不同", "give both seal numbers")
	ErrSealUsed   = refusal("S-2; 吸毒检测程序规定", "this seal number was used for another test", "封条编号已用于其他样本", "check the number").At("sampleA")
	ErrSubstances = invalid("substances", "D-13", "a positive result says what was found, any other result nothing", "阳性结果应注明毒品种类，其他结果不填", "tick what was found")
	ErrTellOnSite = invalid("told", "吸毒检测程序规定", "an on-site result is told on the spot", "现场检测结果应当场告知", "tell the person, then record the test")
	ErrSignature  = invalid("signature", "吸毒检测程序规定", "when told, say whether the person signed", "告知后应记录是否签字", "signed, refused or unable")
	ErrIntimate   = invalid("media", "S-3", "pictures show the sealing, the reading or a paper, and nothing else", "影像只能是样本封存、结果判读或文书", "leave other pictures out")
)

var testEvents = []record.EventRow{
	record.On("drugs.urine_test_requested", record.T("申请尿检", "Urine test requested"),
		func(c *Case, d UrineTestRequested, e record.Event) {
			c.Requests = append(c.Requests, TestRequest{ID: d.ID, Kind: d.Kind, At: e.Meta.OccurredAt})
		}, func(d UrineTestRequested) record.Text {
			k := TestKinds.Title(d.Kind)
			return record.T("申请"+k.Zh+"尿检，理由："+d.Reason, "Asked the police for a urine test, "+k.En+"; reason: "+d.Reason)
		}),
	record.On("drugs.urine_test_request_declined", record.T("不予尿检", "Request for a test declined"),
		func(c *Case, d UrineTestRequestDeclined, _ record.Event) { c.answered(d.Request) },
		func(d UrineTestRequestDeclined) record.Text {
			return record.T("不予尿检，理由："+d.Reason, "Request for a urine test declined; reason: "+d.Reason)
		}),
	record.On("drugs.urine_test_recorded", record.T("尿检", "Urine test"), tested, UrineTestRecorded.line),
	record.On("drugs.urine_test_transcribed", record.T("转录尿检结果", "Earlier test transcribed"),
		func(c *Case, d UrineTestTranscribed, e record.Event) {
			c.Tests = append(c.Tests, Test{ID: d.ID, Result: d.Result, First: d.Result, At: e.Meta.OccurredAt, Transcribed: true})
		}, func(d UrineTestTranscribed) record.Text {
			r := Results.Title(d.Result)
			return record.T("转录尿检结果："+r.Zh+"（来源："+d.Source+"，无检测文书）", "Earlier test: "+r.En+" (from "+d.Source+", without papers)")
		}),
}

var testCommands = []record.CommandRow{
	record.Do("drugs.request_urine_test", record.T("申请尿检", "Ask for a urine test"), "D-09; S-2", requestUrineTest, village, office),
	record.Do("drugs.decline_test_request", record.T("不予尿检", "Decline a request for a test"), "S-2", declineTestRequest, police),
	record.Needing(record.Do("drugs.record_urine_test", record.T("记录尿检", "Record a urine test"), "D-13; S-2; 吸毒检测程序规定", recordUrineTest, police),
		func(in RecordUrineTest, _ record.Given) (streams []string) {
			for _, o := range in.Testers {
				streams = append(streams, staff.Stream(o))
			}
			return streams
		}),
	record.Do("drugs.transcribe_urine_test", record.T("转录尿检结果", "Transcribe an earlier test"), "D-13", transcribeUrineTest, police, office),
}

func testID(t *Test) uuid.UUID { return t.ID }

func (c *Case) answered(request uuid.UUID) {
	c.Requests = slices.DeleteFunc(c.Requests, func(r TestRequest) bool { return r.ID == request })
}

// testIs gives the id of a test: that of the request it answers, or its own.
func (c *Case) testIs(request uuid.UUID, g record.Given) (uuid.UUID, error) {
	if request == uuid.Nil {
		return g.Command, nil
	}
	if !slices.ContainsFunc(c.Requests, func(r TestRequest) bool { return r.ID == request }) {
		return uuid.Nil, ErrNoRequest
	}
	return request, nil
}

func requestUrineTest(c *Case, in RequestUrineTest, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), TestKinds.Check("kind", in.Kind), text("reason", in.Reason, 2, 500)); err != nil {
		return nil, err
	}
	return []any{UrineTestRequested{ID: g.Command, Kind: in.Kind, Reason: in.Reason}}, nil
}

func declineTestRequest(c *Case, in DeclineTestRequest, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), text("reason", in.Reason, 2, 500)); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(c.Requests, func(r TestRequest) bool { return r.ID == in.Request }) {
		return nil, ErrNoRequest
	}
	return []any{UrineTestRequestDeclined(in)}, nil
}

func recordUrineTest(c *Case, in RecordUrineTest, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), c.checkForm(in), checkTesters(in, c.Sex != 1, g), checkPapers(in))
	if err != nil {
		return nil, err
	}
	id, err := c.testIs(in.Request, g)
	if err != nil {
		return nil, err
	}
	d := UrineTestRecorded{
		ID: id, Stage: in.Stage, Kind: in.Kind, Testers: in.Testers, Collector: in.Collector, Result: in.Result, Substances: in.Substances,
		SampleA: in.SampleA, SampleB: in.SampleB, ReportNumber: in.ReportNumber, ReportIssuer: in.ReportIssuer, Report: in.Report,
		Media: in.Media, Told: in.Told, Signature: in.Signature, Place: in.Place, Note: in.Note,
	}
	if in.Result == Positive {
		d.KeepUntil = dayText(record.DayOf(g.Occurred).AddDate(0, 0, policy.Of(g).Days("sample-keep")))
	}
	if in.Told {
		d.DisputeUntil = dayText(disputeUntil(g.Occurred, g))
	}
	return []any{d}, nil
}

// checkForm looks at the codes and what a positive result needs.
func (c *Case) checkForm(in RecordUrineTest) error {
	if err := checkFound(in); err != nil {
		return err
	}
	for _, t := range c.Tests {
		for _, seal := range []string{in.SampleA, in.SampleB} {
			if seal != "" && (seal == t.SampleA || seal == t.SampleB) {
				return ErrSealUsed
			}
		}
	}
	return nil
}

// checkFound looks at what a test found, by itself.
func checkFound(in RecordUrineTest) error {
	err := firstOf(Stages[:2].Check("stage", in.Stage), TestKinds.Check("kind", in.Kind), checkSubstances(in.Result, in.Substances))
	if err != nil {
		return err
	}
	if in.Result == Positive && (in.SampleA == "" || in.SampleB == "") || in.SampleA != "" && in.SampleA == in.SampleB {
		return ErrSeals
	}
	return nil
}

func checkSubstances(result string, found []string) error {
	if err := Results.Check("result", result); err != nil {
		return err
	}
	for _, s := range found {
		if err := Substances.Check("substances", s); err != nil {
			return err
		}
	}
	if (result == Positive) != (len(found) > 0) {
		return ErrSubstances
	}
	return nil
}

// checkTesters wants two different people with the right posts, and a woman for a woman. Somebody whose sex is not known
// is treated as a woman: that is the side on which no wrong is done.
func checkTesters(in RecordUrineTest, woman bool, g record.Given) error {
	if n := len(in.Testers); n < 2 || n > 4 {
		return ErrTesters
	}
	for i, id := range in.Testers {
		if slices.Contains(in.Testers[:i], id) {
			return ErrTesters
		}
		o := staff.Of(g, id)
		if o == nil || !o.Holds(record.CommunityPolice, g.Occurred) && !o.Holds(record.CommunityMedic, g.Occurred) {
			return ErrTesterPost
		}
	}
	if !slices.Contains(in.Testers, in.Collector) {
		return ErrCollector
	}
	if woman && staff.Of(g, in.Collector).Sex != 2 {
		return ErrWoman
	}
	return nil
}

func checkPapers(in RecordUrineTest) error {
	err := firstOf(text("reportNumber", in.ReportNumber, 2, 80), text("reportIssuer", in.ReportIssuer, 2, 80), optional("report", in.Report),
		text("place", in.Place, 0, 120), text("note", in.Note, 0, 2000), number("media", len(in.Media), 0, 10))
	if err != nil {
		return err
	}
	for i, m := range in.Media {
		if _, ok := Shows.Find(m.Shows); !ok {
			return ErrIntimate.At(fmt.Sprintf("media[%d].shows", i))
		}
		if err := attached(fmt.Sprintf("media[%d]", i), m.Attachment); err != nil {
			return err
		}
	}
	if in.Stage == OnSite && !in.Told {
		return ErrTellOnSite
	}
	if in.Told {
		if _, ok := Signatures.Find(in.Signature); !ok {
			return ErrSignature
		}
	}
	return nil
}

func tested(c *Case, d UrineTestRecorded, e record.Event) {
	c.answered(d.ID)
	t := Test{
		ID: d.ID, Kind: d.Kind, Stage: d.Stage, Result: d.Result, First: d.Result, At: e.Meta.OccurredAt, FoundAt: e.Meta.OccurredAt, Issuer: d.ReportIssuer,
		SampleA: d.SampleA, SampleB: d.SampleB, KeepUntil: dayOf(d.KeepUntil), DisputeUntil: dayOf(d.DisputeUntil),
	}
	if d.Told {
		t.Told = e.Meta.OccurredAt
	}
	c.Tests = append(c.Tests, t)
}

func transcribeUrineTest(c *Case, in TranscribeUrineTest, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), Results.Check("result", in.Result), text("source", in.Source, 2, 120)); err != nil {
		return nil, err
	}
	if g.Late != record.LateImport {
		return nil, ErrTranscribed
	}
	return []any{UrineTestTranscribed{ID: g.Command, Result: in.Result, Source: in.Source}}, nil
}
