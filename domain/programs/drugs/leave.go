package drugs

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Leave is a leave from the county. Three days and more need a written report (戒毒条例 19).
type Leave struct {
	ID       uuid.UUID
	From     time.Time // first day away
	Until    time.Time // last day away
	Answer   string    // empty while unanswered, then granted or refused
	Returned time.Time
}

// Absence is a time away without leave, known by its first day.
type Absence struct {
	From  time.Time
	Until time.Time // last day away that is known
}

// ReportFrom is the days away that need a written report, and that count when there was none (DL-D5; 戒毒条例 19).
const ReportFrom = 3

// RequestLeave records that the person reports a leave.
type RequestLeave struct {
	From   string               `json:"from" format:"date" doc:"first day away"`
	Until  string               `json:"until" format:"date" doc:"last day away"`
	To     string               `json:"to" minLength:"2" maxLength:"120"`
	Reason string               `json:"reason" minLength:"2" maxLength:"500"`
	Report *casework.Attachment `json:"report,omitempty" doc:"the written report; required for three days and more"`
}

// LeaveRequested is the record.
type LeaveRequested struct {
	ID     uuid.UUID            `json:"id"`
	From   string               `json:"from"`
	Until  string               `json:"until"`
	To     string               `json:"to" minLength:"2" maxLength:"120"`
	Reason string               `json:"reason" minLength:"2" maxLength:"500"`
	Report *casework.Attachment `json:"report,omitempty"`
}

// Facets of the request.
func (d LeaveRequested) Facets() record.Facets {
	return record.Facets{Ref: d.ID.String(), Quantity: float64(span(d.From, d.Until))}
}

// GrantLeave agrees.
type GrantLeave struct {
	Leave uuid.UUID `json:"leave"`
	Note  string    `json:"note,omitempty" maxLength:"500"`
}

// LeaveGranted is the record.
type LeaveGranted struct {
	Leave uuid.UUID `json:"leave"`
	Note  string    `json:"note,omitempty"`
}

// Facets of the answer.
func (d LeaveGranted) Facets() record.Facets {
	return record.Facets{Ref: d.Leave.String(), Outcome: "granted"}
}

// RefuseLeave records that a leave was refused. Whoever limits where somebody may go needs a legal document (S-5).
type RefuseLeave struct {
	Leave    uuid.UUID `json:"leave"`
	Document Document  `json:"document" doc:"the legal document that the refusal rests on"`
	Reasons  string    `json:"reasons" minLength:"4" maxLength:"500"`
}

// LeaveRefused is the record.
type LeaveRefused struct {
	Leave    uuid.UUID `json:"leave"`
	Document Document  `json:"document"`
	Reasons  string    `json:"reasons"`
}

// Facets of the answer.
func (d LeaveRefused) Facets() record.Facets {
	return record.Facets{Ref: d.Leave.String(), Outcome: "refused"}
}

// RecordReturn records that the person is back.
type RecordReturn struct {
	Leave uuid.UUID `json:"leave"`
	Note  string    `json:"note,omitempty" maxLength:"500"`
}

// LeaveReturned is the record.
type LeaveReturned struct {
	Leave    uuid.UUID `json:"leave"`
	DaysOver int       `json:"daysOver,omitempty" correct:"no"` // after the last day granted; an absence is recorded by itself, if it is one
	Note     string    `json:"note,omitempty" maxLength:"500"`
}

// Facets of the return.
func (d LeaveReturned) Facets() record.Facets {
	f := record.Facets{Ref: d.Leave.String(), Outcome: "in-time", Quantity: float64(d.DaysOver)}
	if d.DaysOver > 0 {
		f.Outcome = "late"
	}
	return f
}

