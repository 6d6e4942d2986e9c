package casework

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// AssignResponsible makes an officer responsible.
type AssignResponsible struct {
	Officer uuid.UUID   `json:"officer"`
	Role    record.Role `json:"role" doc:"in which of the officer's roles"`
	Lead    bool        `json:"lead,omitempty" doc:"in the first place; the old lead's part ends"`
}

// EndResponsible ends an officer's part.
type EndResponsible struct {
	Officer uuid.UUID `json:"officer"`
	Reason  string    `json:"reason" minLength:"2" maxLength:"300"`
}

// RecordVisit records a home visit.
type RecordVisit struct {
	Outcome VisitOutcome `json:"outcome" enum:"met,absent,refused,moved,wrong-address,in-hospital,in-custody"`
	Place   string       `json:"place,omitempty" maxLength:"120"`
	With    string       `json:"with,omitempty" maxLength:"120" doc:"who else was there"`
	Note    string       `json:"note,omitempty" maxLength:"2000"`
}

// RecordContact records a call, message or network contact.
type RecordContact struct {
	Channel string `json:"channel" enum:"phone,sms,network"`
	Party   string `json:"party" enum:"person,family,guardian,other-organ"`
	Outcome string `json:"outcome" enum:"reached,no-answer,refused"`
	Note    string `json:"note,omitempty" maxLength:"2000"`
}

// DeliverService records a help measure.
type DeliverService struct {
	Service string  `json:"service" doc:"code from the service catalogue"`
	Hours   float64 `json:"hours,omitempty" minimum:"0" maximum:"200"`
	Result  string  `json:"result,omitempty" enum:"applied,granted,refused,completed,ongoing" doc:"of an application or a course"`
	Note    string  `json:"note,omitempty" maxLength:"2000"`
}

// RecordIncident records something that happened.
type RecordIncident struct {
	Incident string `json:"incident" doc:"code from the incident catalogue"`
	Note     string `json:"note" minLength:"2" maxLength:"2000"`
}

// AddNote adds a remark.
type AddNote struct {
	Text string `json:"text" minLength:"1" maxLength:"4000"`
}

// AddAttachment binds a blob that was uploaded before.
type AddAttachment struct {
	Attachment
	About uuid.UUID `json:"about,omitzero" doc:"event that the attachment belongs to"`
	Title string    `json:"title" minLength:"1" maxLength:"120"`
}

// RequestView asks to see one picture.
type RequestView struct {
	SHA256 string `json:"sha256" pattern:"^[0-9a-f]{64}$" doc:"of a picture attached to the case"`
	Reason string `json:"reason" minLength:"4" maxLength:"300"`
}

// ProposeHandOver asks another officer to take the lead.
type ProposeHandOver struct {
	To     uuid.UUID   `json:"to"`
	Role   record.Role `json:"role" doc:"in which of the officer's roles"`
	Reason string      `json:"reason" minLength:"2" maxLength:"300"`
}

// DeclineHandOver refuses it.
type DeclineHandOver struct {
	Reason string `json:"reason" minLength:"2" maxLength:"300"`
}

// ExcuseDuty waives one instance of a duty.
type ExcuseDuty struct {
	Duty   uuid.UUID `json:"duty" doc:"id of the duty as the worklist shows it"`
	Reason string    `json:"reason" minLength:"4" maxLength:"300"`
}

// ChangeVillage moves the case within the township.
type ChangeVillage struct {
	Village uuid.UUID `json:"village"`
	Reason  string    `json:"reason" minLength:"2" maxLength:"300"`
}

// Posts says which posts may do what in a program's cases.
type Posts struct {
	Workers []record.Grant // record what they do
	Leaders []record.Grant // assign, excuse, close, ask for an erasure
	// Approvers answer what takes two people.
	Approvers []record.Grant
}

