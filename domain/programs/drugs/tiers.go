package drugs

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Tier is how closely somebody is accompanied: how often visited, and by whom. It restricts nothing (S-5).
type Tier string

// The three tiers (D-08).
const (
	Strict   Tier = "strict"
	Priority Tier = "priority"
	General  Tier = "general"
)

// TierNames lists them.
var TierNames = casework.Terms{
	{Code: string(Strict), Title: record.T("严格管理", "strict tier"), Source: "D-09"},
	{Code: string(Priority), Title: record.T("重点管理", "priority tier"), Source: "D-10"},
	{Code: string(General), Title: record.T("一般管理", "general tier"), Source: "D-11"},
}

// Criteria are the grounds of a tier, in the plan's own words.
var Criteria = casework.Terms{
	{Code: "resists-treatment", Title: record.T("抗拒社区戒毒和帮教", "resists community treatment and help"), Source: "D-09"},
	{Code: "no-proper-job", Title: record.T("无正当职业", "no proper job"), Source: "D-09"},
	{Code: "may-relapse-any-time", Title: record.T("随时可能复吸", "may relapse at any time"), Source: "D-09"},
	{Code: "long-use", Title: record.T("吸毒时间较长", "has used for long"), Source: "D-10"},
	{Code: "deep-addiction", Title: record.T("毒瘾较深", "deep addiction"), Source: "D-10"},
	{Code: "tends-to-relapse", Title: record.T("有复吸倾向", "tends to relapse"), Source: "D-10"},
	{Code: "short-use", Title: record.T("吸毒时间较短", "has used for a short time"), Source: "D-11"},
	{Code: "light-addiction", Title: record.T("毒瘾较轻", "light addiction"), Source: "D-11"},
	{Code: "good-conduct", Title: record.T("日常表现较好", "good conduct"), Source: "D-11"},
}

// TierDecision is one decision on the tier.
type TierDecision struct {
	ID       uuid.UUID
	Tier     Tier
	Criteria []string
	By       uuid.UUID
	At       time.Time
	Told     time.Time
	Reviewed time.Time // when it was last looked at and kept
}

// TierAppeal is an appeal against a decision.
type TierAppeal struct {
	ID       uuid.UUID
	Decision uuid.UUID
	By       uuid.UUID // the officer who recorded it
	At       time.Time
	Outcome  string // empty while unanswered
}

// AppealOutcomes is what comes of an appeal.
var AppealOutcomes = casework.Terms{
	{Code: "kept", Title: record.T("维持原决定", "decision kept"), Source: "S-15"},
	{Code: "changed", Title: record.T("变更", "tier changed"), Source: "S-15"},
}

// Tellings is how somebody is told.
var Tellings = casework.Terms{
	{Code: "in-person", Title: record.T("当面告知", "in person"), Source: "S-15"},
	{Code: "in-writing", Title: record.T("书面告知", "in writing"), Source: "S-15"},
	{Code: "phone", Title: record.T("电话告知", "by phone"), Source: "S-15"},
}

// Appellants is who may appeal.
var Appellants = casework.Terms{
	{Code: "person", Title: record.T("本人", "the person"), Source: "S-15; PIPL 24"},
	{Code: "family", Title: record.T("家属", "family"), Source: "S-15"},
	{Code: "representative", Title: record.T("代理人", "representative"), Source: "S-15"},
}

// ChangeTier decides the tier. It is always a person who decides (S-15).
type ChangeTier struct {
	Tier        Tier     `json:"tier" enum:"strict,priority,general"`
	Criteria    []string `json:"criteria,omitempty" maxItems:"9" doc:"codes of the grounds that were found; at least one of the tier's own"`
	Reasons     string   `json:"reasons" minLength:"4" maxLength:"2000" doc:"the facts behind the grounds, in words that the person will be told"`
	Transcribed bool     `json:"transcribed,omitempty" doc:"taken over from an older register; only with late=import, and only while no tier was decided here"`
}

