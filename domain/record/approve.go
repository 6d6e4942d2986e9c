package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// This file is the two-person rule. It is a property of events: a row that is Guarded is recorded only together with the
// approval of a second person, in one append. Whoever gives the command proposes it; somebody else with a post that may
// approve, who is not responsible for the person, approves it; only then is it decided and recorded. Because the rule hangs
// on the event and not on a command, it can be proved again from the log alone.

// Proposed holds a command until a second person answers. Its event id is the proposal's.
type Proposed struct {
	Command    string          `json:"command"`
	Title      Text            `json:"title"`
	Input      json.RawMessage `json:"input"`
	OccurredAt time.Time       `json:"occurredAt"`
	Late       Late            `json:"late,omitempty"`
	Expires    time.Time       `json:"expires"`
	Would      []Text          `json:"would"`           // what it would record, as sentences
	Types      []string        `json:"types,omitempty"` // and as types of events, in the same order; not in form 1
}

// Approved is the second person's consent; what was proposed follows it in the same append, with the same command id.
type Approved struct {
	Proposal uuid.UUID `json:"proposal"`
	Note     string    `json:"note,omitempty"`
}

// Rejected is the second person's refusal, or the proposer's own withdrawal.
type Rejected struct {
	Proposal  uuid.UUID `json:"proposal"`
	Reason    string    `json:"reason"`
	Withdrawn bool      `json:"withdrawn,omitempty"`
}

// FileErased is the record that the key of a file is destroyed on a lawful basis (PIPL 47). It is stored unsealed, so that
// it outlives the key it speaks of: it holds nothing but a code.
type FileErased struct {
	Basis string `json:"basis"`
}

// KeyBackupDays is for how many days at most an operator keeps backups of the vault, and so until when after its erasure a
// file could still be read by somebody who restores one (PIPL 47; domain/vault says why). The record of an erasure says it.
const KeyBackupDays = 30

// line says the ground, and the horizon.
func (d FileErased) line() Text {
	t := T("依法销毁档案内容", "Content destroyed by law")
	for _, b := range ErasureBases {
		if b.Code == d.Basis {
			t = T(t.Zh+"："+b.Title.Zh+"（"+b.Source+"）", t.En+": "+b.Title.En+" ("+b.Source+")")
		}
	}
	return T(fmt.Sprintf("%s；密钥备份至迟 %d 日后失效", t.Zh, KeyBackupDays), fmt.Sprintf("%s; the last backup of its key expires within %d days", t.En, KeyBackupDays))
}

// Facets of the proposal and its answers.
func (d Proposed) Facets() Facets { return Facets{Kind: d.Command} }

// Facets of the approval.
func (d Approved) Facets() Facets { return Facets{Ref: d.Proposal.String()} }

// Facets of the refusal.
func (d Rejected) Facets() Facets {
	f := Facets{Ref: d.Proposal.String(), Outcome: "rejected"}
	if d.Withdrawn {
		f.Outcome = "withdrawn"
	}
	return f
}

// Facets of the erasure.
func (d FileErased) Facets() Facets { return Facets{Kind: d.Basis} }

// Stored names.
const (
	ProposedType = "record.proposed"
	ApprovedType = "record.approved"
	RejectedType = "record.rejected"
	ErasedType   = "record.erased"
)

func approvals(event string) bool {
	return event == ProposedType || event == ApprovedType || event == RejectedType
}

// ErasureBases are the lawful grounds on which a file is erased.
var ErasureBases = []struct {
	Code   string
	Title  Text
	Source string
}{
	{"retention-ended", T("保存期限届满", "the term of retention has ended"), "PIPL 47(1)"},
	{"service-ended", T("不再提供服务或处理目的已实现", "the purpose is fulfilled"), "PIPL 47(1)(2)"},
	{"consent-withdrawn", T("本人撤回同意", "the person withdrew consent"), "PIPL 47(3)"},
	{"unlawful", T("违法处理个人信息", "the data was processed against the law"), "PIPL 47(4)"},
	{"court-order", T("司法或监察机关决定", "a decision of a court or supervisory organ"), "PIPL 47(5)"},
}

// Guarded marks a row whose events need a second person; when narrows it to some, nil means all.
func Guarded[D any](row EventRow, when func(D) bool) EventRow {
	row.guard = func(data any) bool {
		d, ok := data.(D)
		return ok && (when == nil || when(d))
	}
	return row
}

