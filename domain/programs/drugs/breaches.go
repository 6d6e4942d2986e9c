package drugs

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// When a breach is serious (戒毒条例 20): as many refusals, as many absences, or more days than these.
const (
	BreachRefusals = 3
	BreachAbsences = 3
	BreachDaysAway = 30
)

// Breach is a serious breach that no decision has answered yet.
type Breach struct {
	Event  uuid.UUID
	Ground string
	At     time.Time
}

// BreachGrounds lists what makes a breach serious.
var BreachGrounds = casework.Terms{
	{Code: "refusals", Title: record.T("拒绝、逃避检测三次以上", "tests refused or evaded three times"), Source: "戒毒条例 20"},
	{Code: "absences", Title: record.T("擅自离开三次以上", "left without leave three times"), Source: "戒毒条例 20"},
	{Code: "days-away", Title: record.T("擅自离开累计超过三十日", "away without leave for more than thirty days"), Source: "戒毒条例 20"},
}

// Counts are the counters of 戒毒条例 20. They are read from the events each time, so a void counts back.
type Counts struct {
	Refusals, Absences, DaysAway int
}

// Counts gives them as they stand. A missed test with an accepted reason does not count, nor does a day for which leave was
// granted.
func (c *Case) Counts() (n Counts) {
	for _, m := range c.Misses {
		if !m.Excused {
			n.Refusals++
		}
	}
	for _, a := range c.Absences {
		if days := c.away(a.From, a.Until); days >= ReportFrom {
			n.Absences++
			n.DaysAway += days
		}
	}
	return n
}

func serious(ground string, count int) bool {
	switch ground {
	case "refusals":
		return count >= BreachRefusals
	case "absences":
		return count >= BreachAbsences
	case "days-away":
		return count > BreachDaysAway
	}
	return false
}

func (n Counts) of(ground string) int {
	switch ground {
	case "refusals":
		return n.Refusals
	case "absences":
		return n.Absences
	}
	return n.DaysAway
}

// SeriousBreachReached is recorded by the program itself, with the event that crosses the limit.
type SeriousBreachReached struct {
	Ground string `json:"ground" correct:"no"`
	Count  int    `json:"count" correct:"no"`
}

// Facets of the breach.
func (d SeriousBreachReached) Facets() record.Facets {
	return record.Facets{Kind: d.Ground, Quantity: float64(d.Count)}
}

// orBreach adds the breach to what is recorded when the count crosses the limit. Voluntary treatment has no agreement to
// break; a breach that is still unanswered is not reported twice; after an answer the next one counts anew.
func (c *Case) orBreach(data any, ground string, count int) []any {
	if !c.hasOrder() || c.Breach != nil || !serious(ground, count) {
		return []any{data}
	}
	return []any{data, SeriousBreachReached{Ground: ground, Count: count}}
}

// breached takes the breach in only while what it rests on stands: a void of one of the events below takes it back.
func breached(c *Case, d SeriousBreachReached, e record.Event) {
	if serious(d.Ground, c.Counts().of(d.Ground)) {
		c.Breach = &Breach{Event: e.ID, Ground: d.Ground, At: e.Meta.OccurredAt}
	}
}

// track derives the duties; from a breach that was taken back there are none.
func track(state any, e record.Event) {
	if _, ok := e.Data.(SeriousBreachReached); ok {
		if c, ok := state.(*Case); ok && (c.Breach == nil || c.Breach.Event != e.ID) {
			return
		}
	}
	casework.Track(state, e)
}

// Referral is a report to the police. It is all that a village or a township can do (S-1).
type Referral struct {
	ID       uuid.UUID
	Ground   string
	At       time.Time
	Answered time.Time // by a decision
}

// ReferralGrounds lists why a case is referred.
var ReferralGrounds = casework.Terms{
	{Code: "serious-breach", Title: record.T("严重违反协议", "serious breach of the agreement"), Source: "戒毒条例 20"},
	{Code: "relapse", Title: record.T("复吸（检测结果已确定）", "relapse, by a final test"), Source: "D-09; 禁毒法 38"},
	{Code: "relapse-sign", Title: record.T("复吸苗头", "signs of relapse"), Source: "D-10"},
	{Code: "lost-contact", Title: record.T("失去联系", "lost contact"), Source: "D-03"},
	{Code: "other", Title: record.T("其他", "other"), Source: "戒毒条例 20"},
}