// TierChanged is the decision.
type TierChanged struct {
	ID          uuid.UUID `json:"id"`
	Tier        Tier      `json:"tier" enum:"strict,priority,general"`
	Prev        Tier      `json:"prev,omitempty" correct:"no"`
	Criteria    []string  `json:"criteria,omitempty"`
	Reasons     string    `json:"reasons" minLength:"4" maxLength:"2000"`
	Transcribed bool      `json:"transcribed,omitempty" correct:"no"`
	Appeal      uuid.UUID `json:"appeal,omitzero"`             // the appeal that led to it
	Lead        string    `json:"lead,omitempty" correct:"no"` // whether the present lead's role may lead in the new tier; empty without a lead
}

// What a decision on the tier says of the present lead.
const (
	leadSuits      = "lead-suits"
	leadUnsuitable = "lead-unsuitable"
)

// Facets of the decision.
func (d TierChanged) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Tier: string(d.Tier), PrevTier: string(d.Prev), Code: d.Lead}
}

func (d TierChanged) line() record.Text {
	to, grounds := TierNames.Title(string(d.Tier)), Criteria.Titles(d.Criteria)
	t := record.T("确定管理类别："+to.Zh, "Tier decided: "+to.En)
	if d.Prev != "" {
		from := TierNames.Title(string(d.Prev))
		t = record.T("管理类别由"+from.Zh+"调整为"+to.Zh, "Tier changed from "+from.En+" to "+to.En)
	}
	if len(d.Criteria) > 0 {
		t = say(t, record.T("；依据："+grounds.Zh, "; grounds: "+grounds.En))
	}
	t = say(t, also("理由：", "reasons: ", d.Reasons))
	if d.Lead == leadUnsuitable {
		t = say(t, record.T("；包保责任人须更换", "; another lead is needed"))
	}
	return t
}

// ReviewTier records that the tier was looked at again and kept.
type ReviewTier struct {
	Reasons string `json:"reasons" minLength:"4" maxLength:"2000"`
}

// TierReviewed is the record.
type TierReviewed struct {
	Tier    Tier   `json:"tier" correct:"no"`
	Reasons string `json:"reasons" minLength:"4" maxLength:"2000"`
}

// Facets of the review.
func (d TierReviewed) Facets() record.Facets {
	return record.Facets{Tier: string(d.Tier), PrevTier: string(d.Tier)}
}

// TellTier records that the person was told the decision, its reasons and the right to appeal.
type TellTier struct {
	Decision uuid.UUID `json:"decision,omitzero" doc:"the decision that was told; the present one when left out"`
	How      string    `json:"how" enum:"in-person,in-writing,phone"`
	Note     string    `json:"note,omitempty" maxLength:"500" doc:"what the person said"`
}

// TierTold is the record.
type TierTold struct {
	Decision uuid.UUID `json:"decision"`
	How      string    `json:"how" enum:"in-person,in-writing,phone"`
	Note     string    `json:"note,omitempty" maxLength:"500"`
}

// Facets of the telling.
func (d TierTold) Facets() record.Facets {
	return record.Facets{Ref: d.Decision.String(), Kind: d.How}
}

// AppealTier records an appeal against the present decision.
type AppealTier struct {
	By      string `json:"by" enum:"person,family,representative"`
	Grounds string `json:"grounds" minLength:"2" maxLength:"2000" doc:"as the person gives them"`
}

// TierAppealed is the record.
type TierAppealed struct {
	ID       uuid.UUID `json:"id"`
	Decision uuid.UUID `json:"decision"`
	By       string    `json:"by" enum:"person,family,representative"`
	Grounds  string    `json:"grounds" minLength:"2" maxLength:"2000"`
}

// Facets of the appeal.
func (d TierAppealed) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Kind: d.By}
}

// DecideTierAppeal answers an appeal; with outcome changed it also decides the new tier.
type DecideTierAppeal struct {
	Appeal   uuid.UUID `json:"appeal"`
	Outcome  string    `json:"outcome" enum:"kept,changed"`
	Tier     Tier      `json:"tier,omitempty" enum:"strict,priority,general" doc:"the new tier, when changed"`
	Criteria []string  `json:"criteria,omitempty" maxItems:"9" doc:"its grounds"`
	Reasons  string    `json:"reasons" minLength:"4" maxLength:"2000"`
}