// Refusals by rule.
var (
	ErrClosed     = &record.Problem{Kind: record.Refused, Message: "the case is closed", Zh: "案件已结案", Remedy: "add a note, or open a new case"}
	ErrBeforeOpen = &record.Problem{Kind: record.Refused, Field: "occurredAt", Message: "this is before the case was opened", Zh: "早于立案日期", Remedy: "check the date"}
	ErrNoHandOver = &record.Problem{Kind: record.Refused, Message: "no hand-over is waiting for an answer", Zh: "没有待答复的移交", Remedy: "read the file again"}
	ErrNotYours   = &record.Problem{Kind: record.Forbidden, Message: "only the officer who was asked may answer", Zh: "只有被提议的接收人可以答复", Remedy: "sign in as that officer"}
	ErrWrongPost  = &record.Problem{Kind: record.Refused, Field: "role", Message: "the officer does not hold this role for the village", Zh: "该人员在本村（社区）没有此岗位", Remedy: "choose an officer with a post there, or have the post granted"}
)

// Commands are the rows that every program's category includes.
func Commands(posts Posts) []record.CommandRow {
	officerAndVillage := func(officer uuid.UUID) []string { return []string{staff.Stream(officer)} }
	all := slices.Concat(posts.Workers, posts.Leaders)
	return slices.Concat(record.AmendCommands(all...), record.ApprovalCommands(posts.Approvers, posts.Leaders, all), []record.CommandRow{
		record.Needing(record.Do("casework.assign_responsible", record.T("确定包保责任人", "Make an officer responsible"), "D-09; D-10; D-11", assignResponsible, posts.Leaders...),
			func(in AssignResponsible, _ record.Given) []string { return officerAndVillage(in.Officer) }),
		record.Do("casework.end_responsible", record.T("解除包保责任", "End an officer's part"), "D-09; D-10; D-11", endPart, posts.Leaders...),
		record.Do("casework.record_visit", record.T("记录走访", "Record a home visit"), "D-09; D-10; D-11", recordVisit, posts.Workers...),
		record.Do("casework.record_contact", record.T("记录联系", "Record a contact"), "D-14", recordContact, posts.Workers...),
		record.Do("casework.deliver_service", record.T("记录帮扶服务", "Record a service"), "D-14…D-19; 戒毒条例 18", deliverService, posts.Workers...),
		record.Do("casework.record_incident", record.T("记录事件", "Record an incident"), "G-06", recordIncident, all...),
		record.Do("casework.add_note", record.T("添加备注", "Add a note"), "D-12", addNote, all...),
		record.Do("casework.add_attachment", record.T("添加附件", "Add an attachment"), "D-13", addAttachment, all...).Looking(),
		record.Do("casework.request_view", record.T("申请查阅敏感影像", "Ask to see a picture"), "S-3; PIPL 28", requestView, all...).Timeless(),
		record.Needing(record.Do("casework.propose_handover", record.T("提议移交", "Propose a hand-over"), "D-12", proposeHandOver, all...),
			func(in ProposeHandOver, _ record.Given) []string { return officerAndVillage(in.To) }),
		record.Do("casework.accept_handover", record.T("接受移交", "Accept a hand-over"), "D-12", acceptHandOver, all...).Timeless(),
		record.Do("casework.decline_handover", record.T("拒绝移交", "Decline a hand-over"), "D-12", declineHandOver, all...).Timeless(),
		record.Do("casework.excuse_duty", record.T("免除一次职责", "Excuse a duty"), "G-08", excuseDuty, posts.Leaders...).Timeless(),
		record.Needing(record.Do("casework.change_village", record.T("变更管理村（社区）", "Move to another village"), "戒毒条例 22", changeVillage, posts.Leaders...),
			func(in ChangeVillage, _ record.Given) []string { return []string{record.StreamOf("unit", in.Village)} }),
	})
}

// MustBeOpen refuses work in a closed case, and dates before it was opened.
func MustBeOpen(p Program, g record.Given) error {
	c := p.Core()
	if !c.IsOpen() {
		return ErrClosed
	}
	if record.DayOf(g.Occurred).Before(record.DayOf(c.Opened)) {
		return ErrBeforeOpen
	}
	return nil
}

