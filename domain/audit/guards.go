package audit

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// guards checks those fields of an event by which its own row decides whether it takes two people: whoever forges the
// event could otherwise say that it does not.
func (w *walk) guards(s journal.Stored, e record.Event) {
	d, ok := e.Data.(drugs.TierChanged)
	if !ok || w.blind || w.gone() {
		return
	}
	c, ok := w.file.State.(*drugs.Case)
	if !ok {
		return
	}
	if string(d.Prev) != c.Tier() {
		w.alone(s, "所称原管理类别与档案不符", fmt.Sprintf("it says that the tier was %q, and the file says %q", d.Prev, c.Tier()))
	}
	if d.Transcribed && e.Meta.Late != record.LateImport {
		w.alone(s, "并非导入却称为转录", "it says that it was taken over from an older register, and was not entered by an import")
	}
	if d.Appeal != uuid.Nil && !w.answersAppeal(c, d, e) {
		w.alone(s, "所称申诉没有由他人作出答复", "it says that an appeal led to it, and no answer to one by somebody else was recorded with it")
	}
}

// answersAppeal tells whether the tier follows from an answer to an appeal, by another officer than who decided the tier
// that was appealed against.
func (w *walk) answersAppeal(c *drugs.Case, d drugs.TierChanged, e record.Event) bool {
	if len(w.history) == 0 {
		return false
	}
	before := w.history[len(w.history)-1]
	answer, ok := before.Data.(drugs.TierAppealDecided)
	if !ok || before.Meta.Command != e.Meta.Command || answer.Appeal != d.Appeal {
		return false
	}
	i := slices.IndexFunc(c.Appeals, func(a drugs.TierAppeal) bool { return a.ID == d.Appeal })
	return i >= 0 && !slices.ContainsFunc(c.Tiers, func(t drugs.TierDecision) bool {
		return t.ID == c.Appeals[i].Decision && t.By == e.Meta.Actor
	})
}