// days is what the two-person rule asks of the policy in force.
type days interface{ Days(setting string) int }

// CorrectAlone is the setting within whose days an entry is amended by one person.
const CorrectAlone = "correct-alone"

// NeedsSecond tells whether an event may be recorded only with a second person's approval. target finds the event that an
// amendment names.
func (k *Category) NeedsSecond(e Event, target func(uuid.UUID) (Event, bool)) bool {
	row, ok := k.Event(e.Type)
	if !ok || e.Erased {
		return false
	}
	var about uuid.UUID
	switch d := e.Data.(type) {
	case Voided:
		about = d.Event
	case Corrected:
		about = d.Event
	default:
		return row.guard != nil && row.guard(e.Data)
	}
	t, ok := target(about)
	if !ok {
		return false
	}
	// What can take two people to record takes two to amend: to void a raise of the tier is to lower it.
	if about, ok := k.Event(t.Type); ok && about.guard != nil || Amends(t.Type) && k.NeedsSecond(t, target) {
		return true
	}
	// What is reserved for a post is amended by its author, or by a colleague and a second person (MayAmend).
	if t.Meta.Actor != e.Meta.Actor && k.reserved(t) {
		return true
	}
	rules, ok := e.Rules.(days)
	return ok && e.Meta.RecordedAt.Sub(t.Meta.RecordedAt) > time.Duration(rules.Days(CorrectAlone))*24*time.Hour
}

// propose keeps the list of proposals that wait for an answer.
func (f *File) propose(e Event) {
	done := uuid.Nil
	switch d := e.Data.(type) {
	case Proposed:
		f.proposals = append(f.proposals, e)
		return
	case Approved:
		done = d.Proposal
	case Rejected:
		done = d.Proposal
	default:
		return
	}
	f.proposals = slices.DeleteFunc(f.proposals, func(p Event) bool { return p.ID == done })
}

// Proposals lists what waits for a second person, oldest first; an expired one stays in the list until it is answered. A
// file restored from a snapshot does not know those before it.
func (f *File) Proposals() []Event { return slices.Clone(f.proposals) }

// ApprovalRows are the event rows of a category that has guarded ones, with the correction and the erasure.
func ApprovalRows() []EventRow {
	return []EventRow{
		CorrectedRow(),
		On(ProposedType, T("提请审批", "proposed"), func(any, Proposed, Event) {}, func(d Proposed) Text {
			t := T("提请审批："+d.Title.Zh, "Proposed, awaiting a second person: "+d.Title.En)
			for _, w := range d.Would {
				t.Zh, t.En = t.Zh+"；"+w.Zh, t.En+"; "+w.En
			}
			return t
		}, func(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }), // form 1 has no types
		On(ApprovedType, T("批准", "approved"), func(any, Approved, Event) {}, func(d Approved) Text {
			if d.Note == "" {
				return T("批准提请", "Approved the proposal")
			}
			return T("批准提请："+d.Note, "Approved the proposal: "+d.Note)
		}),
		On(RejectedType, T("不予批准", "rejected"), func(any, Rejected, Event) {}, func(d Rejected) Text {
			if d.Withdrawn {
				return T("撤回提请，理由："+d.Reason, "Withdrew the proposal; reason: "+d.Reason)
			}
			return T("不予批准，理由："+d.Reason, "Rejected the proposal; reason: "+d.Reason)
		}),
		Guarded[FileErased](On(ErasedType, T("销毁档案密钥", "file erased"), func(any, FileErased, Event) {}, FileErased.line).Plainly(), nil),
	}
}

// ApproveProposal, RejectProposal and WithdrawProposal are the answers to a proposal.
type ApproveProposal struct {
	Proposal uuid.UUID `json:"proposal" doc:"event id of the proposal"`
	Note     string    `json:"note,omitempty" maxLength:"500"`
}

// RejectProposal refuses it.
type RejectProposal struct {
	Proposal uuid.UUID `json:"proposal" doc:"event id of the proposal"`
	Reason   string    `json:"reason" minLength:"2" maxLength:"500"`
}

