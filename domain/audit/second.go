package audit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// This file proves the two-person rule again (record/approve.go). The program that recorded the events is not asked; what
// it must have done is worked out from the stream.

// proposal is one that was met in the stream, and what became of it.
type proposal struct {
	event  record.Event // without data when the file is erased
	data   record.Proposed
	answer uuid.UUID // the event that answered it; zero while it waits
}

// approval is the one at the head of an append.
type approval struct {
	event    record.Event
	proposal *proposal // nil when there is none, or when the file is erased
	left     []string  // types that were proposed and did not follow yet; nil when the proposal names none
}

// approved gives the metadata of the proposal that the present event carries out, nil when it carries out none.
func (w *walk) approved() *record.Meta {
	if w.approval == nil || w.approval.proposal == nil {
		return nil
	}
	return &w.approval.proposal.event.Meta
}

// second keeps the proposals and their answers, and proves that an event that takes two people had them.
func (w *walk) second(s journal.Stored, e record.Event) error {
	head := len(w.history) == 0 || w.history[len(w.history)-1].Meta.Command != e.Meta.Command
	if !head {
		w.together(s, e)
	}
	switch d := e.Data.(type) {
	case record.Proposed:
		w.proposals[e.ID] = &proposal{event: e, data: d}
	case record.Approved:
		w.approval = w.approves(s, e, d, head)
	case record.Rejected:
		w.rejects(s, e, d)
	case record.Voided:
		w.amends(s, e, d.Event)
	case record.Corrected:
		w.amends(s, e, d.Event)
	}
	if e.Erased { // of an erased file the types are left, and what followed from what
		switch e.Type {
		case record.ProposedType:
			w.proposals[e.ID] = &proposal{event: e}
		case record.ApprovedType:
			w.approval = &approval{event: e}
		}
	}
	w.guards(s, e)
	w.asked(s, e)
	// Of an erased event nobody can tell any more whether it took two people; where two are named, they are looked at.
	carried := e.Erased && w.approval != nil && e.Type != record.ApprovedType
	if carried || w.k.NeedsSecond(e, w.earlier) {
		w.carriesOut(s, e)
	}
	if e.Type != record.ApprovedType || w.approval == nil {
		return nil
	}
	return w.consents(s, e, w.approval.proposal)
}

// earlier finds an event of the stream that was recorded before the present one.
func (w *walk) earlier(id uuid.UUID) (record.Event, bool) {
	for i := len(w.history) - 1; i >= 0; i-- {
		if w.history[i].ID == id {
			return w.history[i], true
		}
	}
	return record.Event{}, false
}

func (w *walk) alone(s journal.Stored, zh, en string) {
	w.find(at(s, Failure, Second, record.T(zh, en), ask))
}

// together checks that an event was recorded at one time with the one before it, as its command id says: nobody adds to
// what was approved by naming the same command later.
func (w *walk) together(s journal.Stored, e record.Event) {
	i := len(w.history) - 1
	was, stored := w.history[i], w.stored
	if !was.Meta.RecordedAt.Equal(e.Meta.RecordedAt) || !bytes.Equal(was.Meta.Request, e.Meta.Request) || s.Created.Sub(stored.Created).Abs() > plausible {
		w.alone(s, "与前一条称属同一命令，但并非同时记录", "it names the command of the event before it and was not recorded together with it")
	}
}

