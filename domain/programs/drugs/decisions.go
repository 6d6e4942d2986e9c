package drugs

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Decision is what another organ decided.
type Decision struct {
	Kind     string
	Document Document
	At       time.Time
}

// Kinds of decision that end the term or let it stand still (戒毒条例 24).
const (
	isolation    = "compulsory-isolation"
	imprisonment = "imprisonment"
	detention    = "detention"
)

// DecisionKinds lists what another organ can decide. None of it can be ordered here.
var DecisionKinds = casework.Terms{
	{Code: isolation, Title: record.T("强制隔离戒毒", "compulsory isolation treatment"), Source: "禁毒法 38; S-1"},
	{Code: imprisonment, Title: record.T("收监执行刑罚", "imprisonment"), Source: "戒毒条例 24"},
	{Code: detention, Title: record.T("拘留、逮捕", "detention or arrest"), Source: "戒毒条例 24"},
	{Code: "public-order-penalty", Title: record.T("治安管理处罚", "public-order penalty"), Source: "治安管理处罚法"},
	{Code: "warning", Title: record.T("警告、训诫", "warning"), Source: "戒毒条例 20"},
	{Code: "no-action", Title: record.T("不作处理", "no action"), Source: "戒毒条例 20"},
}

// Levels of the organ that decided.
var Levels = casework.Terms{
	{Code: "station", Title: record.T("派出所", "police station")},
	{Code: "county", Title: record.T("县级", "county")},
	{Code: "city", Title: record.T("设区的市级", "city")},
	{Code: "province", Title: record.T("省级", "province")},
	{Code: "court", Title: record.T("法院", "court")},
}

// RecordExternalDecision records what another organ decided, with the paper in hand (S-1).
type RecordExternalDecision struct {
	Referral   uuid.UUID           `json:"referral,omitzero" doc:"the referral that it answers, if any"`
	Kind       string              `json:"kind" enum:"compulsory-isolation,imprisonment,detention,public-order-penalty,warning,no-action"`
	Document   Document            `json:"document" doc:"number, organ, day issued and day served; all required"`
	Level      string              `json:"level" enum:"station,county,city,province,court" doc:"of the organ; compulsory isolation is decided at county level or above"`
	Remedies   string              `json:"remedies" minLength:"4" maxLength:"1000" doc:"how the decision can be challenged, as its text says"`
	Attachment casework.Attachment `json:"attachment" doc:"scan of the document"`
}

// ExternalDecisionRecorded is the record.
type ExternalDecisionRecorded struct {
	Referral   uuid.UUID           `json:"referral,omitzero"`
	Kind       string              `json:"kind"`
	Document   Document            `json:"document"`
	Level      string              `json:"level"`
	Remedies   string              `json:"remedies"`
	Attachment casework.Attachment `json:"attachment"`
}

// Facets of the decision.
func (d ExternalDecisionRecorded) Facets() record.Facets {
	f := record.Facets{Kind: d.Kind, Code: d.Level}
	if d.Referral != uuid.Nil {
		f.Ref = d.Referral.String()
	}
	return f
}

// Refusals by rule.
var (
	ErrCounty     = invalid("level", "S-1; 禁毒法 38; 戒毒条例 25", "compulsory isolation is decided by public security of a county or above", "强制隔离戒毒由县级以上公安机关决定", "check the document")
	ErrNoReferral = invalid("referral", "S-1", "there is no such referral in this case", "本案没有这项报告", "take the id from the timeline")
)

var decisionEvents = []record.EventRow{
	record.On("drugs.external_decision_recorded", record.T("登记其他机关决定", "Decision of another organ"), externallyDecided,
		func(d ExternalDecisionRecorded) record.Text {
			k := DecisionKinds.Title(d.Kind)
			return say(record.T("其他机关决定："+k.Zh, "Decision of another organ: "+k.En), d.Document.line(),
				also("送达：", "served ", d.Document.Served), also("救济途径：", "remedies: ", d.Remedies))
		}),
}

var decisionCommands = []record.CommandRow{
	record.Do("drugs.record_external_decision", record.T("登记其他机关决定", "Record a decision of another organ"), "S-1; 禁毒法 38–40; 戒毒条例 24, 25", recordExternalDecision, police),
}

func recordExternalDecision(c *Case, in RecordExternalDecision, g record.Given) ([]any, error) {
	in.Document.Transcribed = false
	err := firstOf(casework.MustBeOpen(c, g), DecisionKinds.Check("kind", in.Kind), Levels.Check("level", in.Level),
		in.Document.check("document", true, g), text("remedies", in.Remedies, 4, 1000), attached("attachment", in.Attachment))
	if err != nil {
		return nil, err
	}
	if in.Kind == isolation && !slices.Contains([]string{"county", "city", "province"}, in.Level) {
		return nil, ErrCounty
	}
	if in.Referral != uuid.Nil && find(c.Referrals, in.Referral, referralID) == nil {
		return nil, ErrNoReferral
	}
	events := []any{ExternalDecisionRecorded(in)}
	switch {
	case c.TermEnding != nil:
	case in.Kind == isolation || in.Kind == imprisonment:
		events = append(events, TermEnded{Kind: terminated})
	case in.Kind == detention && !c.suspended():
		events = append(events, SuspensionStarted{Reason: "custody", Document: in.Document})
	}
	return events, nil
}

func referralID(r *Referral) uuid.UUID { return r.ID }

// externallyDecided answers the breach: what is counted after it leads to a new report.
func externallyDecided(c *Case, d ExternalDecisionRecorded, e record.Event) {
	c.Decisions = append(c.Decisions, Decision{Kind: d.Kind, Document: d.Document, At: e.Meta.OccurredAt})
	c.Breach = nil
	if r := find(c.Referrals, d.Referral, referralID); r != nil {
		r.Answered = e.Meta.OccurredAt
	}
}