// TierAppealDecided is the answer.
type TierAppealDecided struct {
	Appeal  uuid.UUID `json:"appeal"`
	Outcome string    `json:"outcome" correct:"no"`
	Reasons string    `json:"reasons" minLength:"4" maxLength:"2000"`
}

// Facets of the answer.
func (d TierAppealDecided) Facets() record.Facets {
	return record.Facets{Ref: d.Appeal.String(), Outcome: d.Outcome}
}

// Refusals by rule.
var (
	ErrLeadStrict   = refusal("D-09", "in the strict tier a village cadre or a medic leads", "严格管理对象由村（社区）负责人或社区医务人员包保", "choose an officer with that role").At("role")
	ErrLeadPriority = refusal("D-10", "in the priority tier a community police officer leads", "重点管理对象由社区民警包保", "choose an officer with that role").At("role")
	ErrLeadGeneral  = refusal("D-11", "in the general tier a volunteer leads", "一般管理对象由禁毒志愿者包保", "choose an officer with that role").At("role")
	ErrLeadUntiered = refusal("D-06", "before a tier is decided a village cadre, a police officer or the township office leads", "确定类别前由村干部、社区民警或镇综治（禁毒）办包保", "choose an officer with that role").At("role")
	ErrSameTier     = refusal("D-08", "this is the present tier", "与现管理类别相同", "record a review instead").At("tier")
	ErrNoCriterion  = invalid("criteria", "D-09; D-10; D-11; S-15", "at least one ground of this tier must be ticked", "至少勾选一项该类别的依据", "tick what was found, or choose another tier")
	ErrNoTier       = refusal("D-08", "no tier was decided yet", "尚未确定管理类别", "decide the tier first")
	ErrAppealOpen   = refusal("S-15", "an appeal against this decision already waits for an answer, or was answered", "对该决定的申诉已受理或已答复", "read the file again")
	ErrNoAppeal     = refusal("S-15", "no such appeal waits for an answer", "没有这项待答复的申诉", "read the file again").At("appeal")
	ErrOwnDecision  = &record.Problem{Kind: record.Forbidden, Rule: "S-15; PIPL 24", Message: "an appeal is decided by somebody other than who decided the tier",
		Zh: "申诉应由原决定人以外的人员决定", Remedy: "let another officer decide"}
	ErrOwnAppeal = &record.Problem{Kind: record.Forbidden, Rule: "S-15; PIPL 24", Message: "an appeal is decided by somebody other than who took it down, and by nobody responsible in the case",
		Zh: "申诉不得由记录申诉的人员或本案责任人决定", Remedy: "let an officer decide who has no part in the case"}
	ErrTierHere = refusal("D-08; D-13", "a tier was decided here already, so none is taken over from an older register", "本系统已确定管理类别，不得再从旧台账转录", "decide the tier with its grounds").At("transcribed")
)

