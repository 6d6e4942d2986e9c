package drugs

import (
	"time"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// Move is a move out of the township (戒毒条例 22).
type Move struct {
	On        time.Time
	To        string
	Confirmed time.Time // the new place has taken over
}

// CleanYears without relapse end dynamic control (DL-D6; 戒毒条例 7).
const CleanYears = 3

// RecordMove records that the place of treatment changes and the papers go on.
type RecordMove struct {
	To     string `json:"to" minLength:"2" maxLength:"120" doc:"the new place"`
	Organ  string `json:"organ" minLength:"2" maxLength:"80" doc:"organ there that takes over"`
	Papers string `json:"papers" minLength:"2" maxLength:"80" doc:"number of the letter the papers went with"`
}

// Moved is the record. The person has 15 days to report there (DL-D4).
type Moved struct {
	To     string `json:"to"`
	Organ  string `json:"organ"`
	Papers string `json:"papers"`
}

// ConfirmMove records that the new place has taken over.
type ConfirmMove struct {
	Document Document `json:"document" doc:"the answer of the organ there"`
}

// MoveConfirmed is the record.
type MoveConfirmed struct {
	Document Document `json:"document"`
}

// DelistingOutcomes is what a review finds.
var DelistingOutcomes = casework.Terms{
	{Code: "delist", Title: record.T("不再实行动态管控", "dynamic control ends"), Source: "戒毒条例 7"},
	{Code: "keep", Title: record.T("继续实行动态管控", "dynamic control goes on"), Source: "戒毒条例 7"},
}

// ReviewDelisting records the review after three clean years.
type ReviewDelisting struct {
	Outcome   string `json:"outcome" enum:"delist,keep"`
	RelapseOn string `json:"relapseOn,omitempty" format:"date" doc:"to keep: the day of a relapse that this file does not hold"`
	Reasons   string `json:"reasons" minLength:"4" maxLength:"2000" doc:"to keep: with the document that shows the relapse"`
}

// DelistingReviewed is the record.
type DelistingReviewed struct {
	Outcome    string `json:"outcome" correct:"no"`
	CleanSince string `json:"cleanSince" correct:"no"` // day, as the review found it
	RelapseOn  string `json:"relapseOn,omitempty" correct:"no"`
	Reasons    string `json:"reasons" minLength:"4" maxLength:"2000"`
}

// Facets of the review.
func (d DelistingReviewed) Facets() record.Facets { return record.Facets{Outcome: d.Outcome} }

// SealFile seals a closed file: from then on reading it needs a legal basis of its own.
type SealFile struct {
	Basis string `json:"basis" minLength:"2" maxLength:"200"`
}

// Sealed is the record.
type Sealed struct {
	Basis string `json:"basis"`
}

// CloseCase ends the case.
type CloseCase struct {
	Reason string `json:"reason" enum:"term-ended,moved-away,terminated,delisted,death,opened-in-error,withdrawn"`
	Note   string `json:"note,omitempty" maxLength:"1000" doc:"required for death and opened-in-error: the evidence"`
}

// Refusals by rule.
var (
	ErrMoved          = refusal("戒毒条例 22", "a move is recorded already", "已登记迁移", "void the earlier entry if it is wrong")
	ErrNotMoved       = refusal("戒毒条例 22", "no move waits for an answer", "没有待确认的迁移", "record the move first")
	ErrDelisted       = refusal("戒毒条例 7", "dynamic control has ended already", "已不再实行动态管控", "close the case")
	ErrNotClean       = refusal("DL-D6; 戒毒条例 7", "three years without relapse have not passed", "戒断未满三年", "the file shows from which day they count")
	ErrClean          = refusal("DL-D6; 戒毒条例 7", "after three clean years dynamic control ends; it goes on only for a relapse on a day that is named", "戒断三年未复吸的不再实行动态管控；继续管控须注明复吸日期", "name the day and the document, or de-list").At("relapseOn")
	ErrCloseTerm      = refusal("戒毒条例 23", "the term has not expired, or its release notice is missing", "期限未届满或未登记解除通知书", "record the end of the term and the notice").At("reason")
	ErrCloseMoved     = refusal("戒毒条例 22", "the new place has not taken over", "迁入地尚未接收", "confirm the move first").At("reason")
	ErrCloseTerminate = refusal("戒毒条例 24", "no decision terminated the term", "没有终止期限的决定", "record the decision of the other organ first").At("reason")
	ErrCloseDelisted  = refusal("戒毒条例 7", "no review ended dynamic control", "尚未经审查不再实行动态管控", "record the review first").At("reason")
	ErrCloseWithdrawn = refusal("戒毒条例 9", "only voluntary treatment can be withdrawn from", "只有自愿戒毒可以退出", "choose another reason").At("reason")
	ErrSealOpen       = refusal("S-16", "only a closed file is sealed", "只有已结案的档案可以封存", "close the case first")
)

var endingEvents = []record.EventRow{
	record.Guarded[Moved](record.On("drugs.moved", record.T("变更执行地", "Moved away"),
		func(c *Case, d Moved, e record.Event) { c.Move = &Move{On: e.Meta.OccurredAt, To: d.To} },
		func(d Moved) record.Text {
			return record.T("变更执行地至"+d.To+"，材料移送"+d.Organ+"（"+d.Papers+"）", "Moved to "+d.To+"; papers sent to "+d.Organ+" ("+d.Papers+")")
		}), nil),
	record.On("drugs.move_confirmed", record.T("迁入地已接收", "Move confirmed"),
		func(c *Case, _ MoveConfirmed, e record.Event) {
			if c.Move != nil {
				c.Move.Confirmed = e.Meta.OccurredAt
			}
		}, func(d MoveConfirmed) record.Text {
			return say(record.T("迁入地已接收", "The new place has taken over"), d.Document.line())
		}),
	record.On("drugs.delisting_reviewed", record.T("动态管控审查", "Dynamic control reviewed"), delistingReviewed,
		func(d DelistingReviewed) record.Text {
			o := DelistingOutcomes.Title(d.Outcome)
			return record.T("审查结果："+o.Zh+"（自 "+d.CleanSince+" 起未发现复吸）；"+d.Reasons, "Reviewed: "+o.En+" (no relapse known since "+d.CleanSince+"); "+d.Reasons)
		}),
	// One seals a file, for it protects the person; to amend the entry, which opens the file again, takes two.
	record.Guarded[Sealed](record.On("drugs.sealed", record.T("封存", "File sealed"),
		func(c *Case, _ Sealed, _ record.Event) { c.Sealed = true },
		func(d Sealed) record.Text {
			return record.T("档案封存，依据："+d.Basis, "File sealed under "+d.Basis)
		}), func(Sealed) bool { return false }),
}

var endingCommands = []record.CommandRow{
	record.Do("drugs.record_move", record.T("记录变更执行地", "Record a move"), "DL-D4; 戒毒条例 22", recordMove, police, office),
	record.Do("drugs.confirm_move", record.T("确认迁入地已接收", "Confirm a move"), "DL-D4; 戒毒条例 22", confirmMove, police, office),
	record.Do("drugs.review_delisting", record.T("动态管控审查", "Review dynamic control"), "DL-D6; 戒毒条例 7; S-16", reviewDelisting, police),
	record.Do("drugs.close_case", record.T("结案", "Close the case"), "戒毒条例 7, 22–24", closeCase, office),
	record.Do("drugs.seal_file", record.T("封存档案", "Seal the file"), "S-16; 治安管理处罚法 136", sealFile, police, office),
}

// CleanSince is the day from which no relapse is known at a time: the opening, the last positive test that was final by
// then, or a relapse that a review found.
func (c *Case) CleanSince(at time.Time) time.Time {
	since := c.Opened
	for _, t := range c.Tests {
		if t.Result == Positive && t.Final(at) && t.At.After(since) {
			since = t.At
		}
	}
	if c.Relapsed.After(since) {
		since = c.Relapsed
	}
	return record.DayOf(since)
}

// delistingDue is the day of the review as things stand. A positive that was told and is not disputed becomes final by the
// lapse of days, which is no event: the day reckons with it at once, and is moved back by a dispute. The review itself looks
// at what is final on its own day.
func (c *Case) delistingDue() time.Time {
	return policy.AddPeriod(c.CleanSince(endOfTime), CleanYears, 0, 0)
}

var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, record.Zone)

