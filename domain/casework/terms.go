package casework

import (
	"fmt"
	"strings"

	"yidang/domain/record"
)

// Term is an accepted code with its names.
type Term struct {
	Code   string
	Title  record.Text
	Source string
}

// VisitOutcomes lists what can come of a visit.
var VisitOutcomes = Terms{
	{string(Met), record.T("见到本人", "met"), "D-09…D-11"},
	{string(Absent), record.T("不在家", "absent"), "D-09…D-11"},
	{string(Refused), record.T("拒绝见面", "refused"), "D-09…D-11"},
	{string(Moved), record.T("已搬离", "moved away"), "戒毒条例 22"},
	{string(WrongAddress), record.T("地址有误", "wrong address"), "D-13"},
	{string(InHospital), record.T("住院", "in hospital"), "D-09…D-11"},
	{string(InCustody), record.T("被羁押", "in custody"), "戒毒条例 24"},
}

// Channels of a contact.
var Channels = Terms{
	{"phone", record.T("电话", "phone"), ""}, {"sms", record.T("短信", "text message"), ""}, {"network", record.T("网络", "network"), ""},
}

// Parties of a contact.
var Parties = Terms{
	{"person", record.T("本人", "the person"), ""}, {"family", record.T("家属", "family"), ""},
	{"guardian", record.T("监护人", "guardian"), ""}, {"other-organ", record.T("其他单位", "another organ"), ""},
}

// ContactOutcomes lists what can come of a contact.
var ContactOutcomes = Terms{
	{"reached", record.T("已联系上", "reached"), ""}, {"no-answer", record.T("无人应答", "no answer"), ""}, {"refused", record.T("拒绝交流", "refused"), ""},
}

// Services is the catalogue of help measures.
var Services = Terms{
	{"culture-sports", record.T("文体活动", "culture and sports activity"), "D-15"},
	{"family-training", record.T("家属及社区人员照管培训", "training of family and community"), "D-16"},
	{"vocational-training", record.T("职业技能培训", "vocational training"), "D-17"},
	{"family-love-activity", record.T("亲情、爱心帮教活动", "family and love help activity"), "D-18"},
	{"heart-talk", record.T("谈心鼓励", "heart-to-heart talk"), "D-11"},
	{"dibao-application", record.T("协助申请低保", "help to apply for minimum living allowance"), "D-19; S-9"},
	{"employment", record.T("就业创业帮助", "help into work or business"), "D-19"},
	{"schooling", record.T("子女入学帮助", "help with children's schooling"), "D-19"},
	{"drug-knowledge", record.T("戒毒知识辅导", "drug knowledge"), "戒毒条例 18(1)"},
	{"education", record.T("教育、劝诫", "education and persuasion"), "戒毒条例 18(2)"},
	{"medical-aid", record.T("就医援助", "help with medical care"), "戒毒条例 18(3)"},
	{"counselling", record.T("心理咨询", "counselling"), "戒毒条例 18; S-8"},
	{"other", record.T("其他帮助", "other help"), "戒毒条例 18(4)"},
}

// Incidents is the catalogue of incidents.
var Incidents = Terms{
	{"lost-contact", record.T("失去联系", "lost contact"), "D-03"},
	{"relapse-sign", record.T("复吸苗头", "sign of relapse"), "D-10"},
	{"accident", record.T("意外伤害", "accident or injury"), "G-06"},
	{"dispute", record.T("纠纷", "dispute"), "G-06"},
	{"public-order", record.T("治安或刑事案件", "public-order or criminal case"), "G-06"},
	{"discrimination", record.T("受歧视", "discrimination met"), "禁毒法 52, 70"},
	{"other", record.T("其他", "other"), "G-06"},
}