// approves checks an approval: of a proposal that waited, in time, by somebody else who has no part in the case.
func (w *walk) approves(s journal.Stored, e record.Event, d record.Approved, head bool) *approval {
	out := &approval{event: e}
	if !head {
		w.alone(s, "批准不在该命令所记录内容之首", "the approval is not the first of what its command recorded")
	}
	p := w.proposals[d.Proposal]
	if p == nil {
		w.alone(s, "所批准的提请不存在", fmt.Sprintf("it approves proposal %s, which is not in the stream before it", d.Proposal))
		return out
	}
	switch {
	case p.answer != uuid.Nil:
		w.alone(s, "所批准的提请此前已有答复", fmt.Sprintf("it approves proposal %s, which event %s had answered", d.Proposal, p.answer))
	case !e.Meta.RecordedAt.Before(p.data.Expires):
		w.alone(s, "所批准的提请已过期", fmt.Sprintf("it approves proposal %s, which had expired at %s", d.Proposal, p.data.Expires))
	}
	if p.event.Meta.Actor == e.Meta.Actor {
		w.alone(s, "提请人批准了自己的提请", "whoever proposed it approved it himself")
	}
	if w.place.Handles != nil && !w.blind && !w.gone() && w.place.Handles(e.Meta.Actor) {
		w.alone(s, "批准人当时是该案责任人", "the officer who approved it was responsible in the case")
	}
	p.answer, out.proposal, out.left = e.ID, p, slices.Clone(p.data.Types)
	return out
}

func (w *walk) rejects(s journal.Stored, e record.Event, d record.Rejected) {
	p := w.proposals[d.Proposal]
	switch {
	case p == nil:
		w.alone(s, "所答复的提请不存在", fmt.Sprintf("it answers proposal %s, which is not in the stream before it", d.Proposal))
		return
	case p.answer != uuid.Nil:
		w.alone(s, "所答复的提请此前已有答复", fmt.Sprintf("it answers proposal %s, which event %s had answered", d.Proposal, p.answer))
	case d.Withdrawn && p.event.Meta.Actor != e.Meta.Actor:
		w.alone(s, "由他人撤回提请", "a proposal was withdrawn by somebody who had not made it")
	case !d.Withdrawn && p.event.Meta.Actor == e.Meta.Actor:
		w.alone(s, "提请人自己否决了提请", "a proposal was rejected by whoever made it")
	}
	if p.answer == uuid.Nil {
		p.answer = e.ID
	}
}

// amends checks that an amendment is of an entry that its actor may amend, and not of a step of the two-person rule.
func (w *walk) amends(s journal.Stored, e record.Event, id uuid.UUID) {
	t, ok := w.earlier(id)
	if !ok {
		w.alone(s, "所更改的记录不存在", fmt.Sprintf("it amends event %s, which is not in the stream before it", id))
		return
	}
	switch t.Type {
	case record.ProposedType, record.ApprovedType, record.RejectedType, record.ErasedType:
		w.alone(s, "更改了提请、审批或销毁记录", fmt.Sprintf("it amends event %s, a %s, which is never amended", id, t.Type))
		return
	}
	if err := w.k.MayAmend(t, e.Meta.Actor, e.Meta.Role, w.earlier); err != nil {
		w.alone(s, "更改了无权更改的记录", fmt.Sprintf("it amends event %s: %v", id, err))
	}
}

// carriesOut checks an event that takes two people against the approval at the head of its append.
func (w *walk) carriesOut(s journal.Stored, e record.Event) {
	if w.approval == nil {
		w.alone(s, "须经两人的事项只有一人记录", "it takes two people, and no approval was recorded with it")
		return
	}
	p := w.approval.proposal
	if p == nil && w.approval.event.Erased {
		if p = w.proposals[e.Meta.Causation]; p != nil && p.event.Meta.Actor == w.approval.event.Meta.Actor {
			w.alone(s, "提请人批准了自己的提请", "whoever proposed it approved it himself")
		}
		if p == nil {
			w.alone(s, "须经两人的事项没有提请", "it takes two people, and does not follow from a proposal of its stream")
		}
	}
	switch {
	case p == nil: // reported
	case p.event.Meta.Actor != e.Meta.Actor:
		w.alone(s, "以他人名义执行提请", "it was recorded for another officer than the one who proposed it")
	case e.Meta.Causation != p.event.ID:
		w.alone(s, "并非由所批准的提请引起", "it does not follow from the proposal that was approved with it")
	default:
		w.count(func(sum *Summary) { sum.Approvals++ })
	}
}