// mayReview lets dynamic control be reviewed in a case that was closed because its term had ended: after a relapse the three
// years end later than the term, and nothing else would ever end the control (戒毒条例 7; S-16).
func (c *Case) mayReview(g record.Given) error {
	if !c.Closed.IsZero() && c.CloseReason == "term-ended" {
		return nil
	}
	return casework.MustBeOpen(c, g)
}

func recordMove(c *Case, in RecordMove, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), text("to", in.To, 2, 120), text("organ", in.Organ, 2, 80), text("papers", in.Papers, 2, 80))
	if err != nil {
		return nil, err
	}
	if c.Move != nil {
		return nil, ErrMoved
	}
	return []any{Moved(in)}, nil
}

func confirmMove(c *Case, in ConfirmMove, g record.Given) ([]any, error) {
	in.Document.Transcribed = false
	if err := firstOf(casework.MustBeOpen(c, g), in.Document.check("document", false, g)); err != nil {
		return nil, err
	}
	if c.Move == nil || !c.Move.Confirmed.IsZero() {
		return nil, ErrNotMoved
	}
	return []any{MoveConfirmed(in)}, nil
}

func reviewDelisting(c *Case, in ReviewDelisting, g record.Given) ([]any, error) {
	err := firstOf(c.mayReview(g), DelistingOutcomes.Check("outcome", in.Outcome), text("reasons", in.Reasons, 4, 2000))
	if err != nil {
		return nil, err
	}
	since := c.CleanSince(g.Occurred)
	switch clean := !record.DayOf(g.Occurred).Before(policy.AddPeriod(since, CleanYears, 0, 0)); {
	case !c.Delisted.IsZero():
		return nil, ErrDelisted
	case !clean:
		return nil, ErrNotClean
	case in.Outcome == "keep" && !dayOf(in.RelapseOn).After(since):
		return nil, ErrClean
	case in.Outcome == "keep":
		if err := pastDay("relapseOn", in.RelapseOn, g); err != nil {
			return nil, err
		}
	case in.RelapseOn != "":
		return nil, invalid("relapseOn", "戒毒条例 7", "a day of relapse keeps dynamic control", "有复吸日期的应继续管控", "leave it out, or choose keep")
	}
	reviewed := DelistingReviewed{Outcome: in.Outcome, CleanSince: dayText(since), RelapseOn: in.RelapseOn, Reasons: in.Reasons}
	if in.Outcome == "delist" && !c.IsOpen() && !c.Sealed {
		return []any{reviewed, Sealed{Basis: "戒毒条例 7"}}, nil
	}
	return []any{reviewed}, nil
}