func assignResponsible(p Program, in AssignResponsible, g record.Given) ([]any, error) {
	if err := MustBeOpen(p, g); err != nil {
		return nil, err
	}
	if err := suits(p, in.Officer, in.Role, in.Lead, g); err != nil {
		return nil, err
	}
	c := p.Core()
	r := Responsibility{Officer: in.Officer, Role: in.Role, Lead: in.Lead, From: g.Occurred}
	for _, had := range c.Responsible {
		if had.Officer == r.Officer && had.Role == r.Role && had.Lead == r.Lead {
			return nil, nil
		}
	}
	return []any{ResponsibleAssigned{r}}, nil
}

// suits checks that the officer holds the role, that the program lets that role lead, and that no recusal stands.
func suits(p Program, officer uuid.UUID, role record.Role, lead bool, g record.Given) error {
	o := staff.Of(g, officer)
	if o == nil || !slices.ContainsFunc(o.Active(g.Now), func(p staff.Post) bool { return p.Role == role && g.Serves(p.Unit) }) {
		return ErrWrongPost
	}
	if slices.Contains(o.Recused, p.Core().Person) {
		return &record.Problem{Kind: record.Refused, Field: "officer", Rule: "回避", Message: "the officer declared a recusal for this person",
			Zh: "该人员已申请回避", Remedy: "choose another officer"}
	}
	if lead {
		return p.MayLead(role)
	}
	return nil
}

func endPart(p Program, in EndResponsible, g record.Given) ([]any, error) {
	if err := MustBeOpen(p, g); err != nil {
		return nil, err
	}
	if !p.Core().Handles(in.Officer) {
		return nil, &record.Problem{Kind: record.Refused, Field: "officer", Message: "the officer has no part in this case", Zh: "该人员不是本案责任人", Remedy: "read the file again"}
	}
	return []any{ResponsibleEnded{Officer: in.Officer, Reason: in.Reason, Lead: in.Officer == p.Core().Lead()}}, nil
}

func recordVisit(p Program, in RecordVisit, g record.Given) ([]any, error) {
	if err := VisitOutcomes.Check("outcome", string(in.Outcome)); err != nil {
		return nil, err
	}
	return one(p, g, VisitRecorded(in))
}

func recordContact(p Program, in RecordContact, g record.Given) ([]any, error) {
	for _, c := range []struct {
		field, code string
		terms       Terms
	}{{"channel", in.Channel, Channels}, {"party", in.Party, Parties}, {"outcome", in.Outcome, ContactOutcomes}} {
		if err := c.terms.Check(c.field, c.code); err != nil {
			return nil, err
		}
	}
	return one(p, g, ContactRecorded(in))
}

func deliverService(p Program, in DeliverService, g record.Given) ([]any, error) {
	if err := Services.Check("service", in.Service); err != nil {
		return nil, err
	}
	return one(p, g, ServiceDelivered(in))
}

func recordIncident(p Program, in RecordIncident, g record.Given) ([]any, error) {
	if err := Incidents.Check("incident", in.Incident); err != nil {
		return nil, err
	}
	return one(p, g, IncidentRecorded(in))
}

func one(p Program, g record.Given, data any) ([]any, error) {
	if err := MustBeOpen(p, g); err != nil {
		return nil, err
	}
	return []any{data}, nil
}

func addNote(_ Program, in AddNote, _ record.Given) ([]any, error) {
	if strings.TrimSpace(in.Text) == "" {
		return nil, &record.Problem{Kind: record.Invalid, Field: "text", Message: "is empty", Zh: "不能为空", Remedy: "write something"}
	}
	return []any{NoteAdded(in)}, nil
}

