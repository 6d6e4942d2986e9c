package casework

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// ResponsibleAssigned makes an officer responsible (包保; D-09…D-11).
type ResponsibleAssigned struct {
	Responsibility
}

// Facets of the assignment.
func (d ResponsibleAssigned) Facets() record.Facets {
	f := record.Facets{Kind: string(d.Role), Officer: d.Officer}
	if d.Lead {
		f.Code = "lead"
	}
	return f
}

// ResponsibleEnded ends an officer's part.
type ResponsibleEnded struct {
	Officer uuid.UUID `json:"officer"`
	Reason  string    `json:"reason"`
	Lead    bool      `json:"lead,omitempty" correct:"no"` // the case has no lead now
}

// Facets of the end.
func (d ResponsibleEnded) Facets() record.Facets {
	f := record.Facets{Officer: d.Officer}
	if d.Lead {
		f.Code = "lead"
	}
	return f
}

// VisitRecorded is a home visit (走访).
type VisitRecorded struct {
	Outcome VisitOutcome `json:"outcome"`
	Place   string       `json:"place,omitempty"`
	With    string       `json:"with,omitempty"`
	Note    string       `json:"note,omitempty"`
}

// Facets of the visit.
func (d VisitRecorded) Facets() record.Facets { return record.Facets{Outcome: string(d.Outcome)} }

// VisitOutcome says what came of a visit.
type VisitOutcome string

// What can come of a visit.
const (
	Met          VisitOutcome = "met"
	Absent       VisitOutcome = "absent"
	Refused      VisitOutcome = "refused"
	Moved        VisitOutcome = "moved"
	WrongAddress VisitOutcome = "wrong-address"
	InHospital   VisitOutcome = "in-hospital"
	InCustody    VisitOutcome = "in-custody"
)

// ContactRecorded is a contact by phone, message or network.
type ContactRecorded struct {
	Channel string `json:"channel"`
	Party   string `json:"party"`
	Outcome string `json:"outcome"`
	Note    string `json:"note,omitempty"`
}

// Facets of the contact.
func (d ContactRecorded) Facets() record.Facets {
	return record.Facets{Kind: d.Channel, Code: d.Party, Outcome: d.Outcome}
}

// ServiceDelivered is a help measure (D-14…D-19; 戒毒条例 18).
type ServiceDelivered struct {
	Service string  `json:"service"`
	Hours   float64 `json:"hours,omitempty"`
	Result  string  `json:"result,omitempty"`
	Note    string  `json:"note,omitempty"`
}

// Facets of the service.
func (d ServiceDelivered) Facets() record.Facets {
	return record.Facets{Code: d.Service, Quantity: d.Hours, Result: d.Result}
}

// IncidentRecorded is something that happened (G-06).
type IncidentRecorded struct {
	Incident string `json:"incident"`
	Note     string `json:"note"`
}

// Facets of the incident.
func (d IncidentRecorded) Facets() record.Facets { return record.Facets{Kind: d.Incident} }

// NoteAdded is a remark. Notes are never edited.
type NoteAdded struct {
	Text string `json:"text"`
}

// AttachmentAdded binds a sealed blob to the case by its hash.
type AttachmentAdded struct {
	Attachment
	About uuid.UUID `json:"about,omitzero"` // the event it belongs to
	Title string    `json:"title"`
}

// Facets of the attachment.
func (d AttachmentAdded) Facets() record.Facets { return record.Facets{Kind: d.MediaType} }

// HandOverProposed asks another officer to take the lead.
type HandOverProposed struct {
	HandOver
	Reason string `json:"reason"`
}

// Facets of the proposal.
func (d HandOverProposed) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Kind: string(d.Role), Officer: d.To}
}

// HandOverAccepted passes the lead on.
type HandOverAccepted struct {
	HandOver
}

// Facets of the answer.
func (d HandOverAccepted) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Kind: string(d.Role), Officer: d.To}
}

// HandOverDeclined leaves the lead where it was.
type HandOverDeclined struct {
	HandOver
	Reason string `json:"reason"`
}

// Facets of the answer.
func (d HandOverDeclined) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Kind: string(d.Role), Officer: d.To}
}

// DutyExcused says why a duty need not be fulfilled this time.
type DutyExcused struct {
	Duty   uuid.UUID `json:"duty"`
	Code   string    `json:"code" correct:"no"`
	Reason string    `json:"reason"`
}

// Facets of the excuse.
func (d DutyExcused) Facets() record.Facets { return record.Facets{Code: d.Code} }

// ViewPermitted lets an officer see one picture for a time, with a reason that a second person approved (S-3).
type ViewPermitted struct {
	View
	Reason string `json:"reason"`
}

// Facets of the permission.
func (d ViewPermitted) Facets() record.Facets { return record.Facets{Officer: d.Officer} }

// Closed ends the case.
type Closed struct {
	Reason string `json:"reason"`
	Note   string `json:"note,omitempty"`
}

// Facets of the closing.
func (d Closed) Facets() record.Facets { return record.Facets{Kind: d.Reason} }

// VillageChanged moves the case to another village of the township.
type VillageChanged struct {
	Village uuid.UUID `json:"village"`
	Reason  string    `json:"reason"`
}

// Facets of the change.
func (d VillageChanged) Facets() record.Facets { return record.Facets{Village: d.Village} }