// CloseReasons is why a case ends.
var CloseReasons = Terms{
	{"term-ended", record.T("期满解除", "term ended"), "戒毒条例 23"},
	{"moved-away", record.T("迁出", "moved away"), "戒毒条例 22"},
	{"terminated", record.T("终止", "terminated on custody or isolation"), "戒毒条例 24"},
	{"delisted", record.T("不再实行动态管控", "de-listed"), "戒毒条例 7"},
	{"death", record.T("死亡", "death"), ""},
	{"opened-in-error", record.T("误立", "opened in error"), ""},
	{"withdrawn", record.T("自愿退出", "withdrawn by the person"), "戒毒条例 9"},
}

// Terms is a list of accepted codes.
type Terms []Term

// Find finds a code; one that is not listed gets itself as its title.
func (ts Terms) Find(code string) (Term, bool) {
	for _, t := range ts {
		if t.Code == code {
			return t, true
		}
	}
	return Term{Code: code, Title: record.T(code, code)}, false
}

// Title names a code; an unknown one reads as itself.
func (ts Terms) Title(code string) record.Text { t, _ := ts.Find(code); return t.Title }

// Titles joins the names of several codes.
func (ts Terms) Titles(codes []string) record.Text {
	var zh, en []string
	for _, c := range codes {
		t := ts.Title(c)
		zh, en = append(zh, t.Zh), append(en, t.En)
	}
	return record.T(strings.Join(zh, "、"), strings.Join(en, ", "))
}

// Check refuses a code that is not listed.
func (ts Terms) Check(field, code string) error {
	if _, ok := ts.Find(code); ok {
		return nil
	}
	codes := make([]string, len(ts))
	for i, t := range ts {
		codes[i] = t.Code
	}
	return &record.Problem{Kind: record.Invalid, Field: field, Message: "unknown code", Zh: "代码不在目录中", Remedy: "use one of: " + strings.Join(codes, ", ")}
}

func roleTitle(role record.Role) record.Text {
	for _, r := range record.Roles {
		if r.Role == role {
			return r.Title
		}
	}
	return record.T(string(role), string(role))
}

func leadZh(lead bool) string {
	if lead {
		return "，主责"
	}
	return ""
}

func leadEn(lead bool) string {
	if lead {
		return ", lead"
	}
	return ""
}

func more(zhLabel, enLabel, s string) record.Text {
	if s == "" {
		return record.Text{}
	}
	return record.T("；"+zhLabel+s, "; "+enLabel+s)
}

func join(parts ...record.Text) (t record.Text) {
	for _, p := range parts {
		t.Zh += p.Zh
		t.En += p.En
	}
	return t
}

func (d VisitRecorded) line() record.Text {
	o := VisitOutcomes.Title(string(d.Outcome))
	return join(record.T("走访："+o.Zh, "Home visit: "+o.En), more("地点：", "place: ", d.Place), more("在场：", "present: ", d.With), more("", "", d.Note))
}

func (d ContactRecorded) line() record.Text {
	ch, who, out := Channels.Title(d.Channel), Parties.Title(d.Party), ContactOutcomes.Title(d.Outcome)
	return join(record.T(ch.Zh+"联系"+who.Zh+"："+out.Zh, "Contact with "+who.En+" by "+ch.En+": "+out.En), more("", "", d.Note))
}

func (d ServiceDelivered) line() record.Text {
	s := Services.Title(d.Service)
	t := record.T("帮扶服务："+s.Zh, "Service: "+s.En)
	if d.Hours > 0 {
		t = join(t, record.T(fmt.Sprintf("，%g 小时", d.Hours), fmt.Sprintf(", %g hours", d.Hours)))
	}
	return join(t, more("结果：", "result: ", d.Result), more("", "", d.Note))
}

func (d IncidentRecorded) line() record.Text {
	k := Incidents.Title(d.Incident)
	return join(record.T("事件："+k.Zh, "Incident: "+k.En), more("", "", d.Note))
}

func (d Closed) line() record.Text {
	r := CloseReasons.Title(d.Reason)
	return join(record.T("结案："+r.Zh, "Case closed: "+r.En), more("", "", d.Note))
}