func addAttachment(p Program, in AddAttachment, g record.Given) ([]any, error) {
	if in.About != uuid.Nil {
		if _, ok := g.Event(in.About); !ok {
			return nil, &record.Problem{Kind: record.Invalid, Field: "about", Message: "there is no such entry in this case", Zh: "本案没有这条记录", Remedy: "take the id from the timeline"}
		}
	}
	return []any{AttachmentAdded(in)}, nil
}

func requestView(p Program, in RequestView, g record.Given) ([]any, error) {
	if !slices.ContainsFunc(p.Core().Attachments, func(a Attachment) bool { return a.SHA256 == in.SHA256 && a.Sensitive() }) {
		return nil, &record.Problem{Kind: record.Refused, Field: "sha256", Rule: "S-3", Message: "no such picture is attached to this case", Zh: "本案没有这份影像", Remedy: "take the hash from the file"}
	}
	days := g.Rules.(*policy.Rules).Days("media-view")
	return []any{ViewPermitted{View: View{SHA256: in.SHA256, Officer: g.Actor.Officer, Until: g.Now.UTC().Truncate(time.Second).AddDate(0, 0, days)}, Reason: in.Reason}}, nil
}

func proposeHandOver(p Program, in ProposeHandOver, g record.Given) ([]any, error) {
	if err := MustBeOpen(p, g); err != nil {
		return nil, err
	}
	c := p.Core()
	if c.HandOver != nil {
		return nil, &record.Problem{Kind: record.Refused, Message: "a hand-over already waits for an answer", Zh: "已有待答复的移交", Remedy: "let it be answered first"}
	}
	if in.To == c.Lead() {
		return nil, &record.Problem{Kind: record.Refused, Field: "to", Message: "this officer has the lead already", Zh: "该人员已是主责人", Remedy: "choose another officer"}
	}
	if err := suits(p, in.To, in.Role, true, g); err != nil {
		return nil, err
	}
	return []any{HandOverProposed{HandOver: HandOver{ID: g.Command, From: c.Lead(), To: in.To, Role: in.Role}, Reason: in.Reason}}, nil
}

func answer(p Program, g record.Given) (HandOver, error) {
	h := p.Core().HandOver
	if h == nil {
		return HandOver{}, ErrNoHandOver
	}
	if h.To != g.Actor.Officer {
		return HandOver{}, ErrNotYours
	}
	return *h, nil
}

func acceptHandOver(p Program, _ struct{}, g record.Given) ([]any, error) {
	h, err := answer(p, g)
	if err != nil {
		return nil, err
	}
	if err := p.MayLead(h.Role); err != nil { // the tier may have changed since it was proposed
		return nil, err
	}
	return one(p, g, HandOverAccepted{h})
}

func declineHandOver(p Program, in DeclineHandOver, g record.Given) ([]any, error) {
	h, err := answer(p, g)
	if err != nil {
		return nil, err
	}
	return []any{HandOverDeclined{HandOver: h, Reason: in.Reason}}, nil
}

func excuseDuty(p Program, in ExcuseDuty, _ record.Given) ([]any, error) {
	for _, d := range p.Core().Duties.Open {
		if d.ID() == in.Duty {
			return []any{DutyExcused{Duty: in.Duty, Code: d.Code, Reason: in.Reason}}, nil
		}
	}
	return nil, &record.Problem{Kind: record.Refused, Field: "duty", Message: "no such duty is open in this case", Zh: "本案没有这项未完成的职责", Remedy: "take the id from the worklist"}
}

func changeVillage(p Program, in ChangeVillage, g record.Given) ([]any, error) {
	u, _ := g.Other(record.StreamOf("unit", in.Village)).(*units.Unit)
	if u == nil || !u.Sort.Residential() {
		return nil, &record.Problem{Kind: record.Invalid, Field: "village", Message: "is not a village or community", Zh: "不是村或社区", Remedy: "give the uuid of a village or community"}
	}
	if in.Village == p.Core().Village {
		return nil, nil
	}
	return one(p, g, VillageChanged(in))
}
