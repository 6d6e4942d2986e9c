package audit

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// guards checks those fields of an event by which its own row decides whether it takes two people: whoever forges the
// event could otherwise say that it does not. An answer to an appeal is checked with them, for it stands in the place of the
// second person.
func (w *walk) guards(s journal.Stored, e record.Event) {
	if w.blind || w.gone() {
		return
	}
	switch d := e.Data.(type) {
	case drugs.TierChanged:
		if c, ok := w.file.State.(*drugs.Case); ok {
			w.guardTier(s, c, d, e)
		}
	case drugs.TierAppealDecided:
		if c, ok := w.file.State.(*drugs.Case); ok {
			if why := answers(c, d, e); why != nil {
				w.alone(s, "申诉的答复人依规定不得答复", "it answers an appeal: "+why.Error())
			}
		}
	case casework.ViewPermitted:
		w.guardView(s, e, d)
	case person.Unmerged:
		if p, ok := w.file.State.(*person.Person); ok && p.MergedInto != d.From {
			w.alone(s, "所称合并的档案与档案不符", fmt.Sprintf("it says that the file was merged into %s, and the file says %s", d.From, p.MergedInto))
		}
	}
}

// guardView checks that the permission is for whoever asked, and for no longer than the policy lets a picture be seen.
func (w *walk) guardView(s journal.Stored, e record.Event, d casework.ViewPermitted) {
	if d.Officer != e.Meta.Actor {
		w.alone(s, "准许查阅的并非申请人", "it lets another officer see the picture than the one who asked")
	}
	if rules, ok := e.Rules.(*policy.Rules); ok && d.Until.After(e.Meta.RecordedAt.AddDate(0, 0, rules.Days("media-view"))) {
		w.alone(s, "准许查阅的期限超过规定", fmt.Sprintf("it lets the picture be seen until %s, longer than the policy allows", d.Until))
	}
}

func (w *walk) guardTier(s journal.Stored, c *drugs.Case, d drugs.TierChanged, e record.Event) {
	if string(d.Prev) != c.Tier() {
		w.alone(s, "所称原管理类别与档案不符", fmt.Sprintf("it says that the tier was %q, and the file says %q", d.Prev, c.Tier()))
	}
	if d.Transcribed && e.Meta.Late != record.LateImport {
		w.alone(s, "并非导入却称为转录", "it says that it was taken over from an older register, and was not entered by an import")
	}
	if d.Transcribed && c.Tier() != "" {
		w.alone(s, "已有管理类别却称为转录", "it says that it was taken over from an older register, and a tier had been decided here")
	}
	if d.Appeal != uuid.Nil && !w.answersAppeal(c, d, e) {
		w.alone(s, "所称申诉没有由他人作出答复", "it says that an appeal led to it, and no answer to one by somebody else was recorded with it")
	}
}

// answers says why the actor of an answer should not have given it, by the file as it was before.
func answers(c *drugs.Case, d drugs.TierAppealDecided, e record.Event) error {
	i := slices.IndexFunc(c.Appeals, func(a drugs.TierAppeal) bool { return a.ID == d.Appeal })
	if i < 0 || c.Appeals[i].Outcome != "" {
		return drugs.ErrNoAppeal
	}
	return c.MayAnswer(c.Appeals[i], e.Meta.Actor)
}

// answersAppeal tells whether the tier follows from an answer to an appeal, by somebody who may give one.
func (w *walk) answersAppeal(c *drugs.Case, d drugs.TierChanged, e record.Event) bool {
	if len(w.history) == 0 {
		return false
	}
	before := w.history[len(w.history)-1]
	answer, ok := before.Data.(drugs.TierAppealDecided)
	if !ok || before.Meta.Command != e.Meta.Command || before.Meta.Actor != e.Meta.Actor || answer.Appeal != d.Appeal || answer.Outcome != "changed" {
		return false
	}
	i := slices.IndexFunc(c.Appeals, func(a drugs.TierAppeal) bool { return a.ID == d.Appeal })
	return i >= 0 && c.MayAnswer(c.Appeals[i], e.Meta.Actor) == nil
}
