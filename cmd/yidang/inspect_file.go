package main

import (
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/notary"
	"yidang/domain/record"
	"yidang/projections/views"
)

// This file is the part of yidang inspect that is about one file, or one entry.

type inspectFile struct {
	reader
	printing
	Person  uuid.UUID `required:"" help:"Whose file." placeholder:"UUID"`
	AsOf    string    `help:"Only what had happened by this time, or by the end of this day." placeholder:"DAY"`
	KnownAt string    `help:"Only what had been recorded by this time, or by the end of this day, corrections included." placeholder:"DAY"`
}

func (inspectFile) Help() string {
	return `What did this file say on that day? How each case stood, then each entry, the latest first, as sentences; as it stands now
when no day is given. What is sealed now needs its ground, whatever day is shown.

Examples:
  yidang inspect file --as inspector --person UUID --known-at 2026-03-01
  yidang inspect file --as inspector --person UUID --as-of 2026-03-01 --known-at 2026-06-30`
}

// Run prints the file as it was.
func (cmd inspectFile) Run(p *program) error {
	at := record.At{}
	var err error
	if at.AsOf, err = moment("as-of", cmd.AsOf, true); err != nil {
		return err
	}
	if at.KnownAt, err = moment("known-at", cmd.KnownAt, true); err != nil {
		return err
	}
	return withVisitor(p, cmd.reader, func(v *visitor) error {
		f, err := v.open(p.ctx, cmd.Person)
		if err != nil {
			return err
		}
		then, err := f.At(at)
		if err != nil {
			return err
		}
		if !then.Main.Exists && len(then.Cases) == 0 {
			return &record.Problem{Kind: record.NotFound, Field: "as-of", Rule: "two clocks", Message: "there was nothing in this file then", Zh: "当时档案中尚无内容", Remedy: "choose a later day"}
		}
		names, err := v.r.directory(p.ctx)
		if err != nil {
			return err
		}
		if err := f.record(p.ctx, access.File, fmt.Sprintf("file asOf=%s knownAt=%s", dash(cmd.AsOf), dash(cmd.KnownAt))); err != nil {
			return err
		}
		out := cmd.table(p, "kind", "happened", "recorded", "lag", "officer", "marks", "id", "what")
		for _, c := range then.Cases {
			if f.keep(c) {
				text := standing(c)
				out.row(thenItem{Kind: "case", ID: c.ID, Text: text}, "case", "-", "-", "-", "-", "-", c.ID.String(), text.Zh+" / "+text.En)
			}
		}
		for _, l := range then.Timeline(f.keep) {
			e, item := l.Event, thenItem{Kind: "entry", ID: l.Event.ID, Type: l.Event.Type, Actor: l.Event.Meta.Actor, OccurredAt: &l.Event.Meta.OccurredAt, RecordedAt: &l.Event.Meta.RecordedAt, Position: l.Event.Position}
			if item.Text, item.Marks, err = said(l); err != nil {
				return err
			}
			out.row(item, "entry", timeText(e.Meta.OccurredAt), timeText(e.Meta.RecordedAt), lagText(l.Lag()), names.login(e.Meta.Actor), dash(item.Marks), e.ID.String(), item.Text.Zh+" / "+item.Text.En)
		}
		return out.end(nil)
	})
}

// standing is how a case stood, as a sentence.
func standing(c *record.File) record.Text {
	title := c.Category.Title
	program, ok := c.State.(casework.Program)
	if !ok || c.Erased {
		return record.T(title.Zh+"：内容已销毁", title.En+": its content was destroyed")
	}
	core, zh, en := program.Core(), "在办", "open"
	if !core.IsOpen() {
		zh, en = "已结案（"+core.CloseReason+"）", "closed ("+core.CloseReason+")"
	}
	tier := program.Tier()
	return record.T(fmt.Sprintf("%s：%s，管理类别 %s，走访 %d 次，服务 %d 次，未完成职责 %d 项", title.Zh, zh, dash(tier), core.Visits, core.Services, len(core.Duties.Open)),
		fmt.Sprintf("%s: %s, tier %s, %d visits, %d services, %d open duties", title.En, en, dash(tier), core.Visits, core.Services, len(core.Duties.Open)))
}