func delistingReviewed(c *Case, d DelistingReviewed, e record.Event) {
	if d.Outcome == "delist" {
		c.Delisted = e.Meta.OccurredAt
		return
	}
	if r := dayOf(d.RelapseOn); r.After(c.Relapsed) {
		c.Relapsed = r
	}
}

func closeCase(c *Case, in CloseCase, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), casework.CloseReasons.Check("reason", in.Reason), text("note", in.Note, 0, 1000))
	if err != nil {
		return nil, err
	}
	ending := ""
	if c.TermEnding != nil {
		ending = c.TermEnding.Kind
	}
	switch in.Reason {
	case "term-ended":
		if ending != expired || c.ReleaseNotice == nil {
			return nil, ErrCloseTerm
		}
	case "moved-away":
		if c.Move == nil || c.Move.Confirmed.IsZero() {
			return nil, ErrCloseMoved
		}
	case "terminated":
		if ending != terminated {
			return nil, ErrCloseTerminate
		}
	case "delisted":
		if c.Delisted.IsZero() {
			return nil, ErrCloseDelisted
		}
		return []any{casework.Closed(in), Sealed{Basis: "戒毒条例 7"}}, nil
	case "withdrawn":
		if c.Kind != Voluntary {
			return nil, ErrCloseWithdrawn
		}
	case "death", "opened-in-error":
		if err := text("note", in.Note, 2, 1000); err != nil {
			return nil, err
		}
	}
	return []any{casework.Closed(in)}, nil
}

func sealFile(c *Case, in SealFile, _ record.Given) ([]any, error) {
	if err := text("basis", in.Basis, 2, 200); err != nil {
		return nil, err
	}
	switch {
	case c.IsOpen():
		return nil, ErrSealOpen
	case c.Sealed:
		return nil, nil
	}
	return []any{Sealed(in)}, nil
}
