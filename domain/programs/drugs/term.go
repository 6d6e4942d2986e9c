package drugs

import (
	"slices"
	"time"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// Suspension is a time in which the term stands still (戒毒条例 24).
type Suspension struct {
	From  time.Time
	Until time.Time // zero while it lasts
}

// TermEnding is how and when the term ended.
type TermEnding struct {
	Kind string
	On   time.Time
}

const (
	expired    = "expired"
	terminated = "terminated"
)

// TermEndings lists how a term ends.
var TermEndings = casework.Terms{
	{Code: expired, Title: record.T("期满", "expired"), Source: "戒毒条例 23"},
	{Code: terminated, Title: record.T("终止", "terminated"), Source: "戒毒条例 24"},
}

// SuspensionReasons lists why a term stands still.
var SuspensionReasons = casework.Terms{
	{Code: "custody", Title: record.T("被拘留、逮捕", "detention or arrest"), Source: "戒毒条例 24"},
	{Code: "other", Title: record.T("其他法定事由", "other ground in law"), Source: "戒毒条例 24"},
}

// StartSuspension records that the term stands still.
type StartSuspension struct {
	Reason   string   `json:"reason" enum:"custody,other"`
	Document Document `json:"document" doc:"the paper that it rests on"`
}

// SuspensionStarted is the record.
type SuspensionStarted struct {
	Reason   string   `json:"reason"`
	Document Document `json:"document"`
}

// Facets of the suspension.
func (d SuspensionStarted) Facets() record.Facets { return record.Facets{Kind: d.Reason} }

// EndSuspension records that the term runs on.
type EndSuspension struct {
	Note string `json:"note" minLength:"2" maxLength:"500" doc:"how it ended, with the number of the release paper"`
}

// SuspensionEnded is the record.
type SuspensionEnded struct {
	Note string `json:"note"`
}

// EndTerm records that the term expired.
type EndTerm struct{}

// TermEnded is the end of the term.
type TermEnded struct {
	Kind string `json:"kind" correct:"no"`
}

// Facets of the end.
func (d TermEnded) Facets() record.Facets { return record.Facets{Kind: d.Kind} }

// RecordReleaseNotice records the notice that the term is over, and that the township was told (DL-D3).
type RecordReleaseNotice struct {
	Document Document `json:"document" doc:"the notice, with the day it was served"`
}

// ReleaseNoticeRecorded is the record.
type ReleaseNoticeRecorded struct {
	Document Document `json:"document"`
}

// Refusals by rule.
var (
	ErrSuspended    = refusal("戒毒条例 24", "the term stands still already, or has ended", "期限已中止或已结束", "read the file again")
	ErrNotSuspended = refusal("戒毒条例 24", "the term does not stand still", "期限未中止", "read the file again")
	ErrTermRuns     = refusal("DL-D2; 戒毒条例 14, 23", "the term has not run out", "期限尚未届满", "the file shows the day; suspensions are added to it")
	ErrTermOver     = refusal("戒毒条例 23, 24", "the term has ended or stands still", "期限已结束或中止", "end the suspension first, or close the case")
	ErrNotExpired   = refusal("DL-D3; 戒毒条例 23", "the term did not expire", "期限未届满解除", "record the end of the term first")
)

var termEvents = []record.EventRow{
	record.On("drugs.suspension_started", record.T("期限中止", "Term suspended"),
		func(c *Case, _ SuspensionStarted, e record.Event) {
			if !c.suspended() {
				c.Suspensions = append(c.Suspensions, Suspension{From: e.Meta.OccurredAt})
			}
		}, func(d SuspensionStarted) record.Text {
			r := SuspensionReasons.Title(d.Reason)
			return say(record.T("期限中止："+r.Zh, "Term suspended: "+r.En), d.Document.line())
		}),
	record.On("drugs.suspension_ended", record.T("期限恢复", "Term runs on"),
		func(c *Case, _ SuspensionEnded, e record.Event) { c.resume(e.Meta.OccurredAt) },
		func(d SuspensionEnded) record.Text {
			return record.T("期限恢复："+d.Note, "Term runs on: "+d.Note)
		}),
	record.On("drugs.term_ended", record.T("期限结束", "Term ended"),
		func(c *Case, d TermEnded, e record.Event) {
			c.resume(e.Meta.OccurredAt)
			c.TermEnding = &TermEnding{Kind: d.Kind, On: e.Meta.OccurredAt}
		}, func(d TermEnded) record.Text {
			k := TermEndings.Title(d.Kind)
			return record.T("期限结束："+k.Zh, "Term ended: "+k.En)
		}),
	record.On("drugs.release_notice_recorded", record.T("解除通知书", "Release notice"),
		func(c *Case, d ReleaseNoticeRecorded, _ record.Event) { c.ReleaseNotice = &d.Document },
		func(d ReleaseNoticeRecorded) record.Text {
			return say(record.T("登记解除通知书", "Release notice recorded"), d.Document.line(), also("送达：", "served ", d.Document.Served))
		}),
}

var termCommands = []record.CommandRow{
	record.Do("drugs.start_suspension", record.T("记录期限中止", "Record that the term is suspended"), "戒毒条例 24", startSuspension, police),
	record.Do("drugs.end_suspension", record.T("记录期限恢复", "Record that the term runs on"), "戒毒条例 24", endSuspension, police),
	record.Do("drugs.end_term", record.T("记录期满", "Record that the term expired"), "DL-D2; 戒毒条例 14, 23", endTerm, police),
	record.Do("drugs.record_release_notice", record.T("登记解除通知书", "Record the release notice"), "DL-D3; 戒毒条例 23", recordReleaseNotice, police),
}

func (c *Case) suspended() bool {
	n := len(c.Suspensions)
	return n > 0 && c.Suspensions[n-1].Until.IsZero()
}

// paused tells that neither visits nor tests are owed: the term stands still or is over.
func (c *Case) paused() bool { return c.suspended() || c.TermEnding != nil }

// pausedOn tells whether the term stood still or was over on a day. The day it runs on again counts.
func (c *Case) pausedOn(day time.Time) bool {
	day = record.DayOf(day)
	if end, ok := c.TermEnd(); ok && day.After(end) || c.TermEnding != nil && !day.Before(record.DayOf(c.TermEnding.On)) {
		return true
	}
	return slices.ContainsFunc(c.Suspensions, func(s Suspension) bool {
		return !day.Before(record.DayOf(s.From)) && (s.Until.IsZero() || day.Before(record.DayOf(s.Until)))
	})
}

func (c *Case) resume(at time.Time) {
	if c.suspended() {
		c.Suspensions[len(c.Suspensions)-1].Until = at
	}
}

// TermEnd is the last day of the term (DL-D2): its months from the day of reporting, and each day of suspension more.
// There is none before the reporting, in voluntary treatment, and while the term stands still.
func (c *Case) TermEnd() (time.Time, bool) {
	if c.Reported.IsZero() || c.TermMonths == 0 || c.suspended() {
		return time.Time{}, false
	}
	extra := 0
	for _, s := range c.Suspensions {
		extra += max(0, days(s.From, s.Until))
	}
	return policy.AddPeriod(record.DayOf(c.Reported), 0, c.TermMonths, 0).AddDate(0, 0, extra), true
}

func startSuspension(c *Case, in StartSuspension, g record.Given) ([]any, error) {
	in.Document.Transcribed = false
	err := firstOf(casework.MustBeOpen(c, g), SuspensionReasons.Check("reason", in.Reason), in.Document.check("document", false, g))
	if err != nil {
		return nil, err
	}
	switch {
	case !c.hasOrder():
		return nil, ErrNoTerm
	case c.paused():
		return nil, ErrSuspended
	}
	return []any{SuspensionStarted(in)}, nil
}

func endSuspension(c *Case, in EndSuspension, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), text("note", in.Note, 2, 500)); err != nil {
		return nil, err
	}
	if !c.suspended() || g.Occurred.Before(c.Suspensions[len(c.Suspensions)-1].From) {
		return nil, ErrNotSuspended
	}
	return []any{SuspensionEnded(in)}, nil
}

func endTerm(c *Case, _ EndTerm, g record.Given) ([]any, error) {
	if err := casework.MustBeOpen(c, g); err != nil {
		return nil, err
	}
	switch end, ok := c.TermEnd(); {
	case !c.hasOrder():
		return nil, ErrNoTerm
	case c.TermEnding != nil:
		return nil, ErrTermOver
	case !ok || record.DayOf(g.Occurred).Before(end):
		return nil, ErrTermRuns
	}
	return []any{TermEnded{Kind: expired}}, nil
}

func recordReleaseNotice(c *Case, in RecordReleaseNotice, g record.Given) ([]any, error) {
	in.Document.Transcribed = false
	if err := firstOf(casework.MustBeOpen(c, g), in.Document.check("document", true, g)); err != nil {
		return nil, err
	}
	if c.TermEnding == nil || c.TermEnding.Kind != expired {
		return nil, ErrNotExpired
	}
	return []any{ReleaseNoticeRecorded(in)}, nil
}