// said is the sentence of an entry with what was known of it then.
func said(l views.Line) (text record.Text, marks string, err error) {
	text = l.Text()
	switch {
	case l.Event.Erased:
		marks = "erased"
	case l.VoidedBy != nil:
		marks, text = "voided", record.T("［已作废］"+text.Zh, "[voided] "+text.En)
	case l.CorrectedBy != nil:
		e, err := l.Corrected()
		if err != nil {
			return text, "", err
		}
		if row, ok := l.File.Category.Event(e.Type); ok {
			right := row.Line(e)
			marks, text = "corrected", record.T(text.Zh+"［更正为："+right.Zh+"］", text.En+" [corrected to: "+right.En+"]")
		}
	}
	return text, marks, nil
}

// thenItem is a case or an entry of a file as it was, as JSON.
type thenItem struct {
	Kind       string      `json:"kind"` // case or entry
	ID         uuid.UUID   `json:"id"`
	Text       record.Text `json:"text"`
	Marks      string      `json:"marks,omitempty"`
	Type       string      `json:"type,omitempty"`
	Actor      uuid.UUID   `json:"actor,omitzero"`
	OccurredAt *time.Time  `json:"occurredAt,omitempty"`
	RecordedAt *time.Time  `json:"recordedAt,omitempty"`
	Position   uint64      `json:"position,omitempty"`
}

type inspectDifference struct {
	reader
	printing
	Person uuid.UUID `required:"" help:"Whose file." placeholder:"UUID"`
	From   string    `required:"" help:"What was known at this time, or at the end of this day." placeholder:"DAY"`
	To     string    `help:"And what was known at this later one; now when left out." placeholder:"DAY"`
}

func (inspectDifference) Help() string {
	return `What do we know now that we did not know then? Entries that were recorded in between, and entries that were voided or
corrected in between, as sentences.

Example:
  yidang inspect difference --as inspector --person UUID --from 2026-03-01 --to 2026-06-30`
}

// Run prints what became known.
func (cmd inspectDifference) Run(p *program) error {
	from, err := moment("from", cmd.From, true)
	if err != nil {
		return err
	}
	to, err := moment("to", cmd.To, true)
	if err == nil && !to.IsZero() && to.Before(from) {
		err = &record.Problem{Kind: record.Invalid, Field: "to", Message: "is before from", Remedy: "exchange them"}
	}
	if err != nil {
		return err
	}
	return withVisitor(p, cmd.reader, func(v *visitor) error {
		f, err := v.open(p.ctx, cmd.Person)
		if err != nil {
			return err
		}
		then, err := f.At(record.At{KnownAt: from})
		if err != nil {
			return err
		}
		now, err := f.At(record.At{KnownAt: to})
		if err != nil {
			return err
		}
		names, err := v.r.directory(p.ctx)
		if err != nil {
			return err
		}
		if err := f.record(p.ctx, access.Timeline, "difference"); err != nil {
			return err
		}
		out := cmd.table(p, "position", "recorded", "officer", "kind", "event", "what")
		for _, c := range views.Difference(then.Timeline(f.keep), now.Timeline(f.keep)) {
			e, text := c.Line.Event, c.Text()
			out.row(changeItem{c.Kind, text, e.ID, e.Type, e.Meta.Actor, e.Meta.OccurredAt, e.Meta.RecordedAt, e.Position}, fmt.Sprint(e.Position), timeText(e.Meta.RecordedAt), names.login(e.Meta.Actor), string(c.Kind), e.ID.String(), text.Zh+" / "+text.En)
		}
		return out.end(nil)
	})
}