// RecordAbsence records a time away without leave. A later record with the same first day replaces the earlier one, so a
// lasting absence can be recorded as it grows. Two absences have a day at home between them: one that goes on is not counted
// again.
type RecordAbsence struct {
	From  string `json:"from" format:"date" doc:"first day away"`
	Until string `json:"until" format:"date" doc:"last day away that is known"`
	Note  string `json:"note" minLength:"2" maxLength:"500" doc:"how it is known"`
}

// AbsenceRecorded is the record.
type AbsenceRecorded struct {
	From  string `json:"from" correct:"no"`
	Until string `json:"until"`
	Days  int    `json:"days" correct:"no"` // without those for which leave was granted
	Note  string `json:"note" minLength:"2" maxLength:"500"`
}

// Facets of the absence.
func (d AbsenceRecorded) Facets() record.Facets { return record.Facets{Quantity: float64(d.Days)} }

// Refusals by rule.
var (
	ErrLeaveDays     = invalid("until", "戒毒条例 19", "the last day is before the first, or more than a year after", "结束日期早于开始日期或超过一年", "check both days")
	ErrNoReport      = invalid("report", "DL-D5; 戒毒条例 19", "three days and more need a written report", "离开三日以上须书面报告", "upload the written report")
	ErrNoLeave       = refusal("戒毒条例 19", "no such leave waits for an answer", "没有这项待答复的请假", "read the file again").At("leave")
	ErrNotAway       = refusal("戒毒条例 19", "no such leave was granted, or the person is back already", "没有这项获准的请假，或已返回", "read the file again").At("leave")
	ErrShortAbsence  = refusal("DL-D5; 戒毒条例 19", "less than three days need no report and are no breach", "离开不足三日无须报告，不属违反规定", "record a note when it matters").At("until")
	ErrOnLeave       = refusal("戒毒条例 19", "leave was granted for this time", "该期间已获准外出", "record the days after the last one granted").At("from")
	ErrAbsenceAgain  = refusal("戒毒条例 19, 20", "these days are those of another absence, or follow it without a day at home", "与已记录的离开重叠或相连", "record it with the first day of that absence, or void that one").At("from")
	ErrPaused        = refusal("戒毒条例 14, 24", "the term stands still or is over in this time, so nothing counts against the person", "该期间期限已中止或届满，不计入", "record only what was while the term ran")
	ErrAbsenceShrunk = refusal("戒毒条例 20", "an absence with this first day is recorded with as many days or more", "该日起的离开已记录且天数不少于此", "void the earlier entry if it is wrong").At("until")
)

var leaveEvents = []record.EventRow{
	record.On("drugs.leave_requested", record.T("报告外出", "Leave requested"),
		func(c *Case, d LeaveRequested, _ record.Event) {
			c.Leaves = append(c.Leaves, Leave{ID: d.ID, From: dayOf(d.From), Until: dayOf(d.Until)})
		}, func(d LeaveRequested) record.Text {
			return record.T("报告外出："+d.From+" 至 "+d.Until+"，前往"+d.To+"，事由："+d.Reason, "Asks for leave from "+d.From+" to "+d.Until+", to "+d.To+"; reason: "+d.Reason)
		}),
	record.On("drugs.leave_granted", record.T("同意外出", "Leave granted"),
		func(c *Case, d LeaveGranted, _ record.Event) { c.answerLeave(d.Leave, "granted") },
		func(d LeaveGranted) record.Text {
			return say(record.T("同意外出", "Leave granted"), also("", "", d.Note))
		}),
	record.On("drugs.leave_refused", record.T("不同意外出", "Leave refused"),
		func(c *Case, d LeaveRefused, _ record.Event) { c.answerLeave(d.Leave, "refused") },
		func(d LeaveRefused) record.Text {
			return say(record.T("不同意外出", "Leave refused"), d.Document.line(), also("理由：", "reasons: ", d.Reasons))
		}),
	record.On("drugs.leave_returned", record.T("外出返回", "Returned from leave"),
		func(c *Case, d LeaveReturned, e record.Event) {
			if l := find(c.Leaves, d.Leave, leaveID); l != nil {
				l.Returned = e.Meta.OccurredAt
			}
		}, func(d LeaveReturned) record.Text {
			t := record.T("外出返回", "Returned from leave")
			if d.DaysOver > 0 {
				t = say(t, record.T(fmt.Sprintf("，超过 %d 天", d.DaysOver), fmt.Sprintf(", %d days over", d.DaysOver)))
			}
			return say(t, also("", "", d.Note))
		}),
	record.On("drugs.absence_recorded", record.T("未报告外出", "Absence without leave"), absent,
		func(d AbsenceRecorded) record.Text {
			return record.T(fmt.Sprintf("未报告外出：%s 至 %s，共 %d 天；%s", d.From, d.Until, d.Days, d.Note),
				fmt.Sprintf("Away without leave from %s to %s, %d days; %s", d.From, d.Until, d.Days, d.Note))
		}),
}