var tierEvents = []record.EventRow{
	record.Guarded(record.On("drugs.tier_changed", record.T("确定管理类别", "Tier decided"),
		func(c *Case, d TierChanged, e record.Event) {
			c.Tiers = append(c.Tiers, TierDecision{ID: d.ID, Tier: d.Tier, Criteria: d.Criteria, By: e.Meta.Actor, At: e.Meta.OccurredAt})
		}, TierChanged.line), TierChanged.lowers),
	record.On("drugs.tier_reviewed", record.T("复核管理类别", "Tier reviewed"),
		func(c *Case, _ TierReviewed, e record.Event) {
			if d := c.tiering(); d != nil {
				d.Reviewed = e.Meta.OccurredAt
			}
		}, func(d TierReviewed) record.Text {
			n := TierNames.Title(string(d.Tier))
			return record.T("复核后维持"+n.Zh+"；理由："+d.Reasons, "Reviewed; "+n.En+" kept; reasons: "+d.Reasons)
		}),
	record.On("drugs.tier_told", record.T("告知管理类别", "Tier told to the person"),
		func(c *Case, d TierTold, e record.Event) {
			if t := find(c.Tiers, d.Decision, decisionID); t != nil {
				t.Told = e.Meta.OccurredAt
			}
		}, func(d TierTold) record.Text {
			h := Tellings.Title(d.How)
			return say(record.T(h.Zh+"管理类别、理由和申诉权利", "Told "+h.En+" of the tier, its reasons and the right to appeal"), also("", "", d.Note))
		}),
	record.On("drugs.tier_appealed", record.T("对管理类别申诉", "Tier appealed"),
		func(c *Case, d TierAppealed, e record.Event) {
			c.Appeals = append(c.Appeals, TierAppeal{ID: d.ID, Decision: d.Decision, By: e.Meta.Actor, At: e.Meta.OccurredAt})
		}, func(d TierAppealed) record.Text {
			by := Appellants.Title(d.By)
			return record.T(by.Zh+"申诉："+d.Grounds, "Appeal by "+by.En+": "+d.Grounds)
		}),
	record.On("drugs.tier_appeal_decided", record.T("申诉答复", "Appeal decided"),
		func(c *Case, d TierAppealDecided, _ record.Event) {
			if a := find(c.Appeals, d.Appeal, appealID); a != nil {
				a.Outcome = d.Outcome
			}
		}, func(d TierAppealDecided) record.Text {
			o := AppealOutcomes.Title(d.Outcome)
			return record.T("申诉结果："+o.Zh+"；理由："+d.Reasons, "Appeal: "+o.En+"; reasons: "+d.Reasons)
		}),
}

var tierCommands = []record.CommandRow{
	record.Do("drugs.change_tier", record.T("确定管理类别", "Decide the tier"), "D-08…D-11; S-15", changeTier, office, police),
	record.Do("drugs.review_tier", record.T("复核管理类别", "Review the tier"), "D-08; D-12", reviewTier, office, police),
	record.Do("drugs.tell_tier", record.T("告知管理类别", "Tell the tier to the person"), "S-15; PIPL 24", tellTier, village, police, office),
	record.Do("drugs.appeal_tier", record.T("记录申诉", "Record an appeal against the tier"), "S-15; PIPL 24", appealTier, village, police, office),
	record.Do("drugs.decide_tier_appeal", record.T("答复申诉", "Decide an appeal"), "S-15; PIPL 24", decideTierAppeal, office, police),
}

// lowers tells that less care follows, which takes two people. An appeal's answer is a second person's already (S-15): see
// MayAnswer.
func (d TierChanged) lowers() bool {
	order := []Tier{General, Priority, Strict}
	return d.Prev != "" && d.Appeal == uuid.Nil && slices.Index(order, d.Tier) < slices.Index(order, d.Prev)
}

func decisionID(d *TierDecision) uuid.UUID { return d.ID }
func appealID(a *TierAppeal) uuid.UUID     { return a.ID }

func mayLead(tier Tier, role record.Role) error {
	may, problem := []record.Role{record.VillageCadre, record.CommunityPolice, record.TownshipOffice}, ErrLeadUntiered
	switch tier {
	case Strict:
		may, problem = []record.Role{record.VillageCadre, record.CommunityMedic}, ErrLeadStrict
	case Priority:
		may, problem = []record.Role{record.CommunityPolice}, ErrLeadPriority
	case General:
		may, problem = []record.Role{record.Volunteer}, ErrLeadGeneral
	}
	if slices.Contains(may, role) {
		return nil
	}
	return problem
}

// checkTier wants a known tier with at least one ground of its own, and reasons that can be told.
func checkTier(tier Tier, criteria []string, reasons string, transcribed bool) error {
	if err := firstOf(TierNames.Check("tier", string(tier)), text("reasons", reasons, 4, 2000)); err != nil {
		return err
	}
	own, _ := TierNames.Find(string(tier))
	fits := transcribed
	for _, code := range criteria {
		if err := Criteria.Check("criteria", code); err != nil {
			return err
		}
		t, _ := Criteria.Find(code)
		fits = fits || t.Source == own.Source
	}
	if !fits {
		return ErrNoCriterion
	}
	return nil
}