// Events are the rows that every program's category includes.
func Events() []record.EventRow {
	return append([]record.EventRow{
		record.On("casework.responsible_assigned", record.T("确定包保责任人", "Officer made responsible"),
			func(p Program, d ResponsibleAssigned, _ record.Event) { p.Core().assign(d.Responsibility) },
			func(d ResponsibleAssigned) record.Text {
				return record.T("确定包保责任人（"+roleTitle(d.Role).Zh+leadZh(d.Lead)+"）", "Made responsible ("+roleTitle(d.Role).En+leadEn(d.Lead)+")")
			}),
		record.On("casework.responsible_ended", record.T("解除包保责任", "Responsibility ended"), endResponsible,
			func(d ResponsibleEnded) record.Text {
				return record.T("解除包保责任，理由："+d.Reason, "Responsibility ended; reason: "+d.Reason)
			}),
		record.On("casework.visit_recorded", record.T("走访", "Home visit"), visited, VisitRecorded.line),
		record.On("casework.contact_recorded", record.T("联系", "Contact"), func(Program, ContactRecorded, record.Event) {}, ContactRecorded.line),
		record.On("casework.service_delivered", record.T("帮扶服务", "Service delivered"),
			func(p Program, _ ServiceDelivered, _ record.Event) { p.Core().Services++ }, ServiceDelivered.line),
		record.On("casework.incident_recorded", record.T("事件", "Incident"), func(Program, IncidentRecorded, record.Event) {}, IncidentRecorded.line),
		record.On("casework.note_added", record.T("备注", "Note"), func(Program, NoteAdded, record.Event) {},
			func(d NoteAdded) record.Text { return record.T("备注："+d.Text, "Note: "+d.Text) }),
		record.On("casework.attachment_added", record.T("附件", "Attachment"),
			func(Program, AttachmentAdded, record.Event) {}, // Track takes it
			func(d AttachmentAdded) record.Text {
				return record.T("附件《"+d.Title+"》（SHA-256 "+d.SHA256[:min(12, len(d.SHA256))]+"…）", "Attached “"+d.Title+"” (SHA-256 "+d.SHA256[:min(12, len(d.SHA256))]+"…)")
			}),
		record.On("casework.handover_proposed", record.T("提议移交", "Hand-over proposed"),
			func(p Program, d HandOverProposed, _ record.Event) { h := d.HandOver; p.Core().HandOver = &h },
			func(d HandOverProposed) record.Text {
				return record.T("提议移交，理由："+d.Reason, "Hand-over proposed; reason: "+d.Reason)
			}),
		record.On("casework.handover_accepted", record.T("接受移交", "Hand-over accepted"), accepted, nil),
		record.On("casework.handover_declined", record.T("拒绝移交", "Hand-over declined"),
			func(p Program, _ HandOverDeclined, _ record.Event) { p.Core().HandOver = nil },
			func(d HandOverDeclined) record.Text {
				return record.T("拒绝接受移交，理由："+d.Reason, "Hand-over declined; reason: "+d.Reason)
			}),
		record.On("casework.duty_excused", record.T("免除一次职责", "Duty excused"), func(Program, DutyExcused, record.Event) {},
			func(d DutyExcused) record.Text {
				return record.T("免除一次职责（"+d.Code+"），理由："+d.Reason, "Excused from a duty ("+d.Code+"); reason: "+d.Reason)
			}),
		record.On("casework.village_changed", record.T("变更管理村（社区）", "Village changed"),
			func(p Program, d VillageChanged, _ record.Event) { p.Core().Village = d.Village },
			func(d VillageChanged) record.Text {
				return record.T("变更管理村（社区），理由："+d.Reason, "Moved to another village; reason: "+d.Reason)
			}),
		record.Guarded[ViewPermitted](record.On("casework.view_permitted", record.T("准许查阅敏感影像", "View of a picture permitted"),
			func(p Program, d ViewPermitted, e record.Event) {
				at := e.Meta.RecordedAt
				c := p.Core()
				c.Views = append(slices.DeleteFunc(slices.Clone(c.Views), func(v View) bool { return !at.Before(v.Until) }), d.View)
			}, func(d ViewPermitted) record.Text {
				return record.T("准许查阅一份影像，理由："+d.Reason, "View of a picture permitted; reason: "+d.Reason)
			}), nil),
		record.Guarded[Closed](record.On("casework.closed", record.T("结案", "Case closed"),
			func(p Program, d Closed, e record.Event) {
				p.Core().Closed, p.Core().CloseReason = e.Meta.OccurredAt, d.Reason
			}, Closed.line), nil),
		record.VoidedRow(),
	}, record.ApprovalRows()...)
}

func endResponsible(p Program, d ResponsibleEnded, _ record.Event) {
	c := p.Core()
	kept := c.Responsible[:0:0]
	for _, r := range c.Responsible {
		if r.Officer != d.Officer {
			kept = append(kept, r)
		}
	}
	c.Responsible = kept
}

func visited(p Program, d VisitRecorded, e record.Event) {
	c := p.Core()
	c.Visits++
	c.LastVisit = later(c.LastVisit, e.Meta.OccurredAt)
	if d.Outcome == Met {
		c.LastMet = later(c.LastMet, e.Meta.OccurredAt)
	}
}

func accepted(p Program, d HandOverAccepted, e record.Event) {
	c := p.Core()
	c.HandOver = nil
	c.assign(Responsibility{Officer: d.To, Role: d.Role, Lead: true, From: e.Meta.OccurredAt})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