var leaveCommands = []record.CommandRow{
	record.Do("drugs.request_leave", record.T("记录外出报告", "Record a request for leave"), "DL-D5; 戒毒条例 19", requestLeave, village, police, office),
	record.Do("drugs.grant_leave", record.T("同意外出", "Grant leave"), "戒毒条例 19", grantLeave, police, office),
	record.Do("drugs.refuse_leave", record.T("记录不同意外出", "Record that leave was refused"), "戒毒条例 19; S-5", refuseLeave, police),
	record.Do("drugs.record_return", record.T("记录返回", "Record the return from leave"), "戒毒条例 19", recordReturn, village, police, office),
	record.Do("drugs.record_absence", record.T("记录未报告外出", "Record an absence without leave"), "戒毒条例 19, 20", recordAbsence, village, police, office),
}

func leaveID(l *Leave) uuid.UUID { return l.ID }

// answerLeave also moves the leave to the end of the list, so that the newest answer is the last.
func (c *Case) answerLeave(id uuid.UUID, answer string) {
	i := slices.IndexFunc(c.Leaves, func(l Leave) bool { return l.ID == id })
	if i < 0 {
		return
	}
	l := c.Leaves[i]
	l.Answer = answer
	c.Leaves = append(slices.Delete(c.Leaves, i, i+1), l)
}

// span counts the days from the first to the last, both counted.
func span(from, until string) int {
	f, u := dayOf(from), dayOf(until)
	if f.IsZero() || u.IsZero() {
		return 0
	}
	return days(f, u) + 1
}

func requestLeave(c *Case, in RequestLeave, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), text("to", in.To, 2, 120), text("reason", in.Reason, 2, 500), optional("report", in.Report),
		checkLeave(in.From, in.Until, in.Report))
	if err != nil {
		return nil, err
	}
	return []any{LeaveRequested{ID: g.Command, From: in.From, Until: in.Until, To: in.To, Reason: in.Reason, Report: in.Report}}, nil
}

// checkLeave wants days in order, and a report of three days and more.
func checkLeave(from, until string, report *casework.Attachment) error {
	if err := firstOf(someDay("from", from), someDay("until", until)); err != nil {
		return err
	}
	switch n := span(from, until); {
	case n < 1 || n > 366:
		return ErrLeaveDays
	case n >= ReportFrom && report == nil:
		return ErrNoReport
	}
	return nil
}

// asked finds a leave that waits for an answer.
func (c *Case) asked(id uuid.UUID, g record.Given) error {
	if err := casework.MustBeOpen(c, g); err != nil {
		return err
	}
	if l := find(c.Leaves, id, leaveID); l == nil || l.Answer != "" {
		return ErrNoLeave
	}
	return nil
}

func grantLeave(c *Case, in GrantLeave, g record.Given) ([]any, error) {
	if err := firstOf(c.asked(in.Leave, g), text("note", in.Note, 0, 500)); err != nil {
		return nil, err
	}
	return []any{LeaveGranted(in)}, nil
}