// changeItem is a change as JSON.
type changeItem struct {
	Kind       views.ChangeKind `json:"kind"`
	Text       record.Text      `json:"text"`
	Event      uuid.UUID        `json:"event"`
	Type       string           `json:"type"`
	Actor      uuid.UUID        `json:"actor"`
	OccurredAt time.Time        `json:"occurredAt"`
	RecordedAt time.Time        `json:"recordedAt"`
	Position   uint64           `json:"position"`
}

type inspectGaps struct {
	reader
	printing
	Person uuid.UUID `required:"" help:"Whose file." placeholder:"UUID"`
}

func (inspectGaps) Help() string {
	return `Duties of the cases that are overdue, and those that were fulfilled late.

Example:
  yidang inspect gaps --as inspector --person UUID`
}

// Run prints the duties that no event fulfilled, or a late one.
func (cmd inspectGaps) Run(p *program) error {
	return withVisitor(p, cmd.reader, func(v *visitor) error {
		f, err := v.open(p.ctx, cmd.Person)
		if err != nil {
			return err
		}
		names, err := v.r.directory(p.ctx)
		if err != nil {
			return err
		}
		if err := f.record(p.ctx, access.File, "gaps"); err != nil {
			return err
		}
		out := cmd.table(p, "standing", "due", "done", "owed by", "role", "case", "duty")
		today := record.DayOf(v.r.exec.Now())
		for _, c := range f.Cases {
			q := views.WorklistQuery{Reach: record.Reach{All: true}, Case: c.ID, Standing: []string{"overdue", "done"}, Today: today, Limit: 500}
			for f.keep(c) {
				rows, next, _, _, err := v.r.views.Worklist(p.ctx, q)
				if err != nil {
					return err
				}
				for _, d := range rows {
					if d.Standing == "done" && d.OnTime() {
						continue
					}
					standing := map[string]string{"overdue": "overdue", "done": "late"}[d.Standing]
					out.row(gapItem{standing, d.Code, d.Case, dayText(d.Due), dayText(d.EndedOn), d.Owner, d.Holder, d.Started, d.Ended}, standing, dayText(d.Due), dash(dayText(d.EndedOn)), names.holder(d.Holder), string(d.Owner), d.Case.String(), d.Code)
				}
				if q.Cursor = next; next == "" {
					break
				}
			}
		}
		return out.end(nil)
	})
}

// gapItem is a duty as JSON.
type gapItem struct {
	Standing string      `json:"standing"` // overdue or late
	Code     string      `json:"code"`
	Case     uuid.UUID   `json:"case"`
	Due      string      `json:"due"`
	Done     string      `json:"done,omitempty"`
	Owner    record.Role `json:"owner,omitempty"`
	Officer  uuid.UUID   `json:"officer,omitzero"`
	Started  uuid.UUID   `json:"started"`        // event that began it
	Ended    uuid.UUID   `json:"ended,omitzero"` // event that fulfilled it
}

type inspectProof struct {
	reader
	Event uuid.UUID `arg:"" help:"Id of the entry." placeholder:"EVENT"`
	Out   string    `short:"o" help:"File to write; standard output when left out." type:"path" placeholder:"FILE"`
}

func (inspectProof) Help() string {
	return `Writes a C2SP tlog-proof: the entry is in the tree of a signed checkpoint, cosigned where notary.policy asks for it.

Example:
  yidang inspect proof EVENT --as inspector -o event.tlog-proof`
}

// Run writes the proof.
func (cmd inspectProof) Run(p *program) error {
	return withVisitor(p, cmd.reader, func(v *visitor) error {
		if err := v.ask(p.ctx, "proof "+cmd.Event.String()); err != nil {
			return err
		}
		return v.r.withNotary(p, func(log *notary.Notary) error {
			proof, err := log.Proof(p.ctx, cmd.Event)
			if err != nil {
				return err
			}
			if cmd.Out == "" {
				_, err := p.out.Write(proof.Text())
				return err
			}
			return os.WriteFile(cmd.Out, proof.Text(), 0o600)
		})
	})
}