func changeTier(c *Case, in ChangeTier, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), checkTier(in.Tier, in.Criteria, in.Reasons, in.Transcribed)); err != nil {
		return nil, err
	}
	switch {
	case in.Transcribed && g.Late != record.LateImport:
		return nil, ErrTranscribed.At("transcribed")
	case in.Transcribed && c.Tier() != "":
		return nil, ErrTierHere
	case c.paused():
		return nil, ErrTermOver
	case string(in.Tier) == c.Tier():
		return nil, ErrSameTier
	}
	return []any{TierChanged{
		ID: g.Command, Tier: in.Tier, Prev: Tier(c.Tier()), Criteria: in.Criteria, Reasons: in.Reasons, Transcribed: in.Transcribed,
		Lead: c.leadFor(in.Tier),
	}}, nil
}

func reviewTier(c *Case, in ReviewTier, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), text("reasons", in.Reasons, 4, 2000)); err != nil {
		return nil, err
	}
	if c.Tier() == "" {
		return nil, ErrNoTier
	}
	return []any{TierReviewed{Tier: Tier(c.Tier()), Reasons: in.Reasons}}, nil
}

func tellTier(c *Case, in TellTier, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), Tellings.Check("how", in.How), text("note", in.Note, 0, 500)); err != nil {
		return nil, err
	}
	if c.Tier() == "" {
		return nil, ErrNoTier
	}
	if in.Decision == uuid.Nil {
		in.Decision = c.tiering().ID
	}
	d := find(c.Tiers, in.Decision, decisionID)
	switch {
	case d == nil:
		return nil, invalid("decision", "", "there is no such decision in this case", "本案没有这项决定", "take the id from the timeline")
	case !d.Told.IsZero():
		return nil, nil
	}
	return []any{TierTold(in)}, nil
}

func appealTier(c *Case, in AppealTier, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), Appellants.Check("by", in.By), text("grounds", in.Grounds, 2, 2000)); err != nil {
		return nil, err
	}
	if c.Tier() == "" {
		return nil, ErrNoTier
	}
	decision := c.tiering().ID
	if slices.ContainsFunc(c.Appeals, func(a TierAppeal) bool { return a.Decision == decision }) {
		return nil, ErrAppealOpen
	}
	return []any{TierAppealed{ID: g.Command, Decision: decision, By: in.By, Grounds: in.Grounds}}, nil
}

// MayAnswer tells whether an officer may decide an appeal: not who decided the tier, nor who took the appeal down in the
// person's name, nor anybody responsible in the case. The answer may lower the tier without a second person's approval, so
// it must itself be a second person's (S-15).
func (c *Case) MayAnswer(a TierAppeal, officer uuid.UUID) error {
	if d := find(c.Tiers, a.Decision, decisionID); d != nil && d.By == officer {
		return ErrOwnDecision
	}
	if a.By == officer || c.Handles(officer) {
		return ErrOwnAppeal
	}
	return nil
}

func decideTierAppeal(c *Case, in DecideTierAppeal, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), AppealOutcomes.Check("outcome", in.Outcome), text("reasons", in.Reasons, 4, 2000)); err != nil {
		return nil, err
	}
	a := find(c.Appeals, in.Appeal, appealID)
	if a == nil || a.Outcome != "" {
		return nil, ErrNoAppeal
	}
	if err := c.MayAnswer(*a, g.Actor.Officer); err != nil {
		return nil, err
	}
	answer := TierAppealDecided{Appeal: in.Appeal, Outcome: in.Outcome, Reasons: in.Reasons}
	if in.Outcome == "kept" {
		return []any{answer}, nil
	}
	if err := checkTier(in.Tier, in.Criteria, in.Reasons, false); err != nil {
		return nil, err
	}
	if string(in.Tier) == c.Tier() {
		return nil, ErrSameTier
	}
	return []any{answer, TierChanged{
		ID: uuid.NewSHA1(g.Command, []byte("tier")), Tier: in.Tier, Prev: Tier(c.Tier()), Criteria: in.Criteria, Reasons: in.Reasons,
		Appeal: in.Appeal, Lead: c.leadFor(in.Tier),
	}}, nil
}