// WithdrawProposal takes one's own proposal back.
type WithdrawProposal struct {
	Proposal uuid.UUID `json:"proposal" doc:"event id of the proposal"`
	Reason   string    `json:"reason" minLength:"2" maxLength:"500"`
}

// EraseFile asks for the destruction of the file's key.
type EraseFile struct {
	Basis  string `json:"basis" enum:"retention-ended,service-ended,consent-withdrawn,unlawful,court-order"`
	Reason string `json:"reason" minLength:"4" maxLength:"500" doc:"for whoever approves; it is destroyed with the file"`
}

// Refusals of the two-person rule.
var (
	ErrNoProposal  = &Problem{Kind: Refused, Field: "proposal", Rule: "two-person rule", Message: "no such proposal waits for an answer", Zh: "没有这项待审批的提请", Remedy: "read the file again"}
	ErrExpired     = &Problem{Kind: Refused, Field: "proposal", Rule: "two-person rule", Message: "the proposal has expired", Zh: "提请已过期", Remedy: "propose it anew"}
	ErrOwnProposal = &Problem{Kind: Forbidden, Rule: "two-person rule", Message: "whoever proposes does not approve", Zh: "提请人不得审批自己的提请", Remedy: "let another officer answer"}
	ErrInvolved    = &Problem{Kind: Forbidden, Rule: "two-person rule", Message: "an officer who is responsible for the person does not approve", Zh: "该人员的责任人不得审批", Remedy: "let an officer who has no part in the person's cases answer"}
	ErrNotOwn      = &Problem{Kind: Forbidden, Rule: "two-person rule", Message: "a proposal is withdrawn by whoever made it", Zh: "只有提请人可以撤回", Remedy: "reject it instead"}
	ErrEraseOpen   = &Problem{Kind: Refused, Rule: "PIPL 47", Message: "an open case is not erased", Zh: "未结案的档案不得销毁", Remedy: "close the case first"}
)

// ApprovalCommands are the rows by which proposals are answered and a file is erased. approvers may approve, erasers may ask
// for an erasure. proposers are all whose commands can need a second person: each may take his own proposal back.
func ApprovalCommands(approvers, erasers, proposers []Grant) []CommandRow {
	const source = "two-person rule"
	approve := Do("record.approve_proposal", T("批准提请", "Approve a proposal"), source, func(any, ApproveProposal, Given) ([]any, error) { return nil, nil }, approvers...).Timeless()
	approve.Approves = func(input any) (uuid.UUID, string) {
		in := input.(ApproveProposal)
		return in.Proposal, in.Note
	}
	return []CommandRow{
		approve,
		Do("record.reject_proposal", T("不批准提请", "Reject a proposal"), source, rejectProposal, approvers...).Timeless(),
		Do("record.withdraw_proposal", T("撤回提请", "Withdraw a proposal"), source, withdrawProposal, proposers...).Timeless(),
		Do("record.erase_file", T("销毁档案", "Erase the file"), "PIPL 47", eraseFile, erasers...).Timeless(),
	}
}

func rejectProposal(_ any, in RejectProposal, g Given) ([]any, error) {
	p, err := g.proposal(in.Proposal)
	if err != nil {
		return nil, err
	}
	if p.Meta.Actor == g.Actor.Officer {
		return nil, ErrOwnProposal
	}
	return []any{Rejected{Proposal: in.Proposal, Reason: in.Reason}}, nil
}

func withdrawProposal(_ any, in WithdrawProposal, g Given) ([]any, error) {
	p, err := g.proposal(in.Proposal)
	if err != nil {
		return nil, err
	}
	if p.Meta.Actor != g.Actor.Officer {
		return nil, ErrNotOwn
	}
	return []any{Rejected{Proposal: in.Proposal, Reason: in.Reason, Withdrawn: true}}, nil
}

func (g Given) proposal(id uuid.UUID) (Event, error) {
	i := slices.IndexFunc(g.Proposals, func(p Event) bool { return p.ID == id })
	if i < 0 {
		return Event{}, ErrNoProposal
	}
	return g.Proposals[i], nil
}

func eraseFile(state any, in EraseFile, _ Given) ([]any, error) {
	if s, ok := state.(interface{ IsOpen() bool }); ok && s.IsOpen() {
		return nil, ErrEraseOpen
	}
	return []any{FileErased{Basis: in.Basis}}, nil
}