// ReferToPolice reports the case to the police.
type ReferToPolice struct {
	Ground     string               `json:"ground" enum:"serious-breach,relapse,relapse-sign,lost-contact,other"`
	Test       uuid.UUID            `json:"test,omitzero" doc:"the final positive test, for a relapse"`
	Organ      string               `json:"organ" minLength:"2" maxLength:"80" doc:"police station that it is reported to"`
	Reasons    string               `json:"reasons" minLength:"4" maxLength:"2000" doc:"the facts; no proposal of what to order"`
	Attachment *casework.Attachment `json:"attachment,omitempty"`
}

// ReferredToPolice is the record.
type ReferredToPolice struct {
	ID         uuid.UUID            `json:"id"`
	Ground     string               `json:"ground" correct:"no"`
	Test       uuid.UUID            `json:"test,omitzero"`
	Organ      string               `json:"organ" minLength:"2" maxLength:"80"`
	Reasons    string               `json:"reasons" minLength:"4" maxLength:"2000"`
	Attachment *casework.Attachment `json:"attachment,omitempty"`
}

// Facets of the referral.
func (d ReferredToPolice) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Kind: d.Ground}
}

// Refusals by rule.
var (
	ErrNoBreach    = refusal("戒毒条例 20", "no serious breach was reached", "未达到严重违反协议的标准", "the counters are in the file; record what is missing first").At("ground")
	ErrContestable = refusal("S-2", "a relapse rests on a positive test that can no longer be contested", "复吸须以已确定的阳性结果为依据", "name a final positive test, or refer for signs of relapse").At("test")
	ErrVoluntary   = refusal("戒毒条例 9; 禁毒法 62", "who came of his own will is not referred for it", "自愿戒毒人员不因此移交公安机关", "offer help; a new determination of the police opens a case of its own")
)

var breachEvents = []record.EventRow{
	record.On("drugs.serious_breach_reached", record.T("达到严重违反协议标准", "Serious breach reached"), breached,
		func(d SeriousBreachReached) record.Text {
			g := BreachGrounds.Title(d.Ground)
			return record.T(fmt.Sprintf("达到严重违反协议标准：%s（累计 %d）；应及时报告公安机关", g.Zh, d.Count),
				fmt.Sprintf("Serious breach reached: %s (count %d); to be reported to the police promptly", g.En, d.Count))
		}),
	record.On("drugs.referred_to_police", record.T("报告公安机关", "Referred to the police"),
		func(c *Case, d ReferredToPolice, e record.Event) {
			c.Referrals = append(c.Referrals, Referral{ID: d.ID, Ground: d.Ground, At: e.Meta.OccurredAt})
		}, func(d ReferredToPolice) record.Text {
			g := ReferralGrounds.Title(d.Ground)
			return record.T("报告"+d.Organ+"："+g.Zh+"；"+d.Reasons, "Referred to "+d.Organ+": "+g.En+"; "+d.Reasons)
		}),
}

var breachCommands = []record.CommandRow{
	record.Do("drugs.refer_to_police", record.T("报告公安机关", "Refer to the police"), "S-1; 戒毒条例 20; D-09", referToPolice, village, office),
}

func referToPolice(c *Case, in ReferToPolice, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), ReferralGrounds.Check("ground", in.Ground), text("organ", in.Organ, 2, 80),
		text("reasons", in.Reasons, 4, 2000), optional("attachment", in.Attachment))
	if err != nil {
		return nil, err
	}
	switch {
	case !c.hasOrder():
		return nil, ErrVoluntary
	case in.Ground == "serious-breach" && c.Breach == nil:
		return nil, ErrNoBreach
	case in.Ground == "relapse":
		t := find(c.Tests, in.Test, testID)
		if t == nil || t.Result != Positive || !t.Final(g.Occurred) {
			return nil, ErrContestable
		}
	case in.Test != uuid.Nil:
		return nil, invalid("test", "S-2", "only a relapse names a test", "仅复吸需注明检测", "leave it out")
	}
	return []any{ReferredToPolice{ID: g.Command, Ground: in.Ground, Test: in.Test, Organ: in.Organ, Reasons: in.Reasons, Attachment: in.Attachment}}, nil
}