func refuseLeave(c *Case, in RefuseLeave, g record.Given) ([]any, error) {
	in.Document.Transcribed = false
	if err := firstOf(c.asked(in.Leave, g), in.Document.check("document", false, g), text("reasons", in.Reasons, 4, 500)); err != nil {
		return nil, err
	}
	return []any{LeaveRefused(in)}, nil
}

func recordReturn(c *Case, in RecordReturn, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), text("note", in.Note, 0, 500)); err != nil {
		return nil, err
	}
	l := find(c.Leaves, in.Leave, leaveID)
	if l == nil || l.Answer != "granted" || !l.Returned.IsZero() {
		return nil, ErrNotAway
	}
	return []any{LeaveReturned{Leave: in.Leave, DaysOver: max(0, days(l.Until, g.Occurred)), Note: in.Note}}, nil
}

func recordAbsence(c *Case, in RecordAbsence, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), pastDay("from", in.From, g), pastDay("until", in.Until, g), text("note", in.Note, 2, 500))
	if err != nil {
		return nil, err
	}
	from, until := dayOf(in.From), dayOf(in.Until)
	d := AbsenceRecorded{From: in.From, Until: in.Until, Days: c.away(from, until), Note: in.Note}
	if c.onLeave(from) {
		return nil, ErrOnLeave
	}
	if err := c.mayCount(from, until); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.Absences, func(a Absence) bool { return a.From.Equal(from) })
	if i >= 0 && !until.After(c.Absences[i].Until) {
		return nil, ErrAbsenceShrunk
	}
	after := *c
	after.Absences = slices.Clone(c.Absences)
	absent(&after, d, record.Event{})
	n := after.Counts()
	if i < 0 && n.Absences >= BreachAbsences {
		return c.orBreach(d, "absences", n.Absences), nil
	}
	return c.orBreach(d, "days-away", n.DaysAway), nil
}

func absent(c *Case, d AbsenceRecorded, _ record.Event) {
	a := Absence{From: dayOf(d.From), Until: dayOf(d.Until)}
	if i := slices.IndexFunc(c.Absences, func(o Absence) bool { return o.From.Equal(a.From) }); i >= 0 {
		c.Absences[i] = a
		return
	}
	c.Absences = append(c.Absences, a)
}

// onLeave tells whether leave was granted for a day.
func (c *Case) onLeave(day time.Time) bool {
	return slices.ContainsFunc(c.Leaves, func(l Leave) bool {
		return l.Answer == "granted" && !day.Before(l.From) && !day.After(l.Until)
	})
}

// away counts the days of a time away for which there was no leave.
func (c *Case) away(from, until time.Time) int {
	if from.IsZero() || until.Before(from) {
		return 0
	}
	granted := map[time.Time]bool{}
	for _, l := range c.Leaves {
		if l.Answer != "granted" || l.From.IsZero() || days(l.From, l.Until) > 366 {
			continue
		}
		for day := l.From; !day.After(l.Until); day = day.AddDate(0, 0, 1) {
			if !day.Before(from) && !day.After(until) {
				granted[day] = true
			}
		}
	}
	return days(from, until) + 1 - len(granted)
}

// mayCount tells whether a time away counts: long enough without leave, while the term ran, and not part of another absence.
func (c *Case) mayCount(from, until time.Time) error {
	switch {
	case c.away(from, until) < ReportFrom:
		return ErrShortAbsence
	case from.Before(record.DayOf(c.Opened)):
		return casework.ErrBeforeOpen.At("from")
	}
	for day := from; !day.After(until); day = day.AddDate(0, 0, 1) {
		if c.pausedOn(day) {
			return ErrPaused.At("until")
		}
	}
	for _, a := range c.Absences {
		if !a.From.Equal(from) && !a.From.After(until.AddDate(0, 0, 1)) && !from.After(a.Until.AddDate(0, 0, 1)) {
			return ErrAbsenceAgain
		}
	}
	return nil
}
